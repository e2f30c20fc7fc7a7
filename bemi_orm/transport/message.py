"""The SQL that writes a context into the write-ahead log, as a logical decoding message.

PostgreSQL manual, section 9.28.6 "Replication Management Functions": `pg_logical_emit_message`. With
`transactional => true` the message is decoded with its transaction, in its place among the row changes.

The JSON holds no quote, placeholder or comment sign, so that as a literal it can stand before any statement
without touching that one's parameters. It shows in server logs, as parameters do; `pg_stat_statements` keeps
one entry for all.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final, NamedTuple

from django.core.signals import setting_changed
from django.dispatch import receiver

from bemi_orm.conf import Settings, settings
from bemi_orm.exceptions import ConfigurationError
from bemi_orm.transport.counters import MESSAGE_FAILED, count, count_error
from bemi_orm.transport.encoding import encode, encode_text
from bemi_orm.transport.request import ERROR_KEY
from bemi_orm.transport.scope import Scope

SQL_KEY: Final = "SQL"
"""Reserved for the statement."""

USER_SQL_KEY: Final = "_SQL"
"""Where a project's own key `SQL` is kept."""

NO_OTHER_CONTEXT: Final = "/*Bemi  Bemi*/\n"
"""Stands before all else that is sent with a message. Row triggers of other Bemi clients read the first such
comment of a text, were it in a user's data, as context: this one says that there is none."""

MAX_CACHED_LENGTH: Final = 8_192

_FUNCTION: Final = "SELECT pg_catalog.pg_logical_emit_message(true, '_bemi', "
_END: Final = ");\n"  # a new line, as PostgreSQL shows the line of an error
_TAIL: Final = f"'{_END}"

EMIT_PARAMETER: Final = f"{_FUNCTION}%s{_END}"
"""Emits a message that is a parameter."""


def emit_statement(message: str) -> str:
    r"""Give the SQL that emits a message. In `E'...'` a backslash is doubled whatever
    `standard_conforming_strings` says.
    """
    doubled = message.replace("\\", r"\\")
    return f"{_FUNCTION}E'{doubled}{_TAIL}"


def build_message(scope: Scope | None, sql: str | None) -> str:
    """Give the scope's context as JSON, and `sql` with it if `BEMI_CAPTURE_SQL`; never raises.

    sql: the statement that follows, with placeholders. Literals that the project composed into it itself are
    part of it and are recorded.
    """
    limits = _limits()
    try:
        text = _context_text(scope.resolve() if scope else {}, limits.context_max_bytes)
    except Exception as error:
        count_error(MESSAGE_FAILED, error)
        text = encode({ERROR_KEY: type(error).__name__}, limits.context_max_bytes)
    if sql is not None and limits.captures_sql:
        joint = "" if text == "{}" else ","
        text = f'{text[:-1]}{joint}"{SQL_KEY}":{_sql_text(sql, limits.sql_max_length)}}}'
    return text


def without_message(sql: str) -> str:
    """Give a text that was sent without the message in it."""
    before, function, rest = sql.partition(_FUNCTION)
    return before.removeprefix(NO_OTHER_CONTEXT) + rest.partition(_TAIL)[2] if function else sql


class _Limits(NamedTuple):
    context_max_bytes: int
    captures_sql: bool
    sql_max_length: int


@lru_cache(maxsize=1)
def _limits() -> _Limits:
    """Settings, kept as reading three of them would cost as much as all the rest of a message."""
    try:
        return _Limits(settings.CONTEXT_MAX_BYTES, settings.CAPTURE_SQL, settings.SQL_MAX_LENGTH)
    except ConfigurationError:  # must not cost the user's statement
        count(MESSAGE_FAILED, "a BEMI_* setting is of a wrong type: run manage.py check")
        return _Limits(Settings.CONTEXT_MAX_BYTES, Settings.CAPTURE_SQL, Settings.SQL_MAX_LENGTH)


@receiver(setting_changed)
def _forget_limits(**kwargs: object) -> None:
    _limits.cache_clear()


def _context_text(context: dict[str, Any], max_bytes: int) -> str:
    if SQL_KEY in context:
        context[USER_SQL_KEY] = context.pop(SQL_KEY)
    return _escape(encode(context, max_bytes))


def _sql_text(sql: str, max_length: int) -> str:
    if len(sql) > max_length:
        sql = sql[: max(max_length - 1, 0)] + "\N{HORIZONTAL ELLIPSIS}"
    return _sql_text_cached(sql) if len(sql) <= MAX_CACHED_LENGTH else _escape(encode_text(sql))


@lru_cache(maxsize=1_024)
def _sql_text_cached(sql: str) -> str:
    return _escape(encode_text(sql))


def _escape(text: str) -> str:
    """Make JSON safe in literals and comments, and for drivers; only its strings hold what is replaced."""
    safe = text.replace("'", r"\u0027").replace("%", r"\u0025").replace("*", r"\u002a")
    return safe.replace("--", r"\u002d\u002d")
