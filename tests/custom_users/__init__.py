"""A project whose users have a uuid for a key and an e-mail address for a name."""
