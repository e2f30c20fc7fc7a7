-- The types of %(oids)s, and all that lie under them as base of a domain or as element of an array.
WITH RECURSIVE fact AS (
    SELECT t.oid, t.typtype, t.typbasetype, t.typdelim, e.element_oid
    FROM pg_catalog.pg_type t
    CROSS JOIN LATERAL (
        SELECT CASE WHEN t.typsubscript = 'pg_catalog.array_subscript_handler'::regproc THEN t.typelem ELSE 0 END
    ) e (element_oid)
),
needed (oid) AS (
    SELECT unnest(%(oids)s::bigint[])::oid
    UNION
    SELECT under.oid
    FROM needed
    JOIN fact USING (oid)
    CROSS JOIN LATERAL (VALUES (fact.typbasetype), (fact.element_oid)) under (oid)
    WHERE under.oid <> 0
)
SELECT oid::bigint, typtype::text, typbasetype::bigint, element_oid::bigint, typdelim::text
FROM needed
JOIN fact USING (oid)
