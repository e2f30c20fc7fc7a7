"""The tracked database: its set-up and its replication stream."""
