"""A row that makes room for another: its step in two, so that a circle of steps opens. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from bemi_orm.revert.steps import PARKED, ColumnEffect, Effect, Step
from bemi_orm.revert.tables import Column, Table

PARKING_SQL: Final = {
    "N": "(SELECT min({column}) - 1 FROM {table})",
    "D": "(SELECT min({column}) - interval '1 day' FROM {table})",
    "S": "left(md5(random()::text), {length})",
    "U": "gen_random_uuid()",
}
"""Values that no row holds, by the category of the type (`pg_type.typcategory`)."""


def can_detour(step: Step, table: Table, columns: tuple[str, ...]) -> bool:
    """Tell whether the row can let go of these columns for a while."""
    return _pick(step, table, columns) is not None


def detour(step: Step, table: Table, columns: tuple[str, ...]) -> list[Step]:
    """Give the two steps that come in place of one, in their order."""
    column = _pick(step, table, columns)
    assert column is not None
    if step.effect is Effect.INSERT:
        return _insert_then_point(step, column.name)
    return _let_go_first(step, column.name, None if column.is_nullable else PARKED)


def parking_sql(column: Column, table: str, name: str) -> str:
    """Give the SQL of a value for the while; table and name are quoted."""
    category = "U" if column.type == "uuid" else column.category
    return PARKING_SQL[category].format(table=table, column=name, length=min(column.max_length or 32, 32))


def _pick(step: Step, table: Table, columns: tuple[str, ...]) -> Column | None:
    found = [table.columns[name] for name in columns if name in step.touched]
    nullable = next((column for column in found if column.is_nullable), None)
    if nullable is not None or step.effect is Effect.INSERT:
        return nullable
    referenced = {name for key in table.parents for name in key.child_columns}
    return next((c for c in found if _can_park(c) and c.name not in referenced), None)


def _can_park(column: Column) -> bool:
    return column.type == "uuid" or column.category in PARKING_SQL.keys() - {"U"}


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
