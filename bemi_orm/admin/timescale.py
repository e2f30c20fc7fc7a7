"""The span of time that the activity page looks at, cut into minutes, hours or days."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from django.utils.translation import gettext as _

from bemi_orm.facets import Unit
from bemi_orm.periods import parse_period

MAX_SPAN: Final = timedelta(days=366)

_UNITS: Final[tuple[tuple[timedelta, Unit], ...]] = (
    (timedelta(hours=3), "minute"),
    (timedelta(days=3), "hour"),
    (MAX_SPAN, "day"),
)
_STEPS: Final = {"minute": timedelta(minutes=1), "hour": timedelta(hours=1)}


@dataclass(frozen=True, slots=True)
class TimeScale:
    """Slots of one unit of time that lie side by side; start, end: aware, in one time zone."""

    unit: Unit
    start: datetime
    end: datetime

    def slots(self) -> list[datetime]:
        """Give the start of each slot, the oldest first; hours are of equal length, days need not be."""
        found, end = [self.start], self.end.astimezone(UTC)
        while (following := self._after(found[-1])).astimezone(UTC) < end:
            found.append(following)
        return found

    def _after(self, slot: datetime) -> datetime:
        if self.unit == "day":
            return _midnight(slot + timedelta(days=1))
        return (slot.astimezone(UTC) + _STEPS[self.unit]).astimezone(slot.tzinfo)


def time_scale(period: str, now: datetime) -> TimeScale:
    """Give the scale of the time until now; now: aware, in the time zone that days and hours follow.

    period: a span such as `24h`, at most 366 days; raises ValueError for anything else.
    """
    span = parse_period(period)
    if not timedelta() < span <= MAX_SPAN:
        raise ValueError(
            _("%(period)r is not between a minute and %(days)d days")
            % {"period": period, "days": MAX_SPAN.days}
        )
    unit = next(unit for longest, unit in _UNITS if span <= longest)
    start = (now.astimezone(UTC) - span).astimezone(now.tzinfo)
    return TimeScale(unit, _begin_of(unit, start), now)


def _begin_of(unit: Unit, moment: datetime) -> datetime:
    if unit == "minute":
        return moment.replace(second=0, microsecond=0)
    return moment.replace(minute=0, second=0, microsecond=0) if unit == "hour" else _midnight(moment)


def _midnight(moment: datetime) -> datetime:
    """Give the start of the day, which is later where the clocks skip midnight; Python goes by the clock."""
    midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    return midnight.astimezone(UTC).astimezone(moment.tzinfo)
