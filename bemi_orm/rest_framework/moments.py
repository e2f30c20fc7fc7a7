"""Moments and values as query parameters have them."""

from __future__ import annotations

import json
import re
from datetime import datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from rest_framework.exceptions import ValidationError

from bemi_orm.clock import local_now
from bemi_orm.history.moments import Moment
from bemi_orm.models import Change
from bemi_orm.periods import parse_moment, parse_period
from bemi_orm.querysets import ChangeQuerySet
from bemi_orm.wal.lsn import parse_lsn

MAX_DIGITS: Final = 1_000
"""Of a number in a filter; PostgreSQL's `numeric` refuses far more."""
MAX_DEPTH: Final = 50

_LSN: Final = re.compile(r"[0-9A-Fa-f]{1,8}/[0-9A-Fa-f]{1,8}")


def moment_of(text: str) -> datetime:
    """Give the moment for a time or a time span back from now; raises ValueError."""
    return parse_moment(text, local_now())


def start_of(text: str) -> datetime:
    """Give the moment that lies a period such as "24h" back from now; raises ValueError."""
    parse_period(text)
    return moment_of(text)


def past_moment(text: str, changes: ChangeQuerySet[Change], field: str = "at") -> Moment:
    """Give the moment for a time, the id of a change that the user sees, or an LSN.

    Raises ValidationError, which names the field, for anything else and for what lies in the future.
    """
    try:
        if change_id := _uuid(text):
            return changes.get(pk=change_id)
        if _LSN.fullmatch(text):
            if not parse_lsn(text):
                raise ValueError(f"{text} is no place in the WAL.")
            return text
        moment = moment_of(text)
    except Change.DoesNotExist:
        raise ValidationError({field: [f"There is no change {text}."]}) from None
    except ValueError as error:
        raise ValidationError({field: [str(error)]}) from None
    if moment > local_now():
        raise ValidationError({field: [f"{text} lies in the future."]})
    return moment


def forms_of(text: str) -> list[Any]:
    """Give what a text in a query may mean: the JSON value that it is, and the text itself.

    So `context.user_id=1` finds the number and the text. Raises ValueError for what jsonb cannot hold.
    """
    if text.count("[") + text.count("{") > MAX_DEPTH:
        raise ValueError("The value is nested too deeply.")
    try:
        value = json.loads(text, parse_float=Decimal, parse_constant=_refuse)
    except ValueError:
        value = text
    if isinstance(value, Decimal) and abs(value.adjusted()) > MAX_DIGITS:
        raise ValueError("The number is too large or too small.")
    _ensure_storable(value)
    return [value] if value == text else [value, text]


def _ensure_storable(value: Any) -> None:
    """Half a surrogate pair has no UTF-8, so encode() raises a ValueError as well."""
    if b"\\u0000" in json.dumps(value, ensure_ascii=False, default=str).encode():
        raise ValueError("Null characters are not allowed.")


def _refuse(constant: str) -> Any:
    raise ValueError(constant)


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
