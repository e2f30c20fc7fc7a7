"""A plan carried out: one transaction, rows locked, everything looked at again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final, get_args
from uuid import UUID

from django.core.exceptions import FieldError
from django.db import DatabaseError, DataError, transaction

from bemi_orm.exceptions import RevertConflict
from bemi_orm.revert.culprits import name_culprits
from bemi_orm.revert.drafting import conflict, restrict
from bemi_orm.revert.examining import Finding
from bemi_orm.revert.outcomes import find_altered
from bemi_orm.revert.plan import RevertPlan, RevertResult
from bemi_orm.revert.refusals import is_refusal, refusal
from bemi_orm.revert.rows import Rows
from bemi_orm.revert.settling import OnConflict, Settlement, settle
from bemi_orm.revert.signalling import Announcements
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
    application = _Application(plan, on_conflict, fields)
    try:
        with context(**{CONTEXT_KEY: _named(plan.changes)}), transaction.atomic(using=plan.using):
            return application.run(using_sql=using_sql)
    except DatabaseError as error:
        if application.is_announcing or not is_refusal(error):  # a receiver's own, or nothing about rows
            raise
        raise RevertConflict(application.explain(error)) from error


class _Application:
    """One attempt. is_announcing: receivers of signals are at work."""

    def __init__(self, plan: RevertPlan, on_conflict: OnConflict, fields: set[str] | None) -> None:
        self._plan, self._on_conflict = plan, on_conflict
        self._rows = Rows(plan.using)
        self._tables: Tables = read_tables(plan.using, {step.table for step in plan.drafts})
        self._drafts = _restricted(plan.drafts, self._tables, fields)
        self._known = [known for known in plan.known if fields is None or _concerns(known, self._drafts)]
        self._moved: dict[Reference, Image] = {}
        self._step: Step | None = None
        self._conflicts: list[Conflict] = []
        self.is_announcing = False

    def run(self, *, using_sql: bool) -> RevertResult:
        """Take the steps. Raises RevertConflict, the server's errors, and what receivers raise."""
        settlement = self._settle(self._on_conflict, lock=True)
        self._conflicts = self._name(settlement.findings)
        if self._conflicts and self._on_conflict != "skip":
            raise RevertConflict(self._conflicts)
        told = None if using_sql else self._announcements(settlement)
        if told:
            self._announce(told.send_before)
        self._rows.defer(settlement.order.deferred)
        for step in settlement.order.steps:
            self._take(step)
        self._rows.check(settlement.order.deferred)
        if told:
            self._announce(told.send_after)
        altered = find_altered(self._rows, self._tables, settlement.examination.steps, self._moved)
        return RevertResult(tuple(settlement.order.steps), tuple(self._conflicts), tuple(altered))

    def explain(self, error: Exception) -> list[Conflict]:
        """Say what the server has refused, after the roll-back.

        Somebody else was faster where no lock could keep them off, as with a unique value. Their transaction
        is over by now, or the server would have waited, so that a new look finds what they did.
        """
        try:
            with transaction.atomic(using=self._plan.using):
                found = self._name(self._settle("raise", lock=False).findings)
        except DataError:  # a value that its column does not take, in the look itself
            found = []
        new = [conflict for conflict in found if conflict not in self._conflicts]
        return new or [refusal(error, self._step, self._drafts, self._tables)]

    def _settle(self, on_conflict: OnConflict, *, lock: bool) -> Settlement:
        return settle(
            self._rows,
            self._tables,
            self._drafts,
            self._known,
            missing_parents=self._plan.missing_parents,
            exact=self._plan.exact,
            lock=lock,
            on_conflict=on_conflict,
        )

    def _name(self, findings: list[Finding]) -> list[Conflict]:
        return name_culprits(findings, self._plan.using, frozenset(self._plan.changes))

    def _announcements(self, settlement: Settlement) -> Announcements:
        whole = {step.reference: step for step in settlement.examination.steps}
        steps = [whole[step.reference] for step in settlement.order.steps if not step.is_detour]
        return Announcements(self._tables, steps, settlement.examination.live, self._plan.using)

    def _announce(self, send: Callable[[], None]) -> None:
        self.is_announcing = True
        send()
        self.is_announcing = False

    def _take(self, step: Step) -> None:
        self._step, table = step, self._tables[step.table]
        identity = self._moved.get(step.reference, step.identity)
        key = self._rows.write(table, step, identity)
        if key is None and not self._is_gone(
            replace(step, identity=identity)
        ):  # a trigger of the table kept the row as it is
            raise RevertConflict([conflict(ConflictKind.REFUSED, step, table, (), "no row was written")])
        if key is not None and step.effect is Effect.UPDATE:
            self._moved[step.reference] = key
        self._step = None

    def _is_gone(self, step: Step) -> bool:
        """Whether a row to delete is not there; a receiver, or a cascade, may have been first."""
        if step.effect is not Effect.DELETE:
            return False
        return all(live.row is None for _, live in self._rows.read(self._tables[step.table], [(0, step)]))


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
