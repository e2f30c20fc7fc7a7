"""The rows that an apply holds until its transaction ends: its own, and those that its own will point to."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from bemi_orm.revert.constraints import pointed_to
from bemi_orm.revert.rows import Rows
from bemi_orm.revert.steps import Image, Step, TableName
from bemi_orm.revert.tables import ForeignKey, Tables


def lock_rows(rows: Rows, tables: Tables, steps: Iterable[Step]) -> None:
    """Lock the rows of the steps, and the parents that they refer to, as far as there are such.

    Tables go by name and rows by key, so that two reverts do not wait crosswise. The exception is two rows of
    one table that are each the other's parent: then the server ends one of the reverts.
    """
    own = defaultdict[TableName, list[Step]](list)
    for step in steps:
        own[step.table].append(step)
    parents = _parents(tables, own)
    for name in sorted(own.keys() | parents.keys()):
        if name in own:
            rows.lock(tables[name], own[name])
        for key, wanted in parents.get(name, ()):
            rows.find_parents(key, wanted, lock=True)


def _parents(
    tables: Tables, own: dict[TableName, list[Step]]
) -> dict[TableName, list[tuple[ForeignKey, list[tuple[int, Image]]]]]:
    found = defaultdict[TableName, list[tuple[ForeignKey, list[tuple[int, Image]]]]](list)
    for name, steps in own.items():
        for key in tables[name].parents:
            images = (pointed_to(step, key, {**(step.expected or {}), **step.new_values}) for step in steps)
            found[key.parent].append((key, [(n, image) for n, image in enumerate(images) if image]))
    return found
