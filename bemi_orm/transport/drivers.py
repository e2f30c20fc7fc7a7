"""What differs between psycopg2 and psycopg 3 when a statement is sent with a message before it."""

from __future__ import annotations

from typing import Any, Final

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.psycopg_any import is_psycopg3


class MessageParameter(str):
    """A message as a parameter of psycopg 3, whatever a project's own dumper makes of other strings."""

    __slots__ = ()


if is_psycopg3:
    from psycopg import ClientCursor, adapters
    from psycopg.adapt import PyFormat
    from psycopg.sql import Literal
    from psycopg.types.string import StrDumperUnknown

    CLIENT_BINDING_CURSORS: tuple[type, ...] = (ClientCursor,)

    adapters.register_dumper(MessageParameter, StrDumperUnknown)
    _TEXT: Final = PyFormat.TEXT
    _PLAIN_DUMPER: Final = adapters.get_dumper(MessageParameter, _TEXT)
else:
    CLIENT_BINDING_CURSORS = ()

_SEQUENCES: Final = (list, tuple)

IDLE_STATUS: Final = 0  # PQTRANS_IDLE, the same number in both drivers


def statement_text(sql: Any, cursor: Any) -> str | None:
    """Give the statement as the driver would send it, before parameters; None if only the driver can tell."""
    if isinstance(sql, str):
        return sql
    if isinstance(sql, bytes):
        return sql.decode("utf-8")  # Django connects in UTF8
    if hasattr(sql, "as_string"):
        text: str = sql.as_string(cursor)
        return text
    return None


def is_in_pipeline(cursor: Any) -> bool:
    """Tell whether the connection does not wait for results: up to the next wait all is one transaction."""
    return is_psycopg3 and cursor.connection.pgconn.pipeline_status != 0


def can_share_round_trip(cursor: Any, params: Any, many: bool) -> bool:
    """Tell whether psycopg 3 sends a text of two statements as it is, as psycopg2 always does.

    It does so only in the simple query protocol: with client-side binding, or without parameters and
    preparing, and outside of pipelines. Its `executemany` would return a result per statement.
    """
    if many or cursor.connection.pgconn.pipeline_status:
        return False
    if isinstance(cursor, CLIENT_BINDING_CURSORS):
        return True
    return params is None and cursor.connection.prepare_threshold is None


def bind_message(message: str, params: Any, placeholders: int, cursor: Any) -> tuple[Any, ...] | None:
    """Give psycopg 3's parameters with a message before them, None if it had better be part of the text.

    psycopg 3 remembers the last texts that it has searched for placeholders: a message within the text would
    make each a new one. Only where the parameters are surely as many as the placeholders, as the driver's
    error names their numbers.

    The message is a string like others where their dumper is the usual one: a statement mostly has others,
    and a dumper for one more type costs twice as much as all the encoding.
    """
    if not isinstance(params, _SEQUENCES) or len(params) != placeholders:
        return None
    is_usual = cursor.adapters.get_dumper(str, _TEXT) is _PLAIN_DUMPER
    return (message if is_usual else MessageParameter(message), *params)


def parameter_literal(message: str, cursor: Any) -> str:
    """Give what psycopg 3 puts into a statement for a message that is a parameter."""
    return Literal(MessageParameter(message)).as_string(cursor)


def drop_message_result(cursor: Any, index: int) -> None:
    """Take the message's result out of those that psycopg 3 keeps of a text; psycopg2 keeps the last one.

    index: its place among them. The driver offers to step over a result, not to remove it: should its list be
    elsewhere one day, a message that comes first is still stepped over.
    """
    if index == 0:
        cursor.nextset()
    results = getattr(cursor, "_results", ())
    if isinstance(results, list) and index < len(results):
        del results[index]
        cursor._iresult = 0


def server_version(connection: BaseDatabaseWrapper) -> int:
    """Give the version of the server that the session is on, as libpq numbers it."""
    return int(connection.connection.info.server_version)


def is_in_transaction(connection: BaseDatabaseWrapper) -> bool:
    """Tell whether the next statement is part of a transaction that is open or about to be opened."""
    if not connection.autocommit:
        return True
    return bool(connection.connection.info.transaction_status != IDLE_STATUS)


def is_on_standby(connection: BaseDatabaseWrapper) -> bool:
    """Tell whether the server only replays another's WAL, as it reports by itself from PostgreSQL 14 on."""
    return bool(connection.connection.info.parameter_status("in_hot_standby") == "on")
