"""One tree of errors. Each class says whether trying again can help and what a person should do."""

from __future__ import annotations


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


class GapError(BemiError):
    """The slot has moved past the checkpoint: changes in between were never stored; a person must decide."""


class FencedError(BemiError):
    """Another worker has taken the checkpoint over; this one must stop."""


class HistoricInstanceError(BemiError):
    """A value of a past row is not known, and is not read from the live table; retrying does not help."""

    def __init__(self, instance: object, *names: str) -> None:
        what = f"The value of {', '.join(names)}" if names else "The live row"
        super().__init__(
            f"{what} of a historic {type(instance).__name__} is not in its image, and is not read from "
            "the live table, as past and present would mix. get_deferred_fields() names what is not known. "
            "Read the live row by its key, or other rows as of then inside bemi_orm.time_travel()."
        )
