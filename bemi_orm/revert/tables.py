"""What the source database says of the tables that a plan touches: the catalog counts, not the models."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

from django.apps import apps
from django.db import connections
from django.db.models import Model

from bemi_orm.operations import read_sql
from bemi_orm.revert.steps import Effect, TableName


@dataclass(frozen=True)
class Column:
    """A column of a table as it is now.

    type: as SQL spells it. category: `pg_type.typcategory`. max_length: of a `varchar(n)`.
    """

    name: str
    type: str
    category: str
    max_length: int | None
    is_generated: bool
    is_nullable: bool


@dataclass(frozen=True)
class UniqueIndex:
    """A unique index, the primary key included.

    columns: None stands for an expression. expressions: each key part as SQL. predicate: of a partial one.
    sources: the columns that expressions and predicate look at; of a constraint's own index, none.
    """

    name: str
    is_primary: bool
    is_deferrable: bool
    nulls_are_equal: bool
    columns: tuple[str | None, ...]
    expressions: tuple[str, ...]
    predicate: str | None
    sources: tuple[str, ...] = ()

    @property
    def is_computed(self) -> bool:
        """Whether only the server can tell what a row holds in the index, and if it is there at all."""
        return None in self.columns or self.predicate is not None

    @property
    def concerned(self) -> tuple[str, ...]:
        """The columns that decide what a row holds in the index."""
        return self.sources if self.is_computed else tuple(column for column in self.columns if column)


@dataclass(frozen=True)
class ForeignKey:
    """A foreign key; `child_key` is the primary key of the child's table.

    updates_wait, deletes_wait: whether what is done to a parent can be checked at the end of the transaction.
    Of a deferrable key that is NO ACTION; any other action is taken at once.
    """

    name: str
    schema: str
    is_deferrable: bool
    updates_cascade: bool
    updates_wait: bool
    deletes_wait: bool
    child: TableName
    child_columns: tuple[str, ...]
    child_key: tuple[str, ...]
    parent: TableName
    parent_columns: tuple[str, ...]
    parent_types: tuple[str, ...]

    def can_wait(self, effect: Effect) -> bool:
        """Whether rows may point to nothing once this is done to their parent, until another one is made."""
        return self.deletes_wait if effect is Effect.DELETE else self.updates_wait


@dataclass(frozen=True)
class Table:
    """A table of the source database, and its model if it has one."""

    name: TableName
    columns: Mapping[str, Column]
    unique_indexes: tuple[UniqueIndex, ...]
    foreign_keys: tuple[ForeignKey, ...]
    model: type[Model] | None

    @cached_property
    def key(self) -> tuple[str, ...]:
        """The columns of the primary key; empty without one."""
        primary = (index.columns for index in self.unique_indexes if index.is_primary)
        return tuple(column for column in next(primary, ()) if column is not None)

    @cached_property
    def parents(self) -> tuple[ForeignKey, ...]:
        """The foreign keys that rows of this table hold."""
        return tuple(key for key in self.foreign_keys if key.child == self.name)

    @cached_property
    def children(self) -> tuple[ForeignKey, ...]:
        """The foreign keys by which rows point to this table."""
        return tuple(key for key in self.foreign_keys if key.parent == self.name)

    def writable(self, column: str) -> bool:
        """Whether the column exists and can be written."""
        return column in self.columns and not self.columns[column].is_generated

    def field_name(self, column: str) -> str:
        """Give the name of the model's field for a column, the column's own without one."""
        fields = self.model._meta.local_concrete_fields if self.model else ()
        return next((field.name for field in fields if field.column == column), column)

    def column_names(self, names: Iterable[str]) -> set[str]:
        """Give the columns for names of fields, their `attname`, or of columns; others are left out."""
        wanted = set(names)
        fields = self.model._meta.local_concrete_fields if self.model else ()
        named = {str(f.column) for f in fields if wanted & {f.name, f.attname, f.column}}
        return named | (wanted & self.columns.keys())


Tables: TypeAlias = Mapping[TableName, Table]


def read_tables(alias: str, names: Iterable[TableName]) -> dict[TableName, Table]:
    """Ask the catalog for tables; those that do not exist are not in the answer."""
    wanted = sorted(set(names))
    with connections[alias].cursor() as cursor:
        cursor.execute(
            read_sql("revert_tables.sql"), [[name.schema for name in wanted], [name.table for name in wanted]]
        )
        rows = cursor.fetchall()
        models = _models_by_oid(cursor) if rows else {}
    return {
        TableName(schema, table): Table(
            name=TableName(schema, table),
            columns={item["name"]: Column(**item) for item in _decode(columns)},
            unique_indexes=tuple(_unique_index(item) for item in _decode(indexes)),
            foreign_keys=tuple(_foreign_key(item) for item in _decode(keys)),
            model=models.get(oid),
        )
        for schema, table, oid, columns, indexes, keys in rows
    }


def _models_by_oid(cursor: Any) -> dict[int, type[Model]]:
    """Find the model of each table as the server resolves its `db_table`, schema and search path included."""
    models = [m for m in apps.get_models(include_auto_created=True) if not m._meta.proxy]
    models.sort(key=lambda model: model._meta.managed)  # of two on one table, the managed one counts
    quote = cursor.db.ops.quote_name
    cursor.execute(
        "SELECT place, pg_catalog.to_regclass(name)::oid::bigint "
        "FROM unnest(%s::text[]) WITH ORDINALITY AS t (name, place)",
        [[quote(model._meta.db_table) for model in models]],
    )
    return {oid: models[place - 1] for place, oid in cursor.fetchall() if oid is not None}


def _unique_index(item: dict[str, Any]) -> UniqueIndex:
    return UniqueIndex(**_with_tuples(item, "columns", "expressions", "sources"))


def _foreign_key(item: dict[str, Any]) -> ForeignKey:
    tupled = _with_tuples(item, "child_columns", "child_key", "parent_columns", "parent_types")
    return ForeignKey(**{**tupled, "child": TableName(*item["child"]), "parent": TableName(*item["parent"])})


def _with_tuples(item: dict[str, Any], *names: str) -> dict[str, Any]:
    return {**item, **{name: tuple(item[name] or ()) for name in names}}


def _decode(value: Any) -> Any:
    """Django leaves jsonb as text to its JSONField."""
    return json.loads(value) if isinstance(value, str) else value or ()
