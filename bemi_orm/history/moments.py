"""A moment of the past, and the last change that belongs to it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias
from uuid import UUID

from django.conf import settings as django_settings
from django.utils.timezone import is_naive, make_aware

from bemi_orm.conf import settings
from bemi_orm.exceptions import MomentError
from bemi_orm.history.captured import Wait, ensure_captured, ensure_lsn_captured
from bemi_orm.history.commits import last_until
from bemi_orm.history.locations import ServerName
from bemi_orm.rows import MAX_ORDINAL, MAX_SOURCE_HASH, change_id_bytes
from bemi_orm.wal.lsn import MAX_LSN, parse_lsn

if TYPE_CHECKING:
    from django.db.models import QuerySet

    from bemi_orm.models import Change


@dataclass(frozen=True, slots=True)
class Before:
    """The moment right before a change, which may be inside its transaction."""

    change: Change


@dataclass(frozen=True, slots=True)
class After:
    """The moment right after a change, which may be inside its transaction."""

    change: Change


Moment: TypeAlias = "datetime | Change | Before | After | str | int"
"""A time: with all that was committed until then. A change: the moment right after it. An LSN, as PostgreSQL
writes it (`"16/B374D848"`) or as a number: with all transactions whose commit is before it in the WAL."""


class Bound(NamedTuple):
    """The last place in the order of changes that belongs to a moment."""

    position: int
    ordinal: int

    @property
    def last_id(self) -> UUID:
        """The id that no change of the moment is above: a range of ids is where the index stops."""
        return UUID(bytes=change_id_bytes(self.position, max(self.ordinal, 0), MAX_SOURCE_HASH))


class _Newest(NamedTuple):
    position: int
    time: datetime


NOTHING: Final = Bound(0, -1)


def resolve(moment: Moment, *, wait: Wait = False) -> Bound:
    """Give the place in the order of changes up to which they belong to the moment.

    Commit times do not rise strictly with the order of commits. So a time means the last transaction that
    was committed until then, with everything that was committed before it: a state that did exist. On clocks
    that were set back see `last_until`.

    wait: seconds to wait for the worker where the moment is not stored yet; True for a minute.
    Raises MomentError for what is no moment, NotCapturedError for one later than what is stored.
    """
    from bemi_orm.models import Change

    match moment:
        case After(change):
            return Bound(change.position, change.ordinal)
        case Before(change):
            return Bound(change.position, change.ordinal - 1)
        case Change():
            return Bound(moment.position, moment.ordinal)
        case datetime():
            return _until(_aware(moment), wait)
    lsn = _lsn(moment)
    ensure_lsn_captured(lsn, wait)
    return Bound(lsn - 1, MAX_ORDINAL)


def _aware(moment: datetime) -> datetime:
    """Follow Django: a naive time is local only where USE_TZ is off."""
    if not is_naive(moment):
        return moment
    if django_settings.USE_TZ:
        raise MomentError(
            f"{moment!r} has no time zone. Give an aware datetime, such as django.utils.timezone.now() gives."
        )
    return make_aware(moment)


def _lsn(moment: object) -> int:
    if isinstance(moment, str):
        try:
            return parse_lsn(moment)
        except ValueError as error:
            raise MomentError(f"{error} Give a datetime for a time.") from None
    if isinstance(moment, int) and not isinstance(moment, bool) and 0 < moment <= MAX_LSN:
        return moment
    raise MomentError(
        f"{type(moment).__name__} is no moment. Give an aware datetime, a Change (or Before(change), "
        'After(change)), or an LSN such as "16/B374D848".'
    )


def _until(time: datetime, wait: Wait) -> Bound:
    newest = _newest()
    if newest is None or newest.time <= time:
        ensure_captured(time, newest.time if newest else None, wait)
        newest = _newest()
    if newest is None:
        return NOTHING
    if newest.time <= time:
        return Bound(newest.position, MAX_ORDINAL)
    source, alias = settings.SOURCE_DATABASE, settings.DATABASE
    position = last_until(time, newest.position, source=source, alias=alias)
    return NOTHING if position is None else Bound(position, MAX_ORDINAL)


def _newest() -> _Newest | None:
    change = _changes().order_by("-id").first()
    if change is None:
        return None
    time = change.committed_at
    return _Newest(change.position, make_aware(time) if is_naive(time) else time)


def _changes() -> QuerySet[Change]:
    from bemi_orm.models import Change

    source = ServerName(settings.SOURCE_DATABASE, "database")
    return Change.objects.using(settings.DATABASE).filter(database=source).only("position", "committed_at")
