"""A row that makes room for another: its step in two, so that a circle of steps opens. Pure."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any, Final

from bemi_orm.revert.steps import PARKED, ColumnEffect, Effect, Step
from bemi_orm.revert.tables import Column, Table

_TOPS: Final = {"smallint": 2**15 - 1, "integer": 2**31 - 1, "bigint": 2**63 - 1}

_NUMERIC: Final = re.compile(r"numeric\((\d+),(-?\d+)\)")

PARKING_SQL: Final = {
    # Upwards, as many a column takes no negative number.
    "N": "(SELECT CASE WHEN count(*) = 0 THEN 0 WHEN max({column}) > {top} - 1 THEN min({column}) - 1 "
    "ELSE max({column}) + 1 END FROM {table} WHERE {is_finite})",
    "D": "(SELECT min({column}) - interval '1 day' FROM {table})",
    "time": "(SELECT s.free FROM (SELECT (time '00:00' + n * interval '1 second')::{type} AS free "
    "FROM generate_series(0, 86399) AS n) AS s "
    "WHERE NOT EXISTS (SELECT FROM {table} AS h WHERE h.{column} = s.free) LIMIT 1)",
    "S": "left(md5(random()::text), {length})",
    "uuid": "gen_random_uuid()",
}
"""Values that no row holds, by the category of the type (`pg_type.typcategory`), or by the type."""


def can_detour(step: Step, table: Table, columns: tuple[str, ...], *, null_is_free: bool = True) -> bool:
    """Tell whether the row can let go of these columns for a while.

    null_is_free: NULL is no value that another row could hold as well.
    """
    return _pick(step, table, columns, null_is_free) is not None


def detour(step: Step, table: Table, columns: tuple[str, ...], *, null_is_free: bool = True) -> list[Step]:
    """Give the two steps that come in place of one, in their order."""
    column = _pick(step, table, columns, null_is_free)
    assert column is not None
    if step.effect is Effect.INSERT:
        return _insert_then_point(step, column.name)
    return _let_go_first(step, column.name, None if column.is_nullable and null_is_free else PARKED)


def move_then_point(step: Step, columns: set[str]) -> list[Step]:
    """Give the two steps that come in place of an update: these columns are written after the others."""
    rest = tuple(effect for effect in step.columns if effect.column not in columns)
    point = tuple(effect for effect in step.columns if effect.column in columns)
    between = {**(step.expected or {}), **{effect.column: effect.new for effect in rest}}
    return [
        replace(step, columns=rest, target=between),
        replace(step, columns=point, expected=between, is_detour=True),
    ]


def parking_sql(column: Column, table: str, name: str) -> str:
    """Give the SQL of a value for the while; table and name are quoted."""
    return PARKING_SQL[_parking(column)].format(
        table=table,
        column=name,
        type=column.type,
        top=_top(column.type),
        is_finite=_is_finite(column, name),
        length=min(column.max_length or 32, 32),
    )


def _parking(column: Column) -> str:
    if column.type.startswith("time") and not column.type.startswith("timestamp"):
        return "time"
    return column.type if column.type == "uuid" else column.category


def _top(type_: str) -> str:
    """The greatest number that a type takes, as SQL."""
    if (found := _NUMERIC.fullmatch(type_)) is not None:
        precision, scale = map(int, found.groups())
        return f"(1e{precision - scale} - 1e{-scale})"
    return str(_TOPS.get(type_, "'Infinity'::float8"))


def _is_finite(column: Column, name: str) -> str:
    if column.type.startswith(("numeric", "double", "real")):
        return f"{name} > '-Infinity' AND {name} < 'Infinity'"
    return "true"


def _pick(step: Step, table: Table, columns: tuple[str, ...], null_is_free: bool) -> Column | None:
    found = [table.columns[name] for name in columns if name in step.touched]
    nullable = next((column for column in found if column.is_nullable and null_is_free), None)
    if nullable is not None or step.effect is Effect.INSERT:
        return nullable
    referenced = {name for key in table.parents for name in key.child_columns}
    return next((c for c in found if _parking(c) in PARKING_SQL and c.name not in referenced), None)


def _insert_then_point(step: Step, column: str) -> list[Step]:
    value = step.new_values[column]
    without = {**(step.target or {}), column: None}
    insert = replace(step, columns=_with_new(step, column, None), target=without)
    point = replace(
        step,
        effect=Effect.UPDATE,
        columns=(ColumnEffect(column, None, value),),
        expected=without,
        is_detour=True,
    )
    return [insert, point]


def _let_go_first(step: Step, column: str, value: Any) -> list[Step]:
    old = step.old_values[column]
    meanwhile = {**(step.expected or {}), column: value}
    let_go = replace(
        step,
        effect=Effect.UPDATE,
        columns=(ColumnEffect(column, old, value),),
        target=meanwhile,
        is_detour=True,
    )
    main = replace(step, columns=_with_old(step, column, value), expected=meanwhile)
    return [let_go, main]


def _with_new(step: Step, column: str, value: Any) -> tuple[ColumnEffect, ...]:
    return tuple(replace(e, new=value) if e.column == column else e for e in step.columns)


def _with_old(step: Step, column: str, value: Any) -> tuple[ColumnEffect, ...]:
    return tuple(replace(e, old=value) if e.column == column else e for e in step.columns)
