"""Moments as an address names them: a change, whose whole transaction then counts, or a time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.http import Http404
from django.utils.formats import date_format, time_format
from django.utils.timezone import localtime
from django.utils.translation import gettext as _

from bemi_orm.admin.subjects import change_by_id
from bemi_orm.admin.viewer import Viewer
from bemi_orm.clock import aware, local_now
from bemi_orm.history.moments import Bound, Moment, resolve
from bemi_orm.models import Change
from bemi_orm.periods import parse_moment


@dataclass(frozen=True, slots=True)
class Point:
    """A moment of the past; text: as in the address, time: for people."""

    text: str
    moment: Moment
    time: datetime

    @property
    def field_value(self) -> str:
        """What a `datetime-local` field takes: local, to the second, and not before the moment."""
        return f"{localtime(_ceiling(self.time)):%Y-%m-%dT%H:%M:%S}"

    @property
    def words(self) -> str:
        """The moment in the user's language and time zone, to the second."""
        local = localtime(self.time)
        return f"{date_format(local)} {time_format(local.time(), 'H:i:s')}"

    def resolve(self) -> Bound:
        """Give its place in the order of changes; raises NotCapturedError."""
        return resolve(self.moment)


def read_point(text: str, viewer: Viewer) -> Point:
    """Read a moment: the id of a change, which stands for the end of its transaction, or what people type.

    Raises Http404 for a change that is not there or out of scope, ValueError for what is no moment.
    """
    if len(text) == 36 and text.count("-") == 4:
        change = change_by_id(text, viewer)
        if change is None:
            raise Http404
        last = Change.objects.in_transaction(change).order_by("-id").first() or change
        return Point(text, last, aware(change.committed_at))
    try:
        time = parse_moment(text, local_now())
        localtime(_ceiling(time))
    except OverflowError:
        raise ValueError(_("%(text)s is too far away.") % {"text": text}) from None
    return Point(text, time, time)


def _ceiling(time: datetime) -> datetime:
    whole = time.astimezone(UTC).replace(microsecond=0)
    return whole if whole == time else whole + timedelta(seconds=1)
