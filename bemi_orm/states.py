"""Conditions on changes, for filter(): those that are the state of their tables at a moment."""

from __future__ import annotations

from typing import Any, Final

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import BooleanField, F, Func, Model
from django.db.models.expressions import Col
from django.db.models.sql.compiler import SQLCompiler

from bemi_orm.conf import settings
from bemi_orm.liveness import BY_NUMBER, BY_TEXT, MOVED, TRUNCATED, Terms, alive, last_of_gone
from bemi_orm.moments import Bound
from bemi_orm.renames import former_tables
from bemi_orm.rows import MAX_ORDINAL
from bemi_orm.wal.lsn import MAX_LSN

NOW: Final = Bound(MAX_LSN >> 1, MAX_ORDINAL)
"""Behind all that is stored; a bigint has a sign."""

INTEGER_TYPES: Final = frozenset({"smallint", "integer", "bigint"})

_SHARED_KEYS: Final = (
    "SELECT n.nspname::text, c.relname::text FROM pg_catalog.pg_index i "
    "JOIN pg_catalog.pg_class c ON c.oid = i.indrelid "
    "JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
    "WHERE i.indisprimary AND NOT i.indimmediate"
)


class AliveAt(Func):
    """Whether a change holds a row that is alive at the moment.

    model: whose table it is, where that is known: then fewer endings have to be looked for.
    """

    output_field = BooleanField()

    def __init__(self, bound: Bound, model: type[Model] | None = None, **options: Any) -> None:
        super().__init__(F("position"))
        self.bound, self.model = bound, model

    def as_sql(  # type: ignore[override]
        self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **context: Any
    ) -> tuple[str, list[Any]]:
        """Give the anti-joins; `changes` is looked up under the name that the outer query has for it."""
        return f"({self._condition(self._terms(connection))})".replace("%", "%%"), []

    def _condition(self, terms: Terms) -> str:
        return alive(terms)

    def _terms(self, connection: BaseDatabaseWrapper) -> Terms:
        (anchor,) = self.get_source_expressions()
        assert isinstance(anchor, Col)
        quote = connection.ops.quote_name
        return Terms(
            c=quote(str(anchor.alias)),
            changes=quote(anchor.target.model._meta.db_table),
            position=str(int(self.bound.position)),
            ordinal=str(int(self.bound.ordinal)),
            same_table=self._same_table(connection),
            endings=(*key_endings(self.model), MOVED, TRUNCATED),
            shared_keys=_is_one_of(shared_keys(), connection),
        )

    def _same_table(self, connection: BaseDatabaseWrapper) -> str:
        former = former_tables(self.model) if self.model else ()
        if not former or self.model is None:
            return 'e."table" = {c}."table"'
        return 'e."table" IN ({c}."table", %s)' % ", ".join(map(_literal, (own_table(self.model), *former)))


class LastOfGone(AliveAt):
    """Whether a change is the last one of a row that is gone now."""

    def __init__(self, model: type[Model] | None = None, **options: Any) -> None:
        super().__init__(NOW, model)

    def _condition(self, terms: Terms) -> str:
        return last_of_gone(terms)


def key_endings(model: type[Model] | None) -> tuple[str, ...]:
    """Give how later changes of a row's key are found, by what the model's key is."""
    if model is None:
        return BY_NUMBER, BY_TEXT
    return (BY_NUMBER,) if has_integer_key(model) else (BY_TEXT,)
