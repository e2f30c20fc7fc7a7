"""What one row was at a moment."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from django.db.models import Q

from bemi_orm.choices import Operation
from bemi_orm.history.rowhistory import key_is

if TYPE_CHECKING:
    from bemi_orm.history.keys import RowKey
    from bemi_orm.history.moments import Bound
    from bemi_orm.models import Change
    from bemi_orm.querysets import ChangeQuerySet

LEAVE_A_ROW: Final = (Operation.CREATE, Operation.UPDATE, Operation.SNAPSHOT)

NEWEST_FIRST: Final = ("-position", "-ordinal")
OLDEST_FIRST: Final = ("position", "ordinal")
"""The order of ids in the terms of the indexes by key, which find one change of a long history at once."""


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


def state_of_row(
    row: ChangeQuerySet[Change], truncates: ChangeQuerySet[Change], bound: Bound | None
) -> RowState:
    """Give the state of a row at a place in the order of changes; None for now.

    row: its changes. truncates: those that emptied its table. Before the first change that is stored, the row
    is what that change found.
    """
    last = row.filter(until(bound)).order_by(*NEWEST_FIRST).first()
    if last is None:
        return _found_by_first(row, bound)
    is_there = last.operation in LEAVE_A_ROW and not truncates.filter(until(bound), id__gt=last.id).exists()
    return RowState(Presence.THERE, last.after, last) if is_there else RowState(Presence.GONE, {}, last)


def state_of_key(table: ChangeQuerySet[Change], key: RowKey, bound: Bound | None) -> RowState:
    """Do the same for the row that held a key of the table at that moment.

    table: the changes of the table.
    """
    state = state_of_row(table.filter(key_is(key)), table.truncated(), bound)
    if state.presence is not Presence.THERE or state.change is None:
        return state
    since = table.filter(until(bound), previous_primary_key=key.text, id__gt=state.change.id)
    is_moved = any(_takes_away(move, state.change) for move in since)
    return RowState(Presence.GONE, {}, state.change) if is_moved else state


def until(bound: Bound | None) -> Q:
    """Give the condition that a change is not after a place in their order."""
    if bound is None:
        return Q()
    # The first half is what an index can begin at.
    return Q(position__lte=bound.position) & (Q(position__lt=bound.position) | Q(ordinal__lte=bound.ordinal))


def _found_by_first(row: ChangeQuerySet[Change], bound: Bound | None) -> RowState:
    first = None if bound is None else row.order_by(*OLDEST_FIRST).first()
    if first is None or first.operation == Operation.SNAPSHOT:
        return RowState(Presence.NOT_KNOWN, {}, first)
    if first.operation == Operation.CREATE:
        return RowState(Presence.GONE, {}, first)
    return RowState(Presence.THERE, first.before, first)


def _takes_away(move: Change, last: Change) -> bool:
    """Inside one transaction two rows can hold a deferrable key; the images tell which of them left."""
    return move.position != last.position or move.before == last.after
