"""PostgreSQL's logical replication stream as values: bytes in, frozen dataclasses out, no input or output."""
