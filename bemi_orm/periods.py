"""Times and spans of time as people type them; standard library only."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_UNIT: Final = r"(?:s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?|d|days?|w|weeks?)"
_PERIOD: Final = re.compile(rf"\d+\s*{_UNIT}(?:\s*\d+\s*{_UNIT})*", re.ASCII)
_PART: Final = re.compile(r"(\d+)\s*([a-z])[a-z]*", re.ASCII)
_CLOCK: Final = re.compile(r"(\d\d?):(\d\d)(?::(\d\d))?", re.ASCII)
_WEEKDAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")

PERIODS: Final = '"24h", "90m", "7d", "2w" or "1d 12h"'
MOMENTS: Final = (
    '"2h", "2 hours ago", "now", "today", "yesterday 14:00", "monday", "09:30", "2026-01-31", '
    '"2026-01-31 18:00" or "2026-01-31T18:00:00Z"'
)


def parse_period(text: str) -> timedelta:
    """Give the span of time that a text such as "24h", "90m", "7d", "2 weeks" or "1d 12h" names.

    A day is 24 hours; there are no months and no years, as these differ in length.
    Raises ValueError, with a message that lists what is understood.
    """
    words = text.strip().lower()
    try:
        return _period(words)
    except (ValueError, OverflowError):
        raise ValueError(f"{text!r} is not a span of time, such as {PERIODS}") from None


def parse_moment(text: str, now: datetime) -> datetime:
    """Give the moment that a text means, aware and in the time zone of `now`.

    text: a span of time back from now ("2h", "2 hours ago"); "now"; a day ("today", "yesterday", a weekday,
        which is the last one or today, or a date), with or without a time of that day; a time of today; or
        ISO 8601, with its own offset or in the zone of `now`. A day alone is its start.
    now: aware.
    Raises ValueError, with a message that lists what is understood.
    """
    if now.utcoffset() is None:
        raise ValueError(f"{now!r} has no time zone")
    try:
        return _moment(text.strip(), now)
    except (ValueError, OverflowError):
        raise ValueError(f"{text!r} is not a time, such as {MOMENTS}") from None


def _period(words: str) -> timedelta:
    if not _PERIOD.fullmatch(words):
        raise ValueError
    parts = (timedelta(**{_UNITS[unit]: int(count)}) for count, unit in _PART.findall(words))
    return sum(parts, timedelta())


def _moment(text: str, now: datetime) -> datetime:
    words = " ".join(text.lower().split())
    period = words.removesuffix(" ago")
    if words == "now":
        return now
    if _PERIOD.fullmatch(period):  # in UTC, as Python subtracts by the clock on the wall
        return (now.astimezone(UTC) - _period(period)).astimezone(now.tzinfo)
    if day_and_time := _day_and_time(words, now.date()):
        return _in_zone(datetime.combine(*day_and_time), now)
    return _in_zone(datetime.fromisoformat(text), now)


def _day_and_time(words: str, today: date) -> tuple[date, time] | None:
    """Read what is said in words; None for what is not."""
    name, _, rest = words.partition(" ")
    day = _named_day(name, today)
    if day is None:
        return (today, _clock(words)) if _CLOCK.fullmatch(words) else None
    return day, _clock(rest) if rest else time.min


def _named_day(name: str, today: date) -> date | None:
    if name in _WEEKDAYS:
        return today - timedelta(days=(today.weekday() - _WEEKDAYS.index(name)) % 7)
    days_ago = {"today": 0, "yesterday": 1}.get(name)
    return None if days_ago is None else today - timedelta(days=days_ago)


def _clock(words: str) -> time:
    match = _CLOCK.fullmatch(words)
    if match is None:
        raise ValueError
    hour, minute, second = (int(part or 0) for part in match.groups())
    return time(hour, minute, second)


def _in_zone(moment: datetime, now: datetime) -> datetime:
    """Go through UTC: what the clocks skipped in spring becomes a time that they did show."""
    aware = moment if moment.utcoffset() is not None else moment.replace(tzinfo=now.tzinfo)
    return aware.astimezone(UTC).astimezone(now.tzinfo)
