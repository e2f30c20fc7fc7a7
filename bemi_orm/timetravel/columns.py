"""From the row image of a change to the columns of a view, in the types that the model has."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from django.contrib.postgres.fields import ArrayField
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import NOT_PROVIDED, Field, Model, Value

from bemi_orm.conf import settings
from bemi_orm.history.states import literal
from bemi_orm.timetravel.creating import Exists, quoted
from bemi_orm.values.renames import former_columns

KEY_TEXT_TYPES: Final = ("text", "character varying", "varchar", "uuid")
"""Keys that a view shows as their text, as a cast would hide the index; other uuids follow them."""

_SAFE_DEFAULTS: Final = (dict, list, str, bool, int)
_LENGTH: Final = re.compile(r"^(varchar|character varying|numeric)\(.*?\)")
"""Older values may be longer than the column is now."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a view.

    type: of PostgreSQL, without a length. former: names that the column had.
    default: SQL of the jsonb that the column has in a row that was stored before it existed, or None.
    collation: of the column, where it has one of its own. expression: SQL of a generated column.
    """

    name: str
    type: str
    former: tuple[str, ...] = ()
    default: str | None = None
    collation: str | None = None
    expression: str | None = None


def columns_of(model: type[Model]) -> tuple[Column, ...]:
    """Give the columns of the model's own table."""
    connection = connections[settings.DATABASE]
    return tuple(_column(field, connection) for field in model._meta.local_concrete_fields)


def image_sql(column: Column, unknown: str, exists: Exists) -> str:
    """Give the expression for a column's value in `c.after`.

    unknown: the SQL of the jsonb for an image that lacks the column.
    """
    stored = ", ".join(f"c.after -> {literal(name)}" for name in (column.name, *column.former))
    value = f"COALESCE({stored}, {unknown})"
    kind = column.type if exists("type", column.type) else "text"
    if kind == "uuid":  # in the order of uuids, whatever the database's collation
        return f"({value} #>> '{{}}') COLLATE \"C\""
    if kind in ("json", "jsonb"):
        return f"NULLIF({value}, 'null')::{kind}"
    if kind.endswith("]"):
        kind = kind.replace("uuid", "text") if kind.startswith("uuid[") else kind
        return f"(SELECT r.v FROM jsonb_to_record(jsonb_build_object('v', {value})) AS r (v {kind}))"
    return f"({value} #>> '{{}}')::{kind}{_collate(column, exists)}"


def shown_type(column: Column, exists: Exists) -> str:
    """Give the type that a view shows the column in; see `image_sql`."""
    return column.type if "uuid" not in column.type and exists("type", column.type) else "text"


def key_sql(column: Column, exists: Exists, *, is_integer: bool) -> str:
    """Give the expression for the only column of a key: such that a condition on it reaches the index.

    is_integer: whether it is of an integer type in the table, whatever the model says.
    """
    if is_integer:
        return "c.primary_key_int"
    has_text = column.type in KEY_TEXT_TYPES or not exists("type", column.type)
    return "c.primary_key" if has_text else f"c.primary_key::{column.type}"


def _column(field: Field[Any, Any], connection: BaseDatabaseWrapper) -> Column:
    column = str(field.column)
    kind = _LENGTH.sub(r"\1", field.db_type(connection) or "text")
    return Column(
        name=column,
        type=kind,
        former=former_columns(field.model, column),
        default=_default(field, kind, connection),
        # A key that is compared with it is COLLATE "C", and two collations are none.
        collation=None if field.is_relation else field.db_parameters(connection).get("collation"),
        expression=_expression(field, connection),
    )


def _collate(column: Column, exists: Exists) -> str:
    if column.collation is None:
        return ""
    collation = quoted(column.collation)
    return f" COLLATE {collation}" if exists("collation", collation) else ""


def _expression(field: Any, connection: BaseDatabaseWrapper) -> str | None:
    if not field.generated:
        return None
    sql, params = field.generated_sql(connection)
    composed = connection.ops.compose_sql(sql, params) if params else sql  # type: ignore[attr-defined]
    return str(composed)


def _default(field: Field[Any, Any], kind: str, connection: BaseDatabaseWrapper) -> str | None:
    """Give what a migration that adds the field puts into the rows that are there, where that is certain."""
    default = _given_default(field)
    if default is None or isinstance(field, ArrayField):
        return None
    value = field.get_db_prep_save(default, connection)
    with connection.schema_editor(collect_sql=True, atomic=False) as editor:
        quoted = editor.quote_value(value)
    return f"to_jsonb({quoted}::{kind})"


def _given_default(field: Field[Any, Any]) -> Any:
    """Give the value, or None where there is none or it is not certain; the database's own goes first."""
    if field.has_db_default():
        given = field.db_default
        if isinstance(given, Value):
            return given.value
        return None if hasattr(given, "resolve_expression") else given
    default = field.default
    if callable(default):
        return default() if default in _SAFE_DEFAULTS else None
    return None if default is NOT_PROVIDED else default
