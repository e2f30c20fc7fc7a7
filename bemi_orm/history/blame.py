"""Which change last set each field of a row, as `git blame` has it for lines."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bemi_orm.choices import Operation
from bemi_orm.diffing import UNKNOWN, is_same
from bemi_orm.values.fielddiffs import read_row

if TYPE_CHECKING:
    from bemi_orm.models import Change


@dataclass(frozen=True, slots=True)
class Blame:
    """Who set a field: `blame.change.context`, `blame.change.committed_at`.

    field: attribute name, or the column where the table has no model. value: the newest known one.
    change: the one that last changed the value; None if it is older than what is stored.
    is_certain: false where the images do not tell: the change may have written the value that was there, or
        is the SNAPSHOT that found it.
    """

    field: str
    value: Any
    change: Change | None
    is_certain: bool


def blame_row(changes: Iterable[Change]) -> tuple[Blame, ...]:
    """Give, for each field in the model's order, the change that last set it.

    changes: those of one row, the newest first; they are read only as far back as is needed.
    """
    trial: _Trial | None = None
    for change in changes:
        trial = trial or _Trial(read_row(change.row_model, change.after or change.before))
        trial.hear(change)
        if not trial.open_fields:
            break
    return () if trial is None else trial.verdict()


@dataclass(slots=True)
class _Trial:
    values: dict[str, Any]
    settled: dict[str, tuple[Change, bool]] = field(default_factory=dict)
    suspects: dict[str, Change] = field(default_factory=dict)

    @property
    def open_fields(self) -> list[str]:
        return [name for name in self.values if name not in self.settled]

    def hear(self, change: Change) -> None:
        """Take the next older change into account."""
        new, old = (read_row(change.row_model, image) for image in (change.after, change.before))
        for name in self.open_fields:
            if name in new:  # else it was not sent, as it did not change
                self._judge(name, change, new[name], old.get(name, UNKNOWN))

    def _judge(self, name: str, change: Change, new: Any, old: Any) -> None:
        if not is_same(new, self.values[name]):  # so the change after it, of which only this is known, set it
            self.settled[name] = (self.suspects.get(name, change), True)
        elif change.operation in (Operation.CREATE, Operation.SNAPSHOT):
            self.settled[name] = (change, change.operation == Operation.CREATE)
        elif old is UNKNOWN:
            self.suspects[name] = change
        elif is_same(old, new):
            self.suspects.pop(name, None)
        else:
            self.settled[name] = (change, True)

    def verdict(self) -> tuple[Blame, ...]:
        """Give what is found; a suspect that nothing cleared is named, without certainty."""
        found: dict[str, tuple[Change | None, bool]] = dict.fromkeys(self.values, (None, True))
        found |= {name: (change, False) for name, change in self.suspects.items()} | self.settled
        return tuple(Blame(name, self.values[name], *found[name]) for name in self.values)
