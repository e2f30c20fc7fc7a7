"""Where a model's table lives: the database and the schema, as its server names them."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from django.db import connections, router
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Expression, Model, Q, TextField
from django.db.models.sql.compiler import SQLCompiler

from bemi_orm.renames import former_tables

_SQL: Final = {
    "database": "SELECT pg_catalog.current_database()::text",
    "schema": (
        "SELECT n.nspname::text FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n "
        "ON n.oid = c.relnamespace WHERE c.oid = pg_catalog.to_regclass(%s)"
    ),
}
_answers: dict[tuple[str, ...], str | None] = {}


class TableLocation(NamedTuple):
    """The table of a model; database and schema are expressions that its server resolves."""

    database: ServerName
    schema: ServerName
    table: str


class ServerName(Expression):
    """The name of a database or schema, asked when the query runs.

    Where the query goes to `alias` itself, it is a part of it: no round trip, and right whatever the search
    path is at that moment. Elsewhere the server of `alias` is asked once, and the answer kept.
    """

    output_field = TextField()

    def __init__(self, alias: str, kind: str, *params: str) -> None:
        super().__init__()
        self.alias, self.kind, self.params = alias, kind, params

    def as_sql(
        self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **context: Any
    ) -> tuple[str, tuple[Any, ...]]:
        """Give the sub-select, or the name as a parameter."""
        if connection.alias == self.alias:
            return f"({_SQL[self.kind]})", self.params
        return "%s", (_ask(self.alias, self.kind, self.params),)


def locate(model: type[Model], alias: str | None = None) -> TableLocation:
    """Give the location of a model's table.

    alias: the database of its rows; by default where the routers read the model. A `db_table` may name its
    schema as `"schema"."table"`.
    """
    alias = alias or router.db_for_read(model)
    quoted = connections[alias].ops.quote_name(model._meta.db_table)
    table = quoted.rpartition('"."')[2].strip('"')
    return TableLocation(ServerName(alias, "database"), ServerName(alias, "schema", quoted), table)


def in_table_of(model: type[Model], alias: str | None = None) -> Q:
    """Give the condition that a change is of the model's table, under a former name of it too.

    alias: as for `locate`. A former table (`BEMI_RENAMED`) is looked for in the schema of the present one.
    """
    place = locate(model, alias)
    tables = (place.table, *former_tables(model))
    table = Q(table=place.table) if len(tables) == 1 else Q(table__in=tables)
    return table & Q(database=place.database, schema=place.schema)


def _ask(alias: str, kind: str, params: tuple[str, ...]) -> str | None:
    connection = connections[alias]
    key = (alias, connection.settings_dict["NAME"], kind, *params)
    if _answers.get(key) is None:  # a table that is missing now may be made later
        with connection.cursor() as cursor:
            cursor.execute(_SQL[kind], params)
            row = cursor.fetchone()
        _answers[key] = None if row is None else str(row[0])
    return _answers[key]
