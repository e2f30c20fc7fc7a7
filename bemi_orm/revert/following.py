"""Rows whose keys follow a parent by ON UPDATE CASCADE: where their own steps find them. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

from bemi_orm.revert.steps import Effect, Reference, Step
from bemi_orm.revert.tables import ForeignKey, Tables
from bemi_orm.revert.uniques import values


class Followed(NamedTuple):
    """All steps of the parent come before those of the child."""

    parent: Reference
    child: Reference


def follow(steps: list[Step], tables: Tables) -> tuple[list[Step], list[Followed]]:
    """Give the steps with the keys that their rows have once parents have moved, and what that depends on."""
    parents = _moved_parents(steps, tables)
    found, behind = list(steps), list[Followed]()
    for place, step in enumerate(steps):
        for key in tables[step.table].parents:
            parent = parents.get((key, values(step, key.child_columns)[0]))
            if parent is not None and parent is not step and set(key.child_columns) & set(step.identity):
                found[place] = _follow(found[place], key, parent)
                behind.append(Followed(parent.reference, step.reference))
    return found, behind


def _moved_parents(steps: list[Step], tables: Tables) -> dict[tuple[ForeignKey, Any], Step]:
    moved = {}
    for step in steps:
        for key in tables[step.table].children if step.effect is Effect.UPDATE else ():
            old, new = values(step, key.parent_columns)
            if key.updates_cascade and None not in (old, new) and old != new:
                moved[key, old] = step
    return moved


def _follow(step: Step, key: ForeignKey, parent: Step) -> Step:
    pairs = zip(key.child_columns, key.parent_columns, strict=True)
    changed = {child: parent.new_values[name] for child, name in pairs if name in parent.touched}
    own = {column: value for column, value in changed.items() if column in step.identity}
    return replace(step, identity={**step.identity, **own}, expected={**(step.expected or {}), **changed})
