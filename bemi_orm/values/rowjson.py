"""JSON of row images: exact numbers both ways, and times in the text that `to_jsonb` gives them."""

from __future__ import annotations

import json
import math
import sys
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from bemi_orm.values.pgtext import time_text

_MAX_INT_DIGITS: Final = sys.int_info.default_max_str_digits


class ExactDecoder(json.JSONDecoder):
    """Decodes a number with a fraction as Decimal, never as float; its scale stays.

    An integer is an int; beyond Python's limit of digits, which PostgreSQL's `numeric` exceeds, a Decimal.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"parse_float": Decimal, "parse_int": _parse_integer, **options})


class ExactEncoder(json.JSONEncoder):
    """Encodes what a row may hold as `to_jsonb` does, so that containment finds it.

    A Decimal is a number with its scale; NaN and Infinity are strings; date, time and UUID are their text;
    an aware datetime is moved to UTC. Anything else that JSON has no form for is a TypeError.
    """

    def encode(self, o: Any) -> str:
        """Give the JSON text; the standard encoder has no way to write a number from its digits."""
        if isinstance(o, float) and not math.isfinite(o):
            o = Decimal(o)  # PostgreSQL's spelling
        if isinstance(o, Decimal):
            return format(o, "f") if o.is_finite() else json.dumps(str(o))
        if isinstance(o, dict):
            members = (f"{json.dumps(str(key))}: {self.encode(value)}" for key, value in o.items())
            return f"{{{', '.join(members)}}}"
        if isinstance(o, list | tuple):
            return f"[{', '.join(map(self.encode, o))}]"
        return super().encode(o)

    def default(self, o: Any) -> Any:
        """Give the text of a time or a UUID."""
        if isinstance(o, datetime | time):
            return time_text(o, separator="T", offset="+00:00")
        if isinstance(o, date | UUID):
            return str(o)
        return super().default(o)


def _parse_integer(digits: str) -> int | Decimal:
    return int(digits) if len(digits) <= _MAX_INT_DIGITS else Decimal(digits)
