"""The names of the tables that have changes, by jumps from one to the next in the indexes of the keys."""

from __future__ import annotations

from typing import Final

from django.db import connections

from bemi_orm.models import Change

# A loose index scan (PostgreSQL wiki, "Loose indexscan"). Each of the two indexes on the keys holds one half.
NAMES: Final = """
WITH RECURSIVE named (name) AS (
    SELECT least(
        (SELECT pg_catalog.min("table") FROM changes WHERE primary_key_int IS NOT NULL),
        (SELECT pg_catalog.min("table") FROM changes WHERE primary_key_int IS NULL)
    )
    UNION ALL
    SELECT least(
        (SELECT pg_catalog.min("table") FROM changes WHERE primary_key_int IS NOT NULL AND "table" > name),
        (SELECT pg_catalog.min("table") FROM changes WHERE primary_key_int IS NULL AND "table" > name)
    )
    FROM named WHERE name IS NOT NULL
)
SELECT name FROM named WHERE name IS NOT NULL LIMIT %s
"""

MAX_NAMES: Final = 200


def changed_tables() -> list[str]:
    """Give the tables that have changes, in the order of their names; the first `MAX_NAMES` of them."""
    with connections[Change.objects.db].cursor() as cursor:
        cursor.execute(NAMES, [MAX_NAMES])
        return [name for (name,) in cursor.fetchall()]
