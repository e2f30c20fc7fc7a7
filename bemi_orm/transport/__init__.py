"""How who, where and how get into the write-ahead log beside the rows that they explain."""
