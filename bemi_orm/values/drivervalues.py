"""From the JSON of a row image to what Django's PostgreSQL driver gives for the same column.

The converse of `to_jsonb`, by the column's type; a field's own `from_db_value` goes on from there, and so
gives the same value as for a row that was just read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.db.backends.postgresql.psycopg_any import (
    DateRange,
    DateTimeRange,
    DateTimeTZRange,
    NumericRange,
    is_psycopg3,
)
from django.utils.timezone import get_default_timezone, make_naive

from bemi_orm.values.rowjson import ExactEncoder

_ARRAY: Final = re.compile(r"\[\d*\]$")
_MODIFIER: Final = re.compile(r"\([\d, ]*\)")
_COLLATION: Final = re.compile(r' COLLATE ".*"$')
_RANGE: Final = re.compile(r'([\[(])("(?:[^"]|"")*"|[^,"]*),("(?:[^"]|"")*"|[^,"]*)([\])])')
_INTERVAL: Final = re.compile(
    r"(?:([+-]?\d+) years? ?)?(?:([+-]?\d+) mons? ?)?(?:([+-]?\d+) days? ?)?"
    r"(?:([+-])?(\d+):(\d\d):(\d\d)(?:\.(\d{1,6}))?)?"
)


def driver_value(db_type: str, value: Any) -> Any:
    """Give the value of a column, from its decoded JSON in a row image.

    db_type: as `Field.db_type` gives it: `numeric(10, 2)`, `integer[]`. A type with no reader here, such as
        an enum, gives the JSON value as it is.
    Raises ValueError or OverflowError for a value that Python has no form for, such as the date `infinity`.
    """
    db_type = _COLLATION.sub("", db_type)
    if value is None:
        return None
    if _ARRAY.search(db_type):
        return _array(_ARRAY.sub("", db_type), value)
    read = _READERS.get(_MODIFIER.sub("", db_type).strip().lower())
    return value if read is None else read(value)


def _array(element_type: str, values: list[Any]) -> list[Any]:
    """Array types have no fixed depth: `text[]` may hold a list of lists."""
    is_nested = not _ARRAY.search(element_type) and element_type not in ("json", "jsonb")
    return [
        _array(element_type, value)
        if is_nested and isinstance(value, list)
        else driver_value(element_type, value)
        for value in values
    ]


def _bytes(text: str) -> Any:
    data = bytes.fromhex(text.removeprefix("\\x"))
    return data if is_psycopg3 else memoryview(data)


def _json(value: Any) -> str:
    """Django tells both drivers to leave JSON to its field."""
    return json.dumps(value, cls=ExactEncoder)


def _moment(text: str) -> datetime:
    """Django gives aware UTC, or without USE_TZ a naive moment of TIME_ZONE."""
    moment = datetime.fromisoformat(text).astimezone(UTC)
    return moment if settings.USE_TZ else make_naive(moment, get_default_timezone())


def _interval(text: str) -> timedelta:
    """Count a year as 365 days and a month as 30, as both drivers do. Manual: "Interval Output"."""
    match = _INTERVAL.fullmatch(text)
    if not match or not text:
        raise ValueError("not an interval in the style postgres")
    years, months, days = (int(part or 0) for part in match.group(1, 2, 3))
    hours, minutes, seconds = (int(part or 0) for part in match.group(5, 6, 7))
    microseconds = int((match[8] or "").ljust(6, "0"))
    clock = timedelta(hours=hours, minutes=minutes, seconds=seconds, microseconds=microseconds)
    return timedelta(days=years * 365 + months * 30 + days) + (-clock if match[4] == "-" else clock)


def _range(kind: Callable[..., Any], read_bound: Callable[[str], Any]) -> Callable[[str], Any]:
    """Make a reader of one range type. Manual: "Range Input/Output"."""

    def read(text: str) -> Any:
        if text == "empty":
            return kind(empty=True)
        match = _RANGE.fullmatch(text)
        if not match:
            raise ValueError("not a range")
        lower, upper = (read_bound(_unquoted(bound)) if bound else None for bound in match.group(2, 3))
        return kind(lower, upper, match[1] + match[4])

    return read


def _unquoted(bound: str) -> str:
    return bound[1:-1].replace('""', '"') if bound.startswith('"') else bound


_READERS: Final[dict[str, Callable[[Any], Any]]] = {
    "bytea": _bytes,
    "date": date.fromisoformat,
    "daterange": _range(DateRange, date.fromisoformat),
    "double precision": float,
    "int4range": _range(NumericRange, int),
    "int8range": _range(NumericRange, int),
    "interval": _interval,
    "json": _json,
    "jsonb": _json,
    "numeric": Decimal,
    "numrange": _range(NumericRange, Decimal),
    "real": float,
    "time": time.fromisoformat,
    "time with time zone": time.fromisoformat,
    "time without time zone": time.fromisoformat,
    "timestamp": datetime.fromisoformat,
    "timestamp with time zone": _moment,
    "timestamp without time zone": datetime.fromisoformat,
    "timestamptz": _moment,
    "tsrange": _range(DateTimeRange, datetime.fromisoformat),
    "tstzrange": _range(DateTimeTZRange, _moment),
    "uuid": UUID,
}
