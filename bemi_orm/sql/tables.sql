-- What migration 0001 makes, in the first schema of the search path, as Django makes its own tables.

-- Every key of a partitioned table has to contain the partition's column.
-- The names and keys are COLLATE "C": ingest is quicker, and their order is the same on every server.
CREATE TABLE changes (
    id uuid NOT NULL,
    database text COLLATE "C" NOT NULL,
    schema text COLLATE "C" NOT NULL,
    "table" text COLLATE "C" NOT NULL,
    primary_key text COLLATE "C",
    primary_key_int bigint,
    previous_primary_key text COLLATE "C",
    operation text NOT NULL
        CONSTRAINT changes_operation CHECK (operation IN ('CREATE', 'UPDATE', 'DELETE', 'TRUNCATE', 'SNAPSHOT')),
    before jsonb NOT NULL DEFAULT '{}',
    after jsonb NOT NULL DEFAULT '{}',
    context jsonb NOT NULL DEFAULT '{}',
    committed_at timestamptz NOT NULL,
    queued_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    transaction_id bigint NOT NULL,
    "position" bigint NOT NULL,
    ordinal integer NOT NULL,
    PRIMARY KEY (id, committed_at)
) PARTITION BY RANGE (committed_at);

CREATE TABLE changes_default PARTITION OF changes DEFAULT;

-- One row's history: integer keys, then all others. Two partial indexes cost ingest no more than one.
CREATE INDEX changes_by_key_int ON changes ("table", primary_key_int, "position" DESC, ordinal DESC)
    WHERE primary_key_int IS NOT NULL;
CREATE INDEX changes_by_key ON changes ("table", primary_key, "position" DESC, ordinal DESC)
    WHERE primary_key_int IS NULL;

-- A person's SQL by the text of any key.
CREATE INDEX changes_by_key_text ON changes USING hash (primary_key);

-- What ends a row's life beside its own changes; all but empty, so all but free.
CREATE INDEX changes_by_previous_key ON changes ("table", previous_primary_key, "position")
    WHERE previous_primary_key IS NOT NULL;
CREATE INDEX changes_by_truncate ON changes ("table", "position") WHERE operation = 'TRUNCATE';

CREATE INDEX changes_by_context ON changes USING gin (context jsonb_path_ops);
CREATE INDEX changes_by_time ON changes USING brin (committed_at);

-- How far each source is stored; it moves in the same transaction as the rows.
CREATE TABLE bemi_checkpoint (
    source text PRIMARY KEY,
    system_identifier text NOT NULL,
    timeline integer NOT NULL,
    database_oid bigint NOT NULL,
    slot text NOT NULL,
    confirmed_lsn pg_lsn NOT NULL,
    confirmed_at timestamptz,  -- commit time of the last transaction before confirmed_lsn that was seen
    epoch bigint NOT NULL DEFAULT 0,
    updated_at timestamptz NOT NULL DEFAULT now()
);

-- Ranges of the WAL that were lost before they could be stored.
CREATE TABLE bemi_gap (
    source text NOT NULL,
    from_lsn pg_lsn NOT NULL,
    to_lsn pg_lsn NOT NULL,
    reason text NOT NULL,
    noticed_at timestamptz NOT NULL DEFAULT now()
);
