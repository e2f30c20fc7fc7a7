"""What would read live tables by its own name: views of the project, and tables that no model has.

A view names its tables once and for all. Of a table without a model the columns' types are not known in the
past. Inside a journey both are refused.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator
from typing import Final

from django.apps import apps
from django.db import connections
from django.db.backends.utils import CursorWrapper

from bemi_orm.conf import settings
from bemi_orm.timetravel.creating import Exists, quoted, refusal_sql

IsTracked = Callable[[str, str], bool]
"""Takes schema and table."""

MARK: Final = "bemi_orm refuses what is live in "
"""Begins the comment of a refusal; the rest is JSON with the schemas of what has this name."""

# A partition is tracked by its root, and has the past of no model.
_WITHOUT_MODEL: Final = """
    SELECT n.nspname::text, c.relname::text, rn.nspname::text, r.relname::text
    FROM pg_catalog.pg_class c
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_catalog.pg_class r ON r.oid = coalesce(pg_catalog.pg_partition_root(c.oid)::oid, c.oid)
    JOIN pg_catalog.pg_namespace rn ON rn.oid = r.relnamespace
    WHERE c.relkind IN ('r', 'p') AND c.relpersistence = 'p'
        AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
        AND NOT EXISTS (
            SELECT FROM pg_catalog.unnest(%s::text[]) AS name WHERE pg_catalog.to_regclass(name) = c.oid
        )
        AND NOT EXISTS (
            SELECT FROM pg_catalog.pg_depend d
            WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid
                AND d.deptype = 'e'
        )
"""
_READERS: Final = """
    WITH RECURSIVE reader (oid) AS (
        SELECT pg_catalog.to_regclass(name)::oid FROM pg_catalog.unnest(%s::text[] || %s::text[]) AS name
        UNION
        SELECT w.ev_class
        FROM reader r
        JOIN pg_catalog.pg_depend d ON d.refobjid = r.oid
            AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
            AND d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass
        JOIN pg_catalog.pg_rewrite w ON w.oid = d.objid
    ),
    refused (oid, is_table) AS (
        SELECT r.oid, false FROM reader r JOIN pg_catalog.pg_class c USING (oid) WHERE c.relkind IN ('v', 'm')
        UNION
        SELECT pg_catalog.to_regclass(name)::oid, true FROM pg_catalog.unnest(%s::text[]) AS name
    )
    SELECT c.relname::text, pg_catalog.bool_or(r.is_table),
        pg_catalog.array_agg(DISTINCT n.nspname::text ORDER BY n.nspname::text),
        pg_catalog.json_object_agg(a.attname, pg_catalog.format_type(a.atttypid, NULL))::text
    FROM refused r
    JOIN pg_catalog.pg_class c ON c.oid = r.oid
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    GROUP BY c.relname ORDER BY c.relname
"""


def live_refusals(
    tables: Collection[str], taken: Collection[str], is_tracked: IsTracked, *, exists: Exists
) -> Iterator[str]:
    """Give the statements that put a refusal before all that would be read from the present.

    These are the views, materialized or not, that read tracked tables, and tracked tables without a model.
    tables: of models, as SQL names them. taken: names that are views of the past.
    """
    with connections[settings.SOURCE_DATABASE].cursor() as cursor:
        others = list(_without_model(cursor, is_tracked))
        cursor.execute(_READERS, [list(tables), others, others])
        found = cursor.fetchall()
    for name, is_table, schemas, columns in found:
        if name not in taken:
            reason = _of_table(name) if is_table else _of_view(name)
            yield refusal_sql(name, json.loads(columns), reason, MARK + json.dumps(schemas), exists=exists)


def refused_schemas(comment: str) -> tuple[str, ...]:
    """Give the schemas from the comment of a refusal; none from another comment."""
    return tuple(json.loads(comment.removeprefix(MARK))) if comment.startswith(MARK) else ()


def _without_model(cursor: CursorWrapper, is_tracked: IsTracked) -> Iterator[str]:
    quote = cursor.db.ops.quote_name
    models = [quote(model._meta.db_table) for model in apps.get_models(include_auto_created=True)]
    cursor.execute(_WITHOUT_MODEL, [models])
    for schema, table, *root in cursor.fetchall():
        if is_tracked(*root):
            yield f"{quoted(schema)}.{quoted(table)}"


def _of_view(name: str) -> str:
    return (
        f"{name} is a view, which always reads the live tables. Inside time_travel() ask for the tables that "
        "it reads."
    )


def _of_table(name: str) -> str:
    return (
        f"{name} is a table without a model, so time_travel() cannot show its past. Give it a model (managed "
        f"= False will do), or read its changes: Change.objects.for_table({name!r}). What BEMI_IGNORE names "
        "is read as it is now."
    )
