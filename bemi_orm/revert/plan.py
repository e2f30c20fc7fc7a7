"""The plan of a revert: what would be done, what stands in the way, and the way to do it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from uuid import UUID

from asgiref.sync import sync_to_async

from bemi_orm.revert.examining import Finding
from bemi_orm.revert.outcomes import AlteredRow
from bemi_orm.revert.settling import MissingParents, OnConflict
from bemi_orm.revert.steps import Conflict, Step


@dataclass(frozen=True, slots=True)
class RevertResult:
    """What an apply has done.

    steps: those taken, in order. skipped: the conflicts whose rows were left alone (`on_conflict="skip"`).
    altered: rows that are not as their steps wrote them, as a trigger or a receiver changed them again.
    """

    steps: tuple[Step, ...]
    skipped: tuple[Conflict, ...]
    altered: tuple[AlteredRow, ...] = ()


@dataclass(frozen=True, slots=True)
class RevertPlan:
    """What it takes to undo some changes, as of the moment when the plan was made; data, to be printed too.

    using: alias of the database that it is about. changes: ids of the changes to undo, in commit order.
    steps: in an order that the constraints allow, conflicting ones included; a row that is already as it
    should be has none. conflicts: reasons why `apply()` would refuse. missing_parents, exact: as they were
    given to `bemi_orm.revert.planning.plan_revert`. drafts, known: what `apply()` starts from.
    """

    using: str
    changes: tuple[UUID, ...]
    steps: tuple[Step, ...]
    conflicts: tuple[Conflict, ...]
    missing_parents: MissingParents = "conflict"
    exact: bool = False
    drafts: tuple[Step, ...] = field(default=(), repr=False)
    known: tuple[Finding, ...] = field(default=(), repr=False)

    def apply(
        self,
        on_conflict: OnConflict = "raise",
        fields: Iterable[str] | None = None,
        *,
        using_sql: bool = False,
    ) -> RevertResult:
        """Do it, in one transaction, under row locks, after a new look at the live rows.

        on_conflict: "raise" RevertConflict and change nothing; "skip" the rows concerned; "overwrite" what
            others did to these rows since. What only a change of other rows could settle is not overwritten.
        fields: undo only these fields (or columns) of rows that were updated; rows that came or went stay.
            A text is one name.
        using_sql: send no signals. By default receivers of pre_save, post_save, pre_delete, post_delete and
            m2m_changed are called as for a write of the ORM, those before with the database as it was, those
            after with all rows written; no `save()` is called, and nothing cascades.
        Raises RevertConflict, which lists all conflicts; FieldError for a name that no table of the plan has;
        what a receiver raises. Nothing is changed then.
        """
        from bemi_orm.revert.applying import apply_plan

        names = [fields] if isinstance(fields, str) else fields
        return apply_plan(self, on_conflict, None if names is None else set(names), using_sql=using_sql)

    async def aapply(
        self,
        on_conflict: OnConflict = "raise",
        fields: Iterable[str] | None = None,
        *,
        using_sql: bool = False,
    ) -> RevertResult:
        """Do as `apply` in async code; receivers are called in the thread that Django's ORM runs in."""
        return await sync_to_async(self.apply)(on_conflict, fields, using_sql=using_sql)

    def __bool__(self) -> bool:
        return bool(self.steps or self.conflicts)

    def __str__(self) -> str:
        counts = [(len(self.changes), "change"), (len(self.steps), "step"), (len(self.conflicts), "conflict")]
        head = "Revert of {}: {}, {}".format(*(_count(number, noun) for number, noun in counts))
        steps = [f"{number:>4}. {step}" for number, step in enumerate(self.steps, 1)]
        return "\n".join([head, *steps, *(f"   ! {conflict}" for conflict in self.conflicts)])


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
