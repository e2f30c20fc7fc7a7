-- The schema where a table called changes is or would be, and whether there is one: ours has the column ordinal.
SELECT
    current_schema(),
    c.oid IS NOT NULL,
    EXISTS (
        SELECT FROM pg_catalog.pg_attribute a
        WHERE a.attrelid = c.oid AND a.attname = 'ordinal' AND NOT a.attisdropped
    )
FROM (SELECT 1) AS one
LEFT JOIN pg_catalog.pg_class c
    ON c.relname = 'changes'
    AND c.relnamespace = (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = current_schema());
