"""Who is in the past: the running journey of a thread or task, and what of the project has a past."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.db.models import Model

if TYPE_CHECKING:
    from bemi_orm.history.moments import Bound

# The names that the views do not have, such as those of functions, are looked up where they always are.
ENTER: Final = (
    "SELECT pg_catalog.set_config('transaction_read_only', 'on', true), "
    "pg_catalog.set_config('bemi_orm.position', %s, true), "
    "pg_catalog.set_config('bemi_orm.ordinal', %s, true), "
    "pg_catalog.set_config('search_path', %s || ', ' || pg_catalog.current_setting('search_path'), true)"
)


@dataclass(frozen=True, slots=True, eq=False)
class Journey:
    """One stay in the past; no two are equal.

    schemas: those of the search path outside, where the live tables are.
    tables: the `db_table` of each model that is read from the past.
    bound: the last change that belongs to the moment.
    readers: names of views of the project that read live tables.
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
