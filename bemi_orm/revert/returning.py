"""References that left a parent and came back to its key, while another row took that parent's place. Pure.

Nothing of them is to be undone, yet a plan that puts the former parent back into its place has to let go of
what points there, and to write the same reference again.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from bemi_orm.revert.folding import RowNet, differing
from bemi_orm.revert.steps import ColumnEffect, Effect, Step
from bemi_orm.revert.tables import ForeignKey, Table, Tables
from bemi_orm.revert.uniques import values


def returned_columns(net: RowNet, table: Table) -> frozenset[str]:
    """Give the columns of the row's foreign keys that were changed and are as they were."""
    if net.origin is None or net.current is None:
        return frozenset()
    changed = differing(net.origin, net.current)
    keys = (set(key.child_columns) for key in table.parents)
    return frozenset[str]().union(
        *(key for key in keys if key & net.touched and not key & changed and key <= net.current.keys())
    )


def point_again(steps: list[Step], tables: Tables) -> list[Step]:
    """Let steps write those references again whose parent's place passes from row to row.

    Of the steps that come out, `returned` has the columns that are written again; those for nothing are left
    out.
    """
    names = {step.table for step in steps if step.returned}
    passed_on = {key: _passed_on(key, steps) for name in names for key in tables[name].parents}
    found = []
    for step in steps:
        keys = tables[step.table].parents if step.returned else ()
        columns = frozenset(
            column
            for key in keys
            if step.returned.issuperset(key.child_columns)
            and values(step, key.child_columns)[0] in passed_on[key]
            for column in key.child_columns
        )
        again = _with_references(step, columns)
        if again.columns or not step.returned:
            found.append(again)
    return found


def _passed_on(key: ForeignKey, steps: list[Step]) -> set[Any]:
    """Give the places of parents that one step takes away, and another makes anew."""
    moves = [values(step, key.parent_columns) for step in steps if step.table == key.parent]
    removed, made = ({move[side] for move in moves if move[0] != move[1]} for side in (0, 1))
    return (removed & made) - {None}


def _with_references(step: Step, columns: frozenset[str]) -> Step:
    """Give the step with these columns written as they are."""
    if step.effect is not Effect.UPDATE or not columns:
        return replace(step, returned=frozenset())
    same = {column: (step.expected or {})[column] for column in sorted(columns)}
    return replace(
        step,
        columns=(*step.columns, *(ColumnEffect(column, value, value) for column, value in same.items())),
        target={**(step.target or {}), **same},
        returned=columns,
        is_detour=not step.columns,
    )
