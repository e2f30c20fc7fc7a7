"""One tree of errors. Each class says whether trying again can help and what a person should do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bemi_orm.revert.steps import Conflict


class BemiError(Exception):
    """Something that bemi_orm cannot do; the message says what to do about it."""

    retry_helps = False


class DecodeError(BemiError):
    """A WAL message has not the form that the protocol describes; it is never skipped: data would be lost."""

    def __init__(self, reason: str, offset: int) -> None:
        super().__init__(f"{reason} (at byte {offset} of the message)")
        self.reason = reason
        self.offset = offset


class ContextError(BemiError):
    """The content of a `_bemi` message cannot be a context; its changes are stored without one."""


class ConfigurationError(BemiError):
    """A setting or an argument is wrong; correct it and start again."""


class SetupError(BemiError):
    """The source database is not ready for capture; a person must change the server, a role or a table."""


class NotMigratedError(BemiError):
    """The table `changes` is missing in the destination; run `manage.py migrate` for its alias."""


class SourceUnavailableError(BemiError):
    """The tracked database does not answer; trying again may help."""

    retry_helps = True


class SlotInUseError(SourceUnavailableError):
    """Another process reads the replication slot; it takes over when that one stops."""


class DestinationUnavailableError(BemiError):
    """The database that holds `changes` does not answer; nothing is lost, as the slot keeps the WAL."""

    retry_helps = True


class StorageError(BemiError):
    """The destination refuses a change; nothing behind it is stored until a person mends the cause."""


class GapError(BemiError):
    """The slot has moved past the checkpoint: changes in between were never stored; a person must decide."""


class FencedError(BemiError):
    """Another worker has taken the checkpoint over; this one must stop."""


class StoppedError(BemiError):
    """The worker was told to stop while it waited; nothing is lost."""


class HistoricInstanceError(BemiError):
    """A value of a past row is not known, and is not read from the live table; retrying does not help."""

    def __init__(self, instance: object, *names: str) -> None:
        super().__init__(
            f"{', '.join(names) or 'The live row'} of a historic {type(instance).__name__}: not part of its "
            "stored image, and not read from live tables, as past and present would mix. "
            "get_deferred_fields() names the fields that are not known. Read the live row by its key, and "
            "other rows as of then inside bemi_orm.time_travel()."
        )


class PastInstanceError(HistoricInstanceError):
    """An instance that was read inside `time_travel()` is used at another time; retrying does not help."""

    def __init__(self, subject: str) -> None:
        Exception.__init__(
            self,
            f"{subject} that was read inside time_travel() is used outside of it, or at another moment: its "
            "relations would be of another time, and save() would write old values over new ones. Use it "
            "inside. Outside read the live row by its key, take single values from it, or undo changes by "
            "a revert plan.",
        )


class RevertConflict(BemiError):  # noqa: N818 - the name of what it is about
    """Rows cannot be reverted as they are now; nothing was changed.

    Trying again does not help by itself: a person looks at the conflicts, and then takes `on_conflict="skip"`
    or `"overwrite"`, other `missing_parents`, or a wider set of changes. conflicts: all of them, each with
    table, model, key, fields, and by whom. model, key, fields: those of the first.
    """

    def __init__(self, conflicts: Sequence[Conflict]) -> None:
        self.conflicts = tuple(conflicts)
        first = self.conflicts[0]
        self.model, self.key, self.fields = first.model or str(first.table), first.key, first.fields
        lines = "\n".join(f"  {conflict}" for conflict in self.conflicts)
        super().__init__(f"The revert was refused, and nothing was changed:\n{lines}")


class MomentError(BemiError):
    """What was given is no moment; give an aware datetime, a change, or an LSN."""


class NotCapturedError(BemiError):
    """The moment is later than what is stored for certain; try again, or wait, while the worker catches up.

    lag_bytes: WAL between the checkpoint and the moment.
    lag_seconds: from the commit of the newest stored change until now; 0 where none is stored.
    """

    retry_helps = True

    def __init__(self, reason: str, lag_bytes: int, lag_seconds: float) -> None:
        super().__init__(reason)
        self.lag_bytes = lag_bytes
        self.lag_seconds = lag_seconds


class TimeTravelError(BemiError):
    """The past cannot answer the query; change the query, or run `manage.py bemi setup`."""


class PastIsReadOnlyError(TimeTravelError):
    """A write inside `time_travel()`; leave it first, or undo a change by a revert plan."""
