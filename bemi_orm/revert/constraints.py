"""What is around the rows of a plan: unique values that others hold, parents that are gone, children."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from bemi_orm.revert.drafting import conflict
from bemi_orm.revert.examining import Examination, Finding, row_key_text
from bemi_orm.revert.rows import Rows
from bemi_orm.revert.steps import ConflictKind, Effect, Image, Step, freeze
from bemi_orm.revert.tables import ForeignKey, Table, Tables, UniqueIndex
from bemi_orm.revert.uniques import Computed, held


class Surroundings:
    """Checks the steps that an examination left against each other, and against all other rows.

    computed: what the rows of the steps hold in indexes with an expression or a predicate.
    lock: keep the parents that are found as they are until the transaction ends.
    """

    def __init__(
        self,
        rows: Rows,
        tables: Tables,
        examination: Examination,
        computed: Computed,
        *,
        lock: bool = False,
    ) -> None:
        self._rows, self._tables, self._lock = rows, tables, lock
        self._steps = examination.steps
        self._live = examination.live
        self._computed = computed
        self._own = {
            (step.table, freeze(dict(step.identity))): step for step in self._steps if self._exists(step)
        }

    def findings(self) -> Iterator[Finding]:
        """Give everything that would violate a constraint, whichever step it is."""
        for name in sorted({step.table for step in self._steps}):
            table = self._tables[name]
            steps = [(number, step) for number, step in enumerate(self._steps) if step.table == name]
            for index in table.unique_indexes:
                yield from self._taken(table, index, steps)
                yield from self._taken_twice(table, index, steps)
            for key in table.parents:
                yield from self._without_parent(table, key, steps)
            for key in table.children:
                yield from self._with_children(table, key, steps)

    def _exists(self, step: Step) -> bool:
        return self._live.get(step.reference) is not None

    def _after(self, step: Step) -> Image:
        return {**(self._live.get(step.reference) or {}), **step.new_values}

    def _taken(self, table: Table, index: UniqueIndex, steps: list[tuple[int, Step]]) -> Iterator[Finding]:
        wanted = [
            (number, self._after(step))
            for number, step in steps
            if step.effect is not Effect.DELETE and _concerns(step, index)
        ]
        for number, identity in self._rows.holders(table, index, wanted):
            step, own = self._steps[number], self._own.get((table.name, freeze(identity)))
            if own is step or (own is not None and (own.effect is Effect.DELETE or _concerns(own, index))):
                continue
            key = row_key_text(identity)
            yield _clash(step, table, index, key, f"row {key} holds it ({index.name})")

    def _taken_twice(
        self, table: Table, index: UniqueIndex, steps: list[tuple[int, Step]]
    ) -> Iterator[Finding]:
        takers = defaultdict[Any, list[Step]](list)
        for _, step in steps:
            if step.effect is Effect.INSERT or _concerns(step, index):
                takers[held(step, table, index, self._computed)[1]].append(step)
        for value, found in takers.items():
            for step in found if value is not None and len(found) > 1 else ():
                other = next(one for one in found if one is not step)
                yield _clash(step, table, index, other.key, f"row {other.key} takes it too ({index.name})")

    def _without_parent(
        self, table: Table, key: ForeignKey, steps: list[tuple[int, Step]]
    ) -> Iterator[Finding]:
        images = ((number, pointed_to(step, key, self._after(step))) for number, step in steps)
        wanted = [(number, image) for number, image in images if image is not None]
        present = self._rows.find_parents(key, wanted, lock=self._lock)
        provided, removed = self._provided(key), self._removed(key)
        for number, image in wanted:
            goes = number in present and freeze(image) in removed
            if (number in present and not goes) or freeze(image) in provided:
                continue
            step, parent = self._steps[number], row_key_text(image)
            detail = f"{key.parent} {parent} {'is taken away by this plan' if goes else 'does not exist'}"
            found = conflict(ConflictKind.PARENT_GONE, step, table, key.child_columns, detail)
            missing = None if goes else (key.parent, image)
            yield Finding(step.reference, found, ((key.parent, parent),), missing)

    def _provided(self, key: ForeignKey) -> set[Any]:
        return {
            freeze({column: image.get(column) for column in key.parent_columns})
            for step in self._steps
            if step.table == key.parent and step.effect is not Effect.DELETE
            for image in [self._after(step)]
        }

    def _removed(self, key: ForeignKey) -> set[Any]:
        return {
            freeze({column: live.get(column) for column in key.parent_columns})
            for step in self._steps
            if step.table == key.parent
            and (live := self._live.get(step.reference)) is not None
            and _removes(step, key, live)
        }

    def _with_children(
        self, table: Table, key: ForeignKey, steps: list[tuple[int, Step]]
    ) -> Iterator[Finding]:
        asked = [
            (number, {column: live[column] for column in key.parent_columns})
            for number, step in steps
            if (live := self._live.get(step.reference)) is not None and _removes(step, key, live)
        ]
        provided = self._provided(key)
        asked = [
            (number, image)
            for number, image in asked
            if freeze(image) not in provided or not key.can_wait(self._steps[number].effect)
        ]
        pointing: dict[int, list[str | None]] = {}
        for number, identity in self._rows.children(key, asked):
            own = self._own.get((key.child, freeze(identity)))
            if own is None or not (own.effect is Effect.DELETE or own.touched & set(key.child_columns)):
                pointing.setdefault(number, []).append(row_key_text(identity))
        for number, keys in pointing.items():
            step = self._steps[number]
            listed = ", ".join(map(str, keys[:5])) + (f" and {len(keys) - 5} more" if len(keys) > 5 else "")
            detail = f"{key.child} {listed} ({', '.join(key.child_columns)})"
            found = conflict(ConflictKind.CHILDREN_EXIST, step, table, key.parent_columns, detail)
            yield Finding(step.reference, found, tuple((key.child, child) for child in keys[:5]))


def _clash(step: Step, table: Table, index: UniqueIndex, other: str | None, detail: str) -> Finding:
    columns = tuple(column for column in index.columns if column is not None)
    found = conflict(ConflictKind.UNIQUE_TAKEN, step, table, columns, detail)
    return Finding(step.reference, found, ((table.name, other),))


def _concerns(step: Step, index: UniqueIndex) -> bool:
    """Whether the step may move the row in the index; an expression or a predicate may look at any column."""
    if index.is_computed:
        return True
    if index.is_primary and step.effect is Effect.INSERT:
        return False  # the row itself was looked for by its key
    return bool(step.touched & set(index.columns))


def pointed_to(step: Step, key: ForeignKey, after: Image) -> dict[str, Any] | None:
    """Give the columns of the parent that the step makes its row point to; None if it does not.

    after: the row as it is after the step.
    """
    if step.effect is Effect.DELETE or not step.touched & set(key.child_columns):
        return None
    if any(after.get(column) is None for column in key.child_columns):
        return None
    pairs = zip(key.parent_columns, key.child_columns, strict=True)
    return {parent: after[child] for parent, child in pairs}


def _removes(step: Step, key: ForeignKey, live: Image) -> bool:
    if step.effect is Effect.DELETE:
        return True
    return any(
        column in step.touched and step.new_values[column] != live[column] for column in key.parent_columns
    )
