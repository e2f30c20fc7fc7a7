"""The demo: a small todo site on an embedded PostgreSQL, driven over HTTP, with its audit trail shown."""
