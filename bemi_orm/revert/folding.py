"""Several changes of one row become one: what it was before the first, and is after the last. Pure.

A row keeps its identity through changes of its key, and through a delete and an insert under the same key.
Images, not keys alone, tell rows apart, as inside a transaction a deferrable key can be held by two at once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from uuid import UUID

from bemi_orm.diffing import is_same
from bemi_orm.revert.steps import Image, TableName

_NEVER = -1


class RowEvent(NamedTuple):
    """One change of one row.

    change: its id. position: commit LSN of its transaction.
    key_before, key_after: the row's key, None on the side where there is no row.
    before, after: the images, None on the side where there is no row.
    """

    change: UUID
    position: int
    table: TableName
    key_before: str | None
    key_after: str | None
    before: Image | None
    after: Image | None


@dataclass(slots=True, eq=False)
class RowNet:
    """The net effect of some changes on one row.

    origin: the row as it is to be again; None if there was none. current: as the last change left it.
    key: the key that it was last seen under. position, arrived: commit LSN of the last change, and of the
    one that brought it to its key. touched: columns that the changes changed. unknown: columns that they may
    have changed, from a value that the WAL did not carry. disputed: touched columns that a change in
    between, not of the set, changed as well. was_remade: such a change made or ended the row itself.
    """

    table: TableName
    key: str | None
    origin: Image | None
    current: Image | None
    position: int = _NEVER
    arrived: int = _NEVER
    changes: list[UUID] = field(default_factory=list)
    touched: set[str] = field(default_factory=set)
    unknown: set[str] = field(default_factory=set)
    disputed: set[str] = field(default_factory=set)
    was_remade: bool = False

    def append(self, event: RowEvent) -> None:
        """Let one more change happen to the row."""
        self._notice_gap(event)
        self._touch(event)
        if event.key_after is not None and event.key_after != event.key_before:
            self.arrived = event.position
        self.current = _carry(self.current, event)
        self.key = event.key_before if event.after is None else event.key_after
        self.position = event.position
        self.changes.append(event.change)

    def _notice_gap(self, event: RowEvent) -> None:
        """Compare what the last change left with what this one found: others may have been in between."""
        if self.current is None or event.before is None:
            self.was_remade |= self.current is not None or event.before is not None
            return
        found = differing(self.current, event.before)
        if self.origin is None:
            self.disputed |= found
            return
        self.disputed |= found & self.touched
        # What others set in columns that the set leaves alone is theirs, and stays.
        self.origin = {**self.origin, **{column: event.before[column] for column in found - self.touched}}

    def _touch(self, event: RowEvent) -> None:
        if event.before is None or event.after is None:
            self.touched |= (event.after or event.before or {}).keys()
            return
        known = {**(self.current or {}), **event.before}
        self.touched |= differing(known, event.after)
        self.unknown |= event.after.keys() - known.keys()


class Folder:
    """Takes changes in commit order, gives the net effect on each row.

    shared_keys: tables whose key is deferrable, so that two rows can hold one inside a transaction.
    """

    def __init__(self, shared_keys: Container[tuple[str, str]] = ()) -> None:
        self._shared_keys = shared_keys
        self._nets: list[RowNet] = []
        self._alive: defaultdict[tuple[TableName, str | None], list[RowNet]] = defaultdict(list)
        self._ended: defaultdict[tuple[TableName, str | None], list[RowNet]] = defaultdict(list)

    def add(self, event: RowEvent) -> None:
        """Fold one more change in; it is later than all before it."""
        net = self._find(event) or self._start(event)
        net.append(event)
        home = self._ended if event.after is None else self._alive
        home[net.table, net.key].append(net)

    def nets(self) -> list[RowNet]:
        """Give the net effects, in the order of each row's first change."""
        return [net for net in self._nets if net.origin is not None or net.current is not None]

    def _start(self, event: RowEvent) -> RowNet:
        net = RowNet(event.table, event.key_before, origin=event.before, current=event.before)
        self._nets.append(net)
        return net

    def _find(self, event: RowEvent) -> RowNet | None:
        """Give the row that the event is about, and take it from its place.

        A row that came to this key in this very transaction, and looks otherwise, is another row: two hold
        the key for a moment. One that was here earlier is the same, changed in between by others.
        """
        slot = (event.table, event.key_after if event.before is None else event.key_before)
        alive, ended = self._alive[slot], self._ended[slot]
        if event.before is None:
            was_deleted_by_others = event.table not in self._shared_keys  # else one more row holds the key
            return _take(ended, lambda net: True) or _take(alive, lambda net: was_deleted_by_others)
        before = event.before
        return (
            _take(alive, lambda net: not differing(net.current or {}, before))
            or _take(alive, lambda net: net.arrived < event.position)
            or _take(ended, lambda net: net.position < event.position)
        )


def fold(events: Iterable[RowEvent], shared_keys: Container[tuple[str, str]] = ()) -> list[RowNet]:
    """Give the net effect of changes, which come in commit order; see `Folder`."""
    folder = Folder(shared_keys)
    for event in events:
        folder.add(event)
    return folder.nets()


def differing(one: Image, other: Image) -> set[str]:
    """Give the columns that both images know, with different values."""
    return {column for column in one.keys() & other.keys() if not is_same(one[column], other[column])}


def _take(nets: list[RowNet], fits: Callable[[RowNet], bool]) -> RowNet | None:
    for index in reversed(range(len(nets))):
        if fits(nets[index]):
            return nets.pop(index)
    return None


def _carry(current: Image | None, event: RowEvent) -> dict[str, Any] | None:
    """Give the image after the event; a value that was not sent is the last one known."""
    if event.after is None:
        return None
    if event.before is None:
        return dict(event.after)
    return {**(current or {}), **event.before, **event.after}
