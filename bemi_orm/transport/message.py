"""The SQL that writes a context into the write-ahead log, as a logical decoding message.

PostgreSQL manual, section 9.28.6 "Replication Management Functions": `pg_logical_emit_message`. With
`transactional => true` the message is decoded with its transaction, in its place among the row changes.

The text holds no quote, placeholder or comment sign but its own, so it can stand before any statement
without touching that one's parameters. It shows in server logs, as parameters do; `pg_stat_statements` keeps
one entry for all.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

from bemi_orm.conf import settings
from bemi_orm.transport.counters import MESSAGE_FAILED, count_error
from bemi_orm.transport.encoding import encode, encode_text
from bemi_orm.transport.request import ERROR_KEY
from bemi_orm.transport.scope import Scope

SQL_KEY: Final = "SQL"
"""Reserved for the statement."""

USER_SQL_KEY: Final = "_SQL"
"""Where a project's own key `SQL` is kept."""

MAX_CACHED_LENGTH: Final = 8_192

# On a standby the message would fail before the statement and with another error: there it is left out.
_HEAD: Final = "SELECT pg_catalog.pg_logical_emit_message(true, '_bemi', E'"
_TAIL: Final = "') WHERE NOT pg_catalog.pg_is_in_recovery(); "


def build_message(scope: Scope | None, sql: str | None) -> str:
    """Give the SQL that emits the scope's context, and `sql` with it if `BEMI_CAPTURE_SQL`; never raises.

    sql: the statement that follows, with placeholders. Literals that the project composed into it itself are
    part of it and are recorded.
    """
    try:
        text = _encode(scope.resolve() if scope else {}, sql if settings.CAPTURE_SQL else None)
    except Exception as error:
        count_error(MESSAGE_FAILED, error)
        text = encode({ERROR_KEY: type(error).__name__}, 1_000)
    return f"{_HEAD}{_escape(text)}{_TAIL}"


def without_message(sql: str) -> str:
    """Give a text that was sent without the message in it."""
    before, head, rest = sql.partition(_HEAD)
    return before + rest.partition(_TAIL)[2] if head else sql


def _encode(context: dict[str, Any], sql: str | None) -> str:
    if SQL_KEY in context:
        context[USER_SQL_KEY] = context.pop(SQL_KEY)
    text = encode(context, settings.CONTEXT_MAX_BYTES)
    if sql is None:
        return text
    joint = "," if context else ""
    return f'{text[:-1]}{joint}"{SQL_KEY}":{_encode_sql(sql)}}}'


def _encode_sql(sql: str) -> str:
    limit = settings.SQL_MAX_LENGTH
    if len(sql) > limit:
        sql = sql[: max(limit - 1, 0)] + "\N{HORIZONTAL ELLIPSIS}"
    return _encode_cached(sql) if len(sql) <= MAX_CACHED_LENGTH else encode_text(sql)


_encode_cached: Final = lru_cache(maxsize=1_024)(encode_text)


def _escape(text: str) -> str:
    r"""Make JSON safe inside `E'...'` and for both drivers; only JSON strings hold what is replaced here.

    In `E'...'` a backslash is doubled whatever `standard_conforming_strings` says.
    """
    safe = text.replace("'", r"\u0027").replace("%", r"\u0025").replace("*", r"\u002a")
    return safe.replace("--", r"\u002d\u002d").replace("\\", r"\\")
