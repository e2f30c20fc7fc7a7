"""Years, months and days to choose from, worked out from the first and the last change alone."""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Final, Literal

from django.utils.formats import date_format
from django.utils.timezone import get_current_timezone, localdate
from django.utils.translation import gettext as _

from bemi_orm.clock import aware

if TYPE_CHECKING:
    from bemi_orm.models import Change
    from bemi_orm.querysets import ChangeQuerySet

_FORM: Final = re.compile(r"(\d{4})(?:-(\d\d))?(?:-(\d\d))?", re.ASCII)
_FORMATS: Final = {"year": "Y", "month": "YEAR_MONTH_FORMAT", "day": "MONTH_DAY_FORMAT"}

Unit = Literal["year", "month", "day"]


@dataclass(frozen=True, slots=True)
class Span:
    """A year, a month or a day of the calendar; first, last: its days."""

    unit: Unit
    first: date
    last: date

    @property
    def value(self) -> str:
        """The form that `parse_span` takes: `2026`, `2026-01` or `2026-01-31`."""
        return self.first.isoformat()[: {"year": 4, "month": 7, "day": 10}[self.unit]]

    @property
    def label(self) -> str:
        """The span as the user's language writes it."""
        return date_format(self.first, _FORMATS[self.unit])

    def moments(self) -> tuple[datetime, datetime]:
        """Give its start, and the start of what follows, in the current time zone."""
        return _midnight(self.first), _midnight(self.last + timedelta(days=1))

    def parents(self) -> list[Span]:
        """Give the year of a month, and the year and month of a day."""
        year, month = _year(self.first.year), _month(self.first.year, self.first.month)
        return {"year": [], "month": [year], "day": [year, month]}[self.unit]


def parse_span(text: str) -> Span:
    """Read `2026`, `2026-01` or `2026-01-31`; raises ValueError for anything else."""
    match = _FORM.fullmatch(text)
    if match is None:
        message = _("%(text)r is not a year, a month or a day, such as 2026, 2026-01 or 2026-01-31")
        raise ValueError(message % {"text": text})
    year, month, day = (int(part or 0) for part in match.groups())
    if match[3]:
        return _day(date(year, month, day))
    return _month(year, month) if match[2] else _year(year)


def spans_within(span: Span | None, ends: tuple[date, date]) -> list[Span]:
    """Give what can be chosen next: years, the months of a year, or the days of a month.

    ends: the days of the first and the last change; only what reaches into them is given, empty days too.
    Where there is but one, what can be chosen in it.
    """
    first, last = ends
    parts = [part for part in _parts(span, first, last) if part.last >= first and part.first <= last]
    return spans_within(parts[0], ends) if len(parts) == 1 and parts[0].unit != "day" else parts


def ends_of(changes: ChangeQuerySet[Change]) -> tuple[date, date] | None:
    """Give the days of the first and the last change, by two look-ups in the index of the ids."""
    times = changes.values_list("committed_at", flat=True)
    first, last = times.order_by("id").first(), times.order_by("-id").first()
    return (localdate(aware(first)), localdate(aware(last))) if first and last else None


def _parts(span: Span | None, first: date, last: date) -> Iterator[Span]:
    if span is None:
        yield from (_year(year) for year in range(first.year, last.year + 1))
    elif span.unit == "year":
        yield from (_month(span.first.year, month) for month in range(1, 13))
    elif span.unit == "month":
        yield from (_day(span.first.replace(day=day)) for day in range(1, span.last.day + 1))


def _year(year: int) -> Span:
    return Span("year", date(year, 1, 1), date(year, 12, 31))


def _month(year: int, month: int) -> Span:
    first = date(year, month, 1)
    return Span("month", first, first.replace(day=calendar.monthrange(year, month)[1]))


def _day(day: date) -> Span:
    return Span("day", day, day)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time.min, get_current_timezone())
