"""From the replication source to the sink, exactly once."""
