-- What a revert must know of each named table: columns, key, unique indexes, and foreign keys both ways.
-- Takes two arrays, of schemas and of tables, and gives one row for each pair that exists.
SELECT
    w.schema,
    w.name,
    c.oid::bigint,
    (
        SELECT jsonb_agg(jsonb_build_object(
            'name', a.attname,
            'type', pg_catalog.format_type(a.atttypid, a.atttypmod),
            'category', t.typcategory,
            'max_length', CASE WHEN a.atttypmod > 4 AND t.typcategory = 'S' THEN a.atttypmod - 4 END,
            'is_generated', a.attgenerated <> '',
            'is_nullable', NOT (a.attnotnull OR t.typnotnull)
        ) ORDER BY a.attnum)
        FROM pg_catalog.pg_attribute a
        JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    ),
    (
        SELECT jsonb_agg(jsonb_build_object(
            'name', n.relname,
            'is_primary', i.indisprimary,
            'is_deferrable', NOT i.indimmediate,
            'nulls_are_equal', coalesce((to_jsonb(i) ->> 'indnullsnotdistinct')::boolean, false),
            'columns', (
                SELECT jsonb_agg(a.attname ORDER BY k.place)
                FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS k (attnum, place)
                LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum
                WHERE k.place <= i.indnkeyatts
            ),
            'expressions', (
                SELECT jsonb_agg(pg_catalog.pg_get_indexdef(i.indexrelid, k::int, false) ORDER BY k)
                FROM generate_series(1, i.indnkeyatts) k
            ),
            'predicate', pg_catalog.pg_get_expr(i.indpred, i.indrelid),
            'sources', (
                SELECT jsonb_agg(DISTINCT a.attname)
                FROM pg_catalog.pg_depend d
                JOIN pg_catalog.pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
                WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = i.indexrelid
                AND d.refclassid = d.classid AND d.refobjid = c.oid AND a.attnum > 0
            )
        ) ORDER BY i.indisprimary DESC, n.relname)
        FROM pg_catalog.pg_index i
        JOIN pg_catalog.pg_class n ON n.oid = i.indexrelid
        WHERE i.indrelid = c.oid AND i.indisunique AND i.indisvalid
    ),
    (
        SELECT jsonb_agg(jsonb_build_object(
            'name', f.conname,
            'schema', fn.nspname,
            'is_deferrable', f.condeferrable,
            'updates_cascade', f.confupdtype = 'c',
            'updates_wait', f.condeferrable AND f.confupdtype = 'a',
            'deletes_wait', f.condeferrable AND f.confdeltype = 'a',
            'child', jsonb_build_array(fn.nspname, child.relname),
            'child_columns', (
                SELECT jsonb_agg(a.attname ORDER BY k.place)
                FROM unnest(f.conkey) WITH ORDINALITY AS k (attnum, place)
                JOIN pg_catalog.pg_attribute a ON a.attrelid = f.conrelid AND a.attnum = k.attnum
            ),
            'child_key', (
                SELECT jsonb_agg(a.attname ORDER BY k.place)
                FROM pg_catalog.pg_index i
                CROSS JOIN unnest(i.indkey::int2[]) WITH ORDINALITY AS k (attnum, place)
                JOIN pg_catalog.pg_attribute a ON a.attrelid = f.conrelid AND a.attnum = k.attnum
                WHERE i.indrelid = f.conrelid AND i.indisprimary AND k.place <= i.indnkeyatts
            ),
            'parent', jsonb_build_array(pn.nspname, parent.relname),
            'parent_columns', (
                SELECT jsonb_agg(a.attname ORDER BY k.place)
                FROM unnest(f.confkey) WITH ORDINALITY AS k (attnum, place)
                JOIN pg_catalog.pg_attribute a ON a.attrelid = f.confrelid AND a.attnum = k.attnum
            ),
            'parent_types', (
                SELECT jsonb_agg(pg_catalog.format_type(a.atttypid, a.atttypmod) ORDER BY k.place)
                FROM unnest(f.confkey) WITH ORDINALITY AS k (attnum, place)
                JOIN pg_catalog.pg_attribute a ON a.attrelid = f.confrelid AND a.attnum = k.attnum
            )
        ) ORDER BY f.conname, f.oid)
        FROM pg_catalog.pg_constraint f
        JOIN pg_catalog.pg_class child ON child.oid = f.conrelid
        JOIN pg_catalog.pg_namespace fn ON fn.oid = child.relnamespace
        JOIN pg_catalog.pg_class parent ON parent.oid = f.confrelid
        JOIN pg_catalog.pg_namespace pn ON pn.oid = parent.relnamespace
        WHERE f.contype = 'f' AND f.conparentid = 0 AND c.oid IN (f.conrelid, f.confrelid)
    )
FROM unnest(%s::text[], %s::text[]) AS w (schema, name)
JOIN pg_catalog.pg_namespace s ON s.nspname = w.schema
JOIN pg_catalog.pg_class c ON c.relnamespace = s.oid AND c.relname = w.name AND c.relkind IN ('r', 'p')
