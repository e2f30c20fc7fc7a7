-- What reversing migration 0001 does: the whole trail goes, partitions included.
DROP SCHEMA IF EXISTS bemi_time_travel CASCADE;
DROP TABLE IF EXISTS changes, bemi_checkpoint, bemi_gap;
