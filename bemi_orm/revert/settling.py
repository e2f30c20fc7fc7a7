"""Which steps can be taken, and what stands in the way of the others: the same for a preview and at apply."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from bemi_orm.revert.computing import compute
from bemi_orm.revert.constraints import Surroundings
from bemi_orm.revert.drafting import conflict
from bemi_orm.revert.examining import Examination, Finding, examine
from bemi_orm.revert.locking import lock_rows
from bemi_orm.revert.ordering import Order, arrange
from bemi_orm.revert.returning import point_again
from bemi_orm.revert.rows import Rows
from bemi_orm.revert.steps import ConflictKind, Reference, Step
from bemi_orm.revert.tables import Table, Tables

OnConflict: TypeAlias = Literal["raise", "skip", "overwrite"]
MissingParents: TypeAlias = Literal["conflict", "skip", "null", "restore"]


@dataclass(frozen=True, slots=True)
class Settlement:
    """The steps in order, the live rows that they meet, and what was found against them."""

    order: Order
    examination: Examination
    findings: list[Finding]


def settle(
    rows: Rows,
    tables: Tables,
    steps: list[Step],
    known: list[Finding],
    *,
    missing_parents: MissingParents,
    exact: bool,
    lock: bool = False,
    on_conflict: OnConflict = "raise",
) -> Settlement:
    """Examine the steps until nothing new turns up.

    known: what the images alone say against steps; of a step whose target is reached, nothing.
    lock: hold the rows, and those that they will point to, until the transaction ends.
    on_conflict: "skip" leaves out each step with a finding, and then those that depended on it; "overwrite"
    changes steps so that what can be overwritten is; the findings that remain are those that cannot be.
    """
    skipped: list[Finding] = []
    steps = point_again(steps, tables)
    if lock:
        lock_rows(rows, tables, steps)
    while True:
        examination = examine(rows, tables, steps, exact=exact, overwrite=on_conflict == "overwrite")
        found = _with_known(examination, known, on_conflict)
        computed = compute(rows.alias, tables, examination.steps)
        surroundings = Surroundings(rows, tables, examination, computed, lock=lock)
        found += _around(surroundings, tables, examination, missing_parents)
        examination.steps = [step for step in examination.steps if step.columns]
        order = arrange(examination.steps, tables, computed)
        found += [
            Finding(step.reference, conflict(ConflictKind.CYCLE, step, tables[step.table]), ())
            for step in order.stuck
        ]
        refused = {finding.step for finding in found}
        kept = [step for step in steps if step.reference not in refused]
        if on_conflict != "skip" or len(kept) == len(steps):
            return Settlement(order, examination, [*skipped, *found])
        skipped += found
        steps, known = kept, []


def _with_known(examination: Examination, known: list[Finding], on_conflict: OnConflict) -> list[Finding]:
    left = {step.reference for step in examination.steps}
    return [
        finding
        for finding in [*known, *examination.findings]
        if (finding.step is None or finding.step in left)
        and not (on_conflict == "overwrite" and finding in known and finding.conflict.kind.can_overwrite)
    ]


def _around(
    surroundings: Surroundings, tables: Tables, examination: Examination, missing_parents: MissingParents
) -> list[Finding]:
    return [
        finding
        for finding in surroundings.findings()
        if not _let_go(tables, examination, finding, missing_parents)
    ]


def _let_go(
    tables: Tables, examination: Examination, finding: Finding, missing_parents: MissingParents
) -> bool:
    """Leave a reference to nothing out of its step, or set it to NULL; False where that cannot be."""
    if finding.conflict.kind is not ConflictKind.PARENT_GONE or missing_parents not in ("skip", "null"):
        return False
    place, step = _locate(examination.steps, finding.step)
    table, columns = tables[step.table], set(finding.conflict.columns)
    changed = _without(step, columns) if missing_parents == "skip" else _with_null(step, table, columns)
    if changed is None:
        return False
    examination.steps[place] = changed
    return True


def _locate(steps: list[Step], reference: Reference | None) -> tuple[int, Step]:
    return next((place, step) for place, step in enumerate(steps) if step.reference == reference)


def _without(step: Step, columns: set[str]) -> Step:
    kept = tuple(effect for effect in step.columns if effect.column not in columns)
    return replace(step, columns=kept)


def _with_null(step: Step, table: Table, columns: set[str]) -> Step | None:
    nullable = {column for column in columns if table.columns[column].is_nullable}
    if not nullable:
        return None
    effects = (replace(e, new=None) if e.column in nullable else e for e in step.columns)
    return replace(step, columns=tuple(effects))
