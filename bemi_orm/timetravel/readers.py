"""Views of the project itself: each names its tables once and for all, so inside a journey it is refused."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator
from typing import Final

from django.db import connections

from bemi_orm.conf import settings
from bemi_orm.timetravel.creating import refusal_sql

MARK: Final = "bemi_orm refuses the views of "
"""Begins the comment of a refusal; the rest is JSON with the schemas of the views of this name."""

_READERS: Final = """
    WITH RECURSIVE reader (oid) AS (
        SELECT pg_catalog.to_regclass(name)::oid FROM pg_catalog.unnest(%s::text[]) AS name
        UNION
        SELECT w.ev_class
        FROM reader r
        JOIN pg_catalog.pg_depend d ON d.refobjid = r.oid
            AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
            AND d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass
        JOIN pg_catalog.pg_rewrite w ON w.oid = d.objid
    )
    SELECT c.relname::text, pg_catalog.array_agg(DISTINCT n.nspname::text ORDER BY n.nspname::text),
        pg_catalog.json_object_agg(a.attname, pg_catalog.format_type(a.atttypid, NULL))::text
    FROM reader r
    JOIN pg_catalog.pg_class c ON c.oid = r.oid AND c.relkind IN ('v', 'm')
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    GROUP BY c.relname ORDER BY c.relname
"""


def reader_refusals(
    tables: Collection[str], taken: Collection[str], *, exists: Callable[[str], bool]
) -> Iterator[str]:
    """Give the statements that put a refusal before each view, materialized or not, that reads a table.

    tables: as SQL names them. taken: names that are views of the past. exists: whether the database of
    `changes` has a type of this name.
    """
    with connections[settings.SOURCE_DATABASE].cursor() as cursor:
        cursor.execute(_READERS, [list(tables)])
        readers = cursor.fetchall()
    for name, schemas, columns in readers:
        if name not in taken:
            yield _refusal(name, schemas, json.loads(columns), exists)


def refused_schemas(comment: str) -> tuple[str, ...]:
    """Give the schemas from the comment of a refusal; none from another comment."""
    return tuple(json.loads(comment.removeprefix(MARK))) if comment.startswith(MARK) else ()


def _refusal(name: str, schemas: list[str], columns: dict[str, str], exists: Callable[[str], bool]) -> str:
    reason = (
        f"{name} is a view, which always reads the live tables. Inside time_travel() ask for the tables that "
        "it reads."
    )
    return refusal_sql(name, columns, reason, MARK + json.dumps(schemas), exists=exists)
