"""From changes to a plan. Only reads, and sends no signal."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, get_args
from uuid import UUID

from django.db import connections

from bemi_orm.conf import settings
from bemi_orm.exceptions import ConfigurationError
from bemi_orm.history.locations import ServerName
from bemi_orm.history.states import find_shared_keys
from bemi_orm.revert.culprits import name_culprits
from bemi_orm.revert.drafting import draft
from bemi_orm.revert.events import events_of
from bemi_orm.revert.examining import Finding, row_key_text
from bemi_orm.revert.folding import RowEvent, RowNet, fold
from bemi_orm.revert.plan import RevertPlan
from bemi_orm.revert.rows import Rows
from bemi_orm.revert.settling import MissingParents, Settlement, settle
from bemi_orm.revert.steps import Step, TableName
from bemi_orm.revert.tables import Table, read_tables

if TYPE_CHECKING:
    from bemi_orm.models import Change
    from bemi_orm.querysets import ChangeQuerySet


def plan_revert(
    changes: ChangeQuerySet[Change] | Iterable[Change],
    *,
    missing_parents: MissingParents = "conflict",
    exact: bool = False,
) -> RevertPlan:
    """Plan to undo changes: each row gets back what it was before the first of them.

    changes: any set, in any order. What others changed in between, in the same columns, is a conflict.
    missing_parents: what to do where a row to restore points to one that is gone: report a "conflict",
        "skip" the field, set it to "null" where that is allowed, or "restore" the parent too.
    exact: the changes are all that came after a moment, so a row that differs anywhere from what the last of
        them left has been changed since, by a change that is not captured yet.
    Holds one image of each row in memory. Raises ConfigurationError for changes of another database.
    """
    ordered = sorted(changes, key=lambda change: change.pk)
    _ensure_of_source(ordered)
    ids = tuple(change.pk for change in ordered)
    return plan_events(events_of(ordered), ids, missing_parents=missing_parents, exact=exact)


def plan_events(
    events: Iterable[RowEvent],
    changes: tuple[UUID, ...],
    *,
    missing_parents: MissingParents = "conflict",
    exact: bool = False,
) -> RevertPlan:
    """Do as `plan_revert` for events, which come in commit order, and the ids of their changes."""
    if missing_parents not in get_args(MissingParents):
        choices = ", ".join(map(repr, get_args(MissingParents)))
        raise ValueError(f"missing_parents is {missing_parents!r}; it must be one of {choices}.")
    alias = settings.SOURCE_DATABASE
    draftsman = _Draftsman(alias)
    draftsman.add(fold(events, find_shared_keys()))
    settlement = draftsman.settle(missing_parents, exact=exact)
    # The deletes of parents that are restored too are undone as well.
    changes = tuple(sorted({*changes, *(change for step in draftsman.steps for change in step.changes)}))
    return RevertPlan(
        using=alias,
        changes=changes,
        steps=tuple(settlement.order.steps + settlement.order.stuck),
        conflicts=tuple(name_culprits(settlement.findings, alias, frozenset(changes))),
        missing_parents=missing_parents,
        exact=exact,
        drafts=tuple(draftsman.steps),
        known=tuple(draftsman.known),
    )


@dataclass(slots=True)
class _Draftsman:
    """Collects the steps of a plan, those of missing parents included."""

    alias: str
    tables: dict[TableName, Table] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)
    known: list[Finding] = field(default_factory=list)

    def add(self, nets: list[RowNet]) -> int:
        """Draft the steps for net effects; give how many there are."""
        self.tables |= read_tables(self.alias, {net.table for net in nets} - self.tables.keys())
        before = len(self.steps)
        for net in nets:
            step, conflicts = draft(net, self.tables.get(net.table))
            self.steps += [step] if step else []
            reference = step.reference if step and (step.columns or not step.returned) else None
            self.known += [Finding(reference, found, ((net.table, net.key),)) for found in conflicts]
        return len(self.steps) - before

    def settle(self, missing_parents: MissingParents, *, exact: bool) -> Settlement:
        """Examine the steps; with "restore", add the steps of parents until none is missing or known."""
        while True:
            settlement = settle(
                Rows(self.alias),
                self.tables,
                self.steps,
                self.known,
                missing_parents=missing_parents,
                exact=exact,
            )
            if missing_parents != "restore" or not self.add(self._lost_parents(settlement.findings)):
                return settlement

    def _lost_parents(self, findings: list[Finding]) -> list[RowNet]:
        deletes = {
            deletion.pk: deletion
            for finding in findings
            if finding.missing is not None
            for deletion in [self._last_delete(*finding.missing)]
            if deletion is not None
        }
        drafted = {change for step in self.steps for change in step.changes}
        return fold(events_of([deletes[pk] for pk in sorted(deletes.keys() - drafted)]))

    def _last_delete(self, table: TableName, values: Any) -> Change | None:
        from bemi_orm.models import Change

        database = ServerName(self.alias, "database")
        changes = Change.objects.filter(database=database, schema=table.schema, table=table.table)
        self.tables |= read_tables(self.alias, {table} - self.tables.keys())
        if table in self.tables and self.tables[table].key == tuple(values):  # there is an index by the key
            changes = changes.filter(primary_key=row_key_text(values))
        return changes.deleted().before(values).desc().first()


def _ensure_of_source(changes: list[Change]) -> None:
    alias = settings.SOURCE_DATABASE
    with connections[alias].cursor() as cursor:
        cursor.execute("SELECT pg_catalog.current_database()::text")
        own = str(cursor.fetchone()[0])
    others = {change.database for change in changes} - {own}
    if others:
        raise ConfigurationError(
            f"Changes of the database {', '.join(sorted(others))} cannot be reverted in {own}, which is the "
            f"alias {alias!r}. Let BEMI_SOURCE_DATABASE name the alias of their database."
        )
