"""A plan carried out: one transaction, rows locked, everything looked at again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, get_args
from uuid import UUID

from django.core.exceptions import FieldError
from django.db import DataError, IntegrityError, transaction

from bemi_orm.exceptions import RevertConflict
from bemi_orm.revert.culprits import name_culprits
from bemi_orm.revert.drafting import conflict, restrict
from bemi_orm.revert.examining import Finding
from bemi_orm.revert.plan import RevertPlan, RevertResult
from bemi_orm.revert.rows import Rows
from bemi_orm.revert.settling import OnConflict, Settlement, settle
from bemi_orm.revert.signalling import announced
from bemi_orm.revert.steps import Conflict, ConflictKind, Effect, Image, Reference, Step
from bemi_orm.revert.tables import Tables, read_tables
from bemi_orm.transport.scope import context

CONTEXT_KEY: Final = "_bemi_reverts"
"""The key of a revert's context: the ids of the changes that it undoes."""

MAX_NAMED_CHANGES: Final = 200
"""A context has a limit of size; of more changes it holds the first, the last and how many."""


def apply_plan(
    plan: RevertPlan, on_conflict: OnConflict, fields: set[str] | None, *, using_sql: bool
) -> RevertResult:
    """Do what `RevertPlan.apply` says."""
    if on_conflict not in get_args(OnConflict):
        choices = ", ".join(map(repr, get_args(OnConflict)))
        raise ValueError(f"on_conflict is {on_conflict!r}; it must be one of {choices}.")
    try:
        with context(**{CONTEXT_KEY: _named(plan.changes)}), transaction.atomic(using=plan.using):
            return _Application(plan, on_conflict, fields, using_sql=using_sql).run()
    except (IntegrityError, DataError) as error:
        raise RevertConflict([_refusal(plan, error)]) from error


class _Application:
    def __init__(
        self, plan: RevertPlan, on_conflict: OnConflict, fields: set[str] | None, *, using_sql: bool
    ) -> None:
        self._plan, self._on_conflict, self._using_sql = plan, on_conflict, using_sql
        self._rows = Rows(plan.using)
        self._tables: Tables = read_tables(plan.using, {step.table for step in plan.drafts})
        self._drafts = _restricted(plan.drafts, self._tables, fields)
        self._known = [known for known in plan.known if fields is None or _concerns(known, self._drafts)]
        self._moved: dict[Reference, Image] = {}

    def run(self) -> RevertResult:
        settlement = settle(
            self._rows,
            self._tables,
            self._drafts,
            self._known,
            missing_parents=self._plan.missing_parents,
            exact=self._plan.exact,
            lock=True,
            on_conflict=self._on_conflict,
        )
        conflicts = name_culprits(settlement.findings, self._plan.using, frozenset(self._plan.changes))
        if conflicts and self._on_conflict != "skip":
            raise RevertConflict(conflicts)
        self._rows.defer(settlement.order.deferred)
        for step in settlement.order.steps:
            self._take(step, settlement)
        self._rows.check(settlement.order.deferred)
        return RevertResult(tuple(settlement.order.steps), tuple(conflicts))

    def _take(self, step: Step, settlement: Settlement) -> None:
        table = self._tables[step.table]
        identity = self._moved.get(step.reference, step.identity)
        try:
            if self._using_sql:
                key = self._rows.write(table, step, identity)
            else:
                with announced(table, step, settlement.examination.live[step.reference], self._plan.using):
                    key = self._rows.write(table, step, identity)
        except (IntegrityError, DataError) as error:
            detail = f"{type(error).__name__} {_constraint(error)}".rstrip()
            raise RevertConflict([conflict(ConflictKind.REFUSED, step, table, (), detail)]) from error
        if key is None:  # a trigger of the table kept the row as it is
            raise RevertConflict([conflict(ConflictKind.REFUSED, step, table, (), "no row was written")])
        if step.effect is Effect.UPDATE:
            self._moved[step.reference] = key


def _restricted(steps: Sequence[Step], tables: Tables, fields: set[str] | None) -> list[Step]:
    present = [step for step in steps if step.table in tables]
    if fields is None:
        return present
    unknown = [name for name in fields if not any(table.column_names([name]) for table in tables.values())]
    if unknown:
        raise FieldError(f"No table of this revert has a field or column {', '.join(sorted(unknown))}.")
    known = {table.name: table.column_names(fields) for table in tables.values()}
    return [kept for step in present if (kept := restrict(step, known[step.table])) is not None]


def _concerns(finding: Finding, steps: list[Step]) -> bool:
    """Whether something is said against a step that fields have left, and against what is left of it."""
    about = finding.conflict.columns
    touched = (step.touched for step in steps if step.reference == finding.step)
    return any(not about or not columns.isdisjoint(about) for columns in touched)


def _named(changes: tuple[UUID, ...]) -> Any:
    if len(changes) <= MAX_NAMED_CHANGES:
        return [str(change) for change in changes]
    return {"first": str(changes[0]), "last": str(changes[-1]), "count": len(changes)}


def _constraint(error: Exception) -> str:
    return getattr(getattr(error.__cause__, "diag", None), "constraint_name", None) or ""


def _refusal(plan: RevertPlan, error: Exception) -> Conflict:
    """The error came where deferred constraints are checked, or at COMMIT: no single step is to blame."""
    step = plan.drafts[0]
    return Conflict(
        ConflictKind.REFUSED, step.table, None, (), f"{type(error).__name__} {_constraint(error)}".rstrip()
    )
