"""Conditions on changes, for filter(): those that are the state of their tables at a moment."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import BooleanField, F, Func, Model
from django.db.models.expressions import Col
from django.db.models.sql.compiler import SQLCompiler

from bemi_orm.conf import settings
from bemi_orm.history.liveness import Terms, alive, last_of_gone
from bemi_orm.history.moments import Bound
from bemi_orm.history.realkeys import require_key
from bemi_orm.history.tracked import split_table
from bemi_orm.rows import MAX_ORDINAL
from bemi_orm.values.renames import former_tables
from bemi_orm.wal.lsn import MAX_LSN

Table = tuple[str, str]
"""Schema and name."""

NOW: Final = Bound(MAX_LSN >> 1, MAX_ORDINAL)
"""Behind all that is stored; a bigint has a sign."""

_SHARED_KEYS: Final = (
    "SELECT n.nspname::text, c.relname::text FROM pg_catalog.pg_index i "
    "JOIN pg_catalog.pg_class c ON c.oid = i.indrelid "
    "JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
    "WHERE i.indisprimary AND NOT i.indimmediate"
)


class AliveAt(Func):
    """Whether a change holds a row that is alive at the moment.

    model: whose table it is, where that is known: it may have had other names.
    shared_keys: tables whose key is deferrable, as `find_shared_keys` gives them.
    """

    output_field = BooleanField()
    definition = staticmethod(alive)

    def __init__(
        self, bound: Bound, model: type[Model] | None = None, shared_keys: tuple[Table, ...] = ()
    ) -> None:
        super().__init__(F("position"))
        self.bound, self.model, self.shared_keys = bound, model, shared_keys

    def as_sql(  # type: ignore[override]
        self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **context: Any
    ) -> tuple[str, list[Any]]:
        """Give the anti-joins for `changes` under the name that it has in the outer query."""
        terms = self._terms(connection.ops.quote_name)
        sql = f"{self.definition(terms)} AND {terms.c}.id <= '{self.bound.last_id}'"
        return f"({sql.replace('%', '%%')})", []

    def _terms(self, quote: Callable[[str], str]) -> Terms:
        (anchor,) = self.get_source_expressions()
        assert isinstance(anchor, Col)
        return Terms(
            c=quote(anchor.alias),
            changes=quote(anchor.target.model._meta.db_table),
            position=str(int(self.bound.position)),
            ordinal=str(int(self.bound.ordinal)),
            same_table=_same_table(self.model),
            shared_keys=" OR ".join(map(_is_table, self.shared_keys)),
        )


class LastOfGone(AliveAt):
    """Whether a change is the last one of a row that is not there any more."""

    definition = staticmethod(last_of_gone)


def rows_of(model: type[Model] | None) -> tuple[type[Model] | None, tuple[Table, ...]]:
    """Give what `AliveAt` has to know beside the moment; None: the rows of all tables.

    Raises TimeTravelError where the model's table has no primary key.
    """
    if model is not None:
        require_key(model)
    return model, find_shared_keys()


def find_shared_keys() -> tuple[Table, ...]:
    """Give the tables of the source whose primary key is deferrable: there alone two rows can share a key."""
    with connections[settings.SOURCE_DATABASE].cursor() as cursor:
        cursor.execute(_SHARED_KEYS)
        return tuple(cursor.fetchall())


def literal(text: str) -> str:
    """Give text as an SQL literal that is right whatever `standard_conforming_strings` is."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"E'{escaped}'" if escaped != text else f"'{text}'"


def _same_table(model: type[Model] | None) -> str:
    names = () if model is None else (split_table(model._meta.db_table)[1], *former_tables(model))
    if len(names) < 2:
        return 'e."table" = {c}."table"'
    return f'e."table" IN ({", ".join(map(literal, names))})'


def _is_table(table: Table) -> str:
    schema, name = table
    return f'(e.schema = {literal(schema)} AND e."table" = {literal(name)})'
