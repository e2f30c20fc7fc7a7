-- Every table that can be tracked, then the leaves of the partitioned ones: what set-up must know of each.
-- to_jsonb() reads columns of the catalog that older servers do not have.
WITH root AS MATERIALIZED (
    SELECT c.oid, c.relkind
    FROM pg_catalog.pg_class c
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p')
      AND c.relpersistence = 'p'
      AND NOT c.relispartition
      AND c.oid >= 16384  -- below are the tables of initdb, which cannot be published
      AND n.nspname <> 'information_schema'
      AND n.nspname !~ '^pg_'
      AND NOT EXISTS (
          SELECT FROM pg_catalog.pg_depend d
          WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'
      )
),
member AS MATERIALIZED (
    SELECT oid AS root_oid, oid FROM root
    UNION ALL
    SELECT root.oid, tree.relid
    FROM root CROSS JOIN LATERAL pg_catalog.pg_partition_tree(root.oid) tree
    WHERE root.relkind = 'p' AND tree.isleaf
),
listing AS MATERIALIZED (
    SELECT r.prrelid, p.pubname
    FROM pg_catalog.pg_publication_rel r
    JOIN pg_catalog.pg_publication p ON p.oid = r.prpubid
    WHERE to_jsonb(r) ->> 'prattrs' IS NOT NULL
),
hiding AS MATERIALIZED (
    SELECT t.schemaname, t.tablename, p.pubname
    FROM pg_catalog.pg_publication p
    JOIN pg_catalog.pg_publication_tables t USING (pubname)
    WHERE to_jsonb(p) ->> 'pubgencols' = 'n'
)
SELECT
    m.root_oid::bigint,
    c.oid::bigint,
    n.nspname::text,
    c.relname::text,
    c.relkind::text,
    pg_catalog.pg_get_userbyid(c.relowner)::text,
    pg_catalog.pg_has_role(c.relowner, 'USAGE'),
    c.relreplident::text,
    ARRAY(
        SELECT a.attname::text
        FROM unnest(pk.indkey::int2[]) WITH ORDINALITY AS k (attnum, place)
        JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum
        WHERE k.place <= pk.indnkeyatts
        ORDER BY k.place
    ),
    coalesce(pk.indisvalid AND pk.indimmediate, false),
    EXISTS (
        SELECT FROM pg_catalog.pg_index i
        WHERE i.indrelid = c.oid AND i.indisreplident AND i.indisvalid AND i.indimmediate
    ),
    ARRAY(
        SELECT a.attname::text FROM pg_catalog.pg_attribute a
        WHERE a.attrelid = c.oid AND a.attgenerated = 's' AND NOT a.attisdropped ORDER BY a.attnum
    ),
    ARRAY(
        SELECT a.attname::text FROM pg_catalog.pg_attribute a
        WHERE a.attrelid = c.oid AND a.attgenerated = 'v' AND NOT a.attisdropped ORDER BY a.attnum
    ),
    ARRAY(
        SELECT l.pubname::text FROM listing l
        WHERE l.prrelid = c.oid OR l.prrelid IN (SELECT pg_catalog.pg_partition_ancestors(c.oid))
        ORDER BY l.pubname
    ),
    ARRAY(
        SELECT h.pubname::text FROM hiding h
        WHERE (h.schemaname, h.tablename) = (n.nspname, c.relname) ORDER BY h.pubname
    )
FROM member m
JOIN pg_catalog.pg_class c ON c.oid = m.oid AND c.relkind IN ('r', 'p') AND c.relpersistence = 'p'
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_index pk ON pk.indrelid = c.oid AND pk.indisprimary
ORDER BY m.root_oid <> c.oid, n.nspname, c.relname
