"""Who is in the past: the running journey of a thread or task, and what of the project has a past."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.db.models import Model

if TYPE_CHECKING:
    from bemi_orm.history.moments import Bound

# Partitions that hold only later changes are left out by their range of time. Times do not rise strictly with
# the order of changes, so the first range behind the moment counts from which on no earlier change is.
_UNTIL: Final = """
SELECT p.starts_at FROM (
    SELECT pg_catalog.substring(
        pg_catalog.pg_get_expr(c.relpartbound, c.oid), $$FROM \\('([^']+)'\\)$$
    )::timestamptz AS starts_at
    FROM pg_catalog.pg_inherits i JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = 'changes'::regclass
) AS p
WHERE p.starts_at > (SELECT committed_at FROM changes WHERE id <= %(last_id)s ORDER BY id DESC LIMIT 1)
    AND coalesce(
        (SELECT id FROM changes WHERE committed_at >= p.starts_at ORDER BY id LIMIT 1) > %(last_id)s, true
    )
ORDER BY p.starts_at LIMIT 1
"""

# Nothing is known of how the values inside images are distributed, and a join by one of them looks as if it
# gave a few rows: for a page of 20 all would be joined and sorted. An index that has the order is right.
# The names that the views do not have, such as those of functions, are looked up where they always are.
ENTER: Final = f"""
SELECT pg_catalog.set_config('transaction_read_only', 'on', true),
    pg_catalog.set_config('enable_sort', 'off', true),
    pg_catalog.set_config('jit', 'off', true),
    pg_catalog.set_config('bemi_orm.position', %(position)s, true),
    pg_catalog.set_config('bemi_orm.ordinal', %(ordinal)s, true),
    pg_catalog.set_config('bemi_orm.until', coalesce(({_UNTIL})::text, 'infinity'), true),
    pg_catalog.set_config(
        'search_path', %(schema)s || ', ' || pg_catalog.current_setting('search_path'), true
    )
"""


@dataclass(frozen=True, slots=True, eq=False)
class Journey:
    """One stay in the past; no two are equal.

    schemas: those of the search path outside, where the live tables are.
    tables: the `db_table` of each model that is read from the past.
    bound: the last change that belongs to the moment.
    readers: names of views of the project, and of tables without a model, which would be read live.
    """

    schemas: tuple[str, ...]
    tables: frozenset[str]
    bound: Bound
    readers: tuple[str, ...] = ()


running_journey: ContextVar[Journey | None] = ContextVar("bemi_orm_journey", default=None)
"""The innermost journey of this thread or task."""


def is_past(model: type[Model]) -> bool:
    """Whether the model's table is to be read as it was."""
    journey = running_journey.get()
    return journey is not None and model._meta.db_table in journey.tables
