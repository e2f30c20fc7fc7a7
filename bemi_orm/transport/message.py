"""A message: the context of a write as JSON that is safe wherever it stands.

It holds no quote, placeholder or comment sign, so that in a text it can stand before any statement without
touching that one's parameters.
"""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from operator import is_
from typing import Any, Final, NamedTuple
from uuid import UUID

from django.core.signals import setting_changed
from django.dispatch import receiver

from bemi_orm.conf import Settings, settings
from bemi_orm.exceptions import ConfigurationError
from bemi_orm.transport.counters import MESSAGE_FAILED, count, count_error
from bemi_orm.transport.encoding import encode, encode_plain, encode_text
from bemi_orm.transport.request import ERROR_KEY
from bemi_orm.transport.scope import Scope

SQL_KEY: Final = "SQL"
"""Reserved for the statement."""

USER_SQL_KEY: Final = "_SQL"
"""Where a project's own key `SQL` is kept; behind more underscores if it has this one, too."""

LARGEST_CONTEXT: Final = 1 << 19
LONGEST_SQL: Final = 40_000
"""Limits of the settings. The worker takes a message of 1 MiB, and a character takes up to 12 bytes."""

_MARK: Final = '"_bemi_'
"""Begins the keys that name what was altered, which is to be counted each time."""

_UNCHANGING: Final = frozenset({str, int, float, bool, type(None), UUID, Decimal, datetime, date})
"""Types whose values are what they were, as long as they are the same object; `encode_plain` takes fewer."""


def context_text(scope: Scope | None) -> str:
    """Give the scope's context as a JSON object; never raises. By itself it is a message, without SQL."""
    if scope is None:
        return "{}"
    try:
        context = scope.resolve()
        kept = scope.kept  # once: threads may share the scope
        return kept[1] if kept and _is_same(kept[0], context) else _encode(scope, context)
    except Exception as error:
        count_error(MESSAGE_FAILED, error)
        return encode({ERROR_KEY: type(error).__name__}, _limits().context_max_bytes)


def end_of_message(sql: str) -> str:
    """Give the statement as the object's last member, and its end; the end alone without `BEMI_CAPTURE_SQL`.

    sql: with placeholders. Literals that the project composed into it itself are part of it and are recorded.
    """
    limits = _limits()
    if not limits.captures_sql:
        return "}"
    if len(sql) > limits.sql_max_length:
        sql = sql[: max(limits.sql_max_length - 1, 0)] + "\N{HORIZONTAL ELLIPSIS}"
    return f'"{SQL_KEY}":{encode_text(sql)}}}'


class _Limits(NamedTuple):
    context_max_bytes: int
    captures_sql: bool
    sql_max_length: int


@lru_cache(maxsize=1)
def _limits() -> _Limits:
    """Settings, kept as reading three of them would cost as much as all the rest of a message."""
    try:
        largest = min(settings.CONTEXT_MAX_BYTES, LARGEST_CONTEXT)
        return _Limits(largest, settings.CAPTURE_SQL, min(settings.SQL_MAX_LENGTH, LONGEST_SQL))
    except ConfigurationError:  # must not cost the user's statement
        count(MESSAGE_FAILED, "a BEMI_* setting is of a wrong type: run manage.py check")
        return _Limits(Settings.CONTEXT_MAX_BYTES, Settings.CAPTURE_SQL, Settings.SQL_MAX_LENGTH)


@receiver(setting_changed)
def _forget_limits(**kwargs: object) -> None:
    _limits.cache_clear()


def _encode(scope: Scope, context: dict[str, Any]) -> str:
    """Encode a context, and keep it for all writes that find the same plain values in the scope."""
    sent = _without_sql_key(context) if SQL_KEY in context else context
    text = encode_plain(sent, _limits().context_max_bytes)
    if text is None:
        text = encode(sent, _limits().context_max_bytes)
        if _MARK in text or not _UNCHANGING.issuperset(map(type, context.values())):
            return text
    scope.kept = context, text
    return text


def _without_sql_key(context: dict[str, Any]) -> dict[str, Any]:
    name = USER_SQL_KEY
    while name in context:
        name = f"_{name}"
    return {name if key == SQL_KEY else key: value for key, value in context.items()}


def _is_same(context: dict[str, Any], other: dict[str, Any]) -> bool:
    """Compare by identity, as True is 1 and 1.0 to Python."""
    return list(context) == list(other) and all(map(is_, context.values(), other.values()))
