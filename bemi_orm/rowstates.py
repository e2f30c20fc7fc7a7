"""What one row was at a moment."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from django.db.models import Q

from bemi_orm.choices import Operation

if TYPE_CHECKING:
    from bemi_orm.models import Change
    from bemi_orm.moments import Bound
    from bemi_orm.querysets import ChangeQuerySet

ROW_OPERATIONS: Final = (Operation.CREATE, Operation.UPDATE, Operation.SNAPSHOT)


class Presence(Enum):
    """Whether there was a row."""

    THERE = "there"
    GONE = "gone"
    NOT_KNOWN = "not known"


class RowState(NamedTuple):
    """A row at a moment; where it was not there, or is not known, the image is empty.

    change: the one that tells it: the last until then, or else the first after.
    """

    presence: Presence
    image: Mapping[str, Any]
    change: Change | None


def state_at(row: ChangeQuerySet[Change], bound: Bound | None) -> RowState:
    """Give the state of a row.

    row: its changes, with those that end it: TRUNCATEs of its table, UPDATEs that took its key away.
    bound: the last place in the order of changes that counts; None for now.
    """
    last = row.filter(until(bound)).order_by("-id").first()
    if last is not None:
        is_there = last.operation in ROW_OPERATIONS
        return RowState(Presence.THERE, last.after, last) if is_there else RowState(Presence.GONE, {}, last)
    # What is older than the capture shows in the first change after (its row before).
    first = None if bound is None else row.exclude(until(bound)).order_by("id").first()
    if first is None or first.operation in (Operation.SNAPSHOT, Operation.TRUNCATE):
        return RowState(Presence.NOT_KNOWN, {}, first)
    presence = Presence.GONE if first.operation == Operation.CREATE else Presence.THERE
    return RowState(presence, first.before, first)


def until(bound: Bound | None) -> Q:
    """Give the condition that a change is not after a place in their order."""
    if bound is None:
        return Q()
    return Q(position__lt=bound.position) | Q(position=bound.position, ordinal__lte=bound.ordinal)
