"""The SQL that writes a message into the write-ahead log, for logical decoding.

PostgreSQL manual, section 9.28.6 "Replication Management Functions": `pg_logical_emit_message`. With
`transactional => true` the message is decoded with its transaction, in its place among the row changes.

It shows in server logs, as parameters do; `pg_stat_statements` keeps one entry for all.
"""

from __future__ import annotations

from typing import Final

NO_OTHER_CONTEXT: Final = "/*Bemi  Bemi*/\n"
"""Stands before all else that is sent with a message. Row triggers of other Bemi clients read the first such
comment of a text, were it in a user's data, as context: this one says that there is none."""

PARAMETER: Final = "%s"

_START: Final = "SELECT WHERE pg_catalog.pg_logical_emit_message(true, '_bemi', "
_END: Final = ") IS NULL;\n"  # a new line, as PostgreSQL shows the line of an error
_FLUSH_ARGUMENT_SINCE: Final = 170_000


def emit(message: str, server_version: int) -> str:
    """Give the statement that emits a message: a query without a column and a row, which costs least.

    message: as SQL, see `literal`, or `PARAMETER`. server_version: as libpq numbers it.
    """
    # The argument that is given is quicker than its default, which the server parses each time.
    flush = ", false" if server_version >= _FLUSH_ARGUMENT_SINCE else ""
    return f"{_START}{message}{flush}{_END}"


def around_literal(server_version: int) -> tuple[str, str]:
    """Give what `emit` puts before and behind a message that is a literal, and has been through `escape`."""
    before, _, after = emit(literal("{}"), server_version).partition("{}")
    return before, after


def literal(message: str) -> str:
    r"""Give a message, which holds no quote, as SQL.

    In `E'...'` a backslash is doubled whatever `standard_conforming_strings` says.
    """
    return f"E'{escape(message)}'"


def escape(part: str) -> str:
    """Give a part of a message as it stands within its literal."""
    return part.replace("\\", r"\\")


def without_message(sql: str) -> str:
    """Give a text that was sent without the message in it."""
    before, start, rest = sql.partition(_START)
    return before.removeprefix(NO_OTHER_CONTEXT) + rest.partition(_END)[2] if start else sql
