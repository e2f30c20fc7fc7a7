"""Generated columns that the WAL does not carry: the view makes them as the table does."""

from __future__ import annotations

from collections.abc import Sequence

from django.db import DatabaseError, connections, transaction

from bemi_orm.conf import settings
from bemi_orm.history.states import literal
from bemi_orm.timetravel.columns import Column, shown_type
from bemi_orm.timetravel.creating import SCHEMA, Exists, quoted


def with_generated(query: str, columns: Sequence[Column], table: str, exists: Exists) -> str:
    """Give the query with the values of generated columns where the images have none.

    Before PostgreSQL 18 no generated column is published, and a virtual one never is. The expression is the
    model's, over the columns of the query. Where the database of `changes` cannot compute it, as it lacks a
    function, to read the column raises.
    """
    if all(column.expression is None for column in columns):
        return query
    types = {column.name: shown_type(column, exists) for column in columns}
    listed = ",\n    ".join(_value(column, types, table) for column in columns)
    return f"SELECT\n    {listed}\nFROM (\n{query}\n) AS known"


def _value(column: Column, types: dict[str, str], table: str) -> str:
    name = quoted(column.name)
    if column.expression is None:
        return name
    computed = f"({column.expression})::{types[column.name]}"
    if not _is_computable(computed, types):
        refusal = f"{SCHEMA}.refuse_column({literal(table)}, {literal(column.name)})"
        computed = f"{refusal}::{types[column.name]}"
    return f"COALESCE({name}, {computed}) AS {name}"


def _is_computable(computed: str, types: dict[str, str]) -> bool:
    row = ", ".join(f"NULL::{kind} AS {quoted(name)}" for name, kind in types.items())
    alias = settings.DATABASE
    try:
        with transaction.atomic(using=alias), connections[alias].cursor() as cursor:
            cursor.execute(f"SELECT {computed} FROM (SELECT {row}) AS known LIMIT 0")
    except DatabaseError:
        return False
    return True
