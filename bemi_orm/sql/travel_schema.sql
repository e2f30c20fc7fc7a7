-- What all views of the past share. Made anew, with all views, when any of it differs.
DROP SCHEMA IF EXISTS bemi_time_travel CASCADE;
CREATE SCHEMA bemi_time_travel;
GRANT USAGE ON SCHEMA bemi_time_travel TO PUBLIC;  -- the views give no more than the rights on changes

-- The moment: the last place in the order of changes that belongs to it.
CREATE FUNCTION bemi_time_travel.moment_position() RETURNS bigint
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN pg_catalog.current_setting('bemi_orm.position')::bigint;

CREATE FUNCTION bemi_time_travel.moment_ordinal() RETURNS bigint
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN pg_catalog.current_setting('bemi_orm.ordinal')::bigint;

-- No change of the moment was committed then or later: what lets the planner leave partitions out.
CREATE FUNCTION bemi_time_travel.moment_until() RETURNS timestamptz
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN pg_catalog.current_setting('bemi_orm.until')::timestamptz;

-- A column that an image lacks: it was added after the row was stored, or it was not sent. An UPDATE whose old
-- row was not sent whole may lack values that had not changed; they are not known, which is not NULL.
CREATE FUNCTION bemi_time_travel.unknown_value(
    operation text, before jsonb, after jsonb, key_columns text[], column_name text, table_name text, added jsonb
) RETURNS jsonb LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
BEGIN
    IF operation = 'UPDATE' AND (before - key_columns = '{}' OR NOT before ?& ARRAY(SELECT jsonb_object_keys(after))) THEN
        RAISE EXCEPTION USING ERRCODE = 'BEMI1', MESSAGE = format(
            'The value of %I.%I is not known at this moment: the table''s replica identity is not FULL, so a '
            'large value that an UPDATE left alone was not sent. Set it by "manage.py bemi setup"; it counts '
            'from then on.', table_name, column_name);
    END IF;
    RETURN added;
END $$;

-- A generated column that the server did not publish, and that cannot be computed here.
CREATE FUNCTION bemi_time_travel.refuse_column(table_name text, column_name text) RETURNS text
    LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
BEGIN
    RAISE EXCEPTION USING ERRCODE = 'BEMI1', MESSAGE = format(
        'The value of %I.%I is not known: the server does not publish this generated column, and the database '
        'of changes cannot compute its expression. Leave it out: .defer(%L).', table_name, column_name, column_name);
END $$;

-- Counts a view with the moment as constants, as to ask for a setting takes longer than to compare a row with it.
CREATE FUNCTION bemi_time_travel.count_rows(view_name text) RETURNS bigint LANGUAGE plpgsql STABLE AS $$
DECLARE
    query text := pg_catalog.pg_get_viewdef(format('bemi_time_travel.%I', view_name)::regclass);
    found bigint;
BEGIN
    query := regexp_replace(query, '(bemi_time_travel\.)?moment_position\(\)',
        format('%L::bigint', bemi_time_travel.moment_position()), 'g');
    query := regexp_replace(query, '(bemi_time_travel\.)?moment_ordinal\(\)',
        format('%L::bigint', bemi_time_travel.moment_ordinal()), 'g');
    query := regexp_replace(query, '(bemi_time_travel\.)?moment_until\(\)',
        format('%L::timestamptz', bemi_time_travel.moment_until()), 'g');
    EXECUTE 'SELECT pg_catalog.count(*) FROM (' || rtrim(query, '; ') || ') AS counted' INTO found;
    RETURN found;
END $$;

-- Stands where a view of the past cannot be.
CREATE FUNCTION bemi_time_travel.refuse(reason text) RETURNS SETOF boolean
    LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
BEGIN
    RAISE EXCEPTION USING ERRCODE = 'BEMI1', MESSAGE = reason;
END $$;

-- Views show uuids as texts, so that conditions and joins reach the index on the text of a key. With these a
-- uuid compares with them; they are inlined, and compare texts, whose order is that of the uuids.
DO $$
DECLARE
    operation record;
BEGIN
    FOR operation IN
        SELECT * FROM (VALUES
            ('equal', '='), ('unequal', '<>'), ('less', '<'), ('not_more', '<='), ('more', '>'), ('not_less', '>=')
        ) AS o (name, sign)
    LOOP
        EXECUTE pg_catalog.format(
            'CREATE FUNCTION bemi_time_travel.%1$I(text, uuid) RETURNS boolean '
            'LANGUAGE sql IMMUTABLE PARALLEL SAFE '
            'RETURN $1 OPERATOR(pg_catalog.%2$s) ($2::text COLLATE "C"); '
            'CREATE FUNCTION bemi_time_travel.%1$I(uuid, text) RETURNS boolean '
            'LANGUAGE sql IMMUTABLE PARALLEL SAFE '
            'RETURN ($1::text COLLATE "C") OPERATOR(pg_catalog.%2$s) $2; '
            'CREATE OPERATOR bemi_time_travel.%2$s '
            '(FUNCTION = bemi_time_travel.%1$I, LEFTARG = text, RIGHTARG = uuid); '
            'CREATE OPERATOR bemi_time_travel.%2$s '
            '(FUNCTION = bemi_time_travel.%1$I, LEFTARG = uuid, RIGHTARG = text)',
            operation.name, operation.sign);
    END LOOP;
END $$;
