"""The text that PostgreSQL has for a Python value, with TimeZone=UTC and DateStyle=ISO."""

from __future__ import annotations

from datetime import UTC, datetime, time
from decimal import Decimal
from typing import Any


def postgres_text(value: Any) -> str:
    """Give what the type's output function gives, as the WAL carries it.

    Manual: "Boolean Type", "Date/Time Output", "bytea Hex Format". Other classes give their `str()`.
    """
    match value:
        case bool():
            return "t" if value else "f"
        case datetime() | time():
            return time_text(value)
        case Decimal():
            return format(value, "f") if value.is_finite() else str(value)
        case bytes() | bytearray() | memoryview():
            return "\\x" + bytes(value).hex()
        case _:
            return str(value)


def time_text(value: datetime | time, separator: str = " ", offset: str = "+00") -> str:
    """Give a time with no more digits of its second than it has, an aware moment in UTC.

    separator, offset: between date and time, and for UTC; `T` and `+00:00` are those of `to_jsonb`.
    """
    if isinstance(value, datetime):
        if value.tzinfo is not None:
            return time_text(value.astimezone(UTC).replace(tzinfo=None), separator) + offset
        text = value.isoformat(separator)
    else:
        text = value.isoformat()
    return text.rstrip("0") if value.microsecond else text
