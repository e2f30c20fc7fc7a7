"""Where a model's table lives: the database and the schema, as its server names them."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from django.db import connections, router
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Expression, Model, Q, TextField
from django.db.models.sql.compiler import SQLCompiler

from bemi_orm.conf import settings
from bemi_orm.values.renames import former_tables

# As to_regclass() does, but without the views of the past, which are first inside time_travel().
FOUND_TABLE: Final = (
    "FROM pg_catalog.parse_ident(%s) AS p (parts) CROSS JOIN LATERAL unnest("
    "CASE cardinality(parts) WHEN 1 THEN pg_catalog.current_schemas(true)::text[] ELSE parts[:1] END"
    ") WITH ORDINALITY AS s (name, place) JOIN pg_catalog.pg_namespace n ON n.nspname = s.name "
    "JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = parts[cardinality(parts)] "
    "WHERE n.nspname <> 'bemi_time_travel' ORDER BY s.place LIMIT 1"
)
"""Goes on after SELECT: the table `c` in the schema `n` that a name, quoted as in SQL, has here and now."""

_SQL: Final = {
    "database": "SELECT pg_catalog.current_database()::text",
    "schema": f"SELECT n.nspname::text {FOUND_TABLE}",
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
    alias = home_of(model, alias or router.db_for_read(model))
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


def database_name(alias: str) -> str:
    """Give the name of the database of an alias, as its server has it; asked once."""
    return str(_ask(alias, "database", ()))


def home_of(model: type[Model], alias: str) -> str:
    """Give the alias of a model's table, from that of its rows.

    Rows of the past come from the alias of BEMI_DATABASE; their table is in the source all the same.
    """
    from bemi_orm.timetravel.views import past_models

    is_apart = alias == settings.DATABASE != settings.SOURCE_DATABASE
    return settings.SOURCE_DATABASE if is_apart and model._meta.db_table in past_models() else alias


def _ask(alias: str, kind: str, params: tuple[str, ...]) -> str | None:
    connection = connections[alias]
    key = (alias, connection.settings_dict["NAME"], kind, *params)
    if _answers.get(key) is None:  # a table that is missing now may be made later
        with connection.cursor() as cursor:
            cursor.execute(_SQL[kind], params)
            row = cursor.fetchone()
        _answers[key] = None if row is None else str(row[0])
    return _answers[key]
