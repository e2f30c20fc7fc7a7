"""The CopyBoth stream of a psycopg2 connection, read and written through its own libpq.

psycopg2 sends feedback by itself and moves the flush position on keep-alives, which acknowledges
transactions that the worker still holds only in memory (psycopg/psycopg2#940). Here nothing is sent
but what the caller writes. Functions are those of the PostgreSQL manual, "Functions Associated with
the COPY Command" and "Asynchronous Command Processing".
"""

from __future__ import annotations

import ctypes
import select
from typing import Any, Final

import psycopg2
from psycopg2.extensions import connection as Connection  # noqa: N812

from bemi_orm.exceptions import BemiError, ConfigurationError, SetupError, SourceUnavailableError

_NOTHING_YET, _DONE = 0, -1

_CODE_AND_MESSAGE: Final = (b"C", b"M")
"""PG_DIAG_SQLSTATE and PG_DIAG_MESSAGE_PRIMARY of postgres_ext.h."""

_NEEDS_A_PERSON: Final = frozenset({"42704", "55000"})
"""undefined_object: no publication; object_not_in_prerequisite_state: the slot was invalidated."""


class CopyBothStream:
    """Messages of a connection on which START_REPLICATION was run.

    The stream owns no resource: closing the connection ends it.
    """

    def __init__(self, connection: Connection) -> None:
        self._socket = connection.fileno()
        self._address = connection.pgconn_ptr
        self._connection = connection  # keeps the libpq connection alive
        self._buffer = ctypes.c_void_p()
        self._buffer_reference = ctypes.byref(self._buffer)
        try:
            self._bind()
        except AttributeError as error:
            raise ConfigurationError(
                "This build of psycopg2 does not show libpq's functions. Install psycopg2-binary, "
                "or psycopg2 built against a shared libpq."
            ) from error

    def _bind(self) -> None:
        in_memory = ctypes.PyDLL(psycopg2._psycopg.__file__)  # quick calls that keep the GIL
        on_network = ctypes.CDLL(psycopg2._psycopg.__file__)  # calls that may wait, without it
        pointer, integer, text = ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p
        self._get_copy_data = _declare(in_memory, "PQgetCopyData", integer, pointer, pointer, integer)
        self._free = _declare(in_memory, "PQfreemem", None, pointer)
        self._error_message = _declare(in_memory, "PQerrorMessage", text, pointer)
        self._error_field = _declare(in_memory, "PQresultErrorField", text, pointer, integer)
        self._clear = _declare(in_memory, "PQclear", None, pointer)
        self._get_result = _declare(on_network, "PQgetResult", pointer, pointer)
        self._consume_input = _declare(on_network, "PQconsumeInput", integer, pointer)
        self._put_copy_data = _declare(on_network, "PQputCopyData", integer, pointer, text, integer)
        self._flush = _declare(on_network, "PQflush", integer, pointer)

    def read(self) -> bytes | None:
        """Give the next message that has arrived, None when there is none yet."""
        length = self._get_copy_data(self._address, self._buffer_reference, 1)
        if length > 0:
            message = ctypes.string_at(self._buffer, length)
            self._free(self._buffer)
            return message
        if length == _NOTHING_YET:
            return None
        raise self._end_of_stream() if length == _DONE else self._lost_connection()

    def wait(self, timeout_seconds: float) -> bool:
        """Wait until bytes arrive and take them in; False when none came in time."""
        readable, _, _ = select.select([self._socket], [], [], timeout_seconds)
        if readable and not self._consume_input(self._address):
            raise self._lost_connection()
        return bool(readable)

    def write(self, message: bytes) -> None:
        """Send a message to the server."""
        sent = self._put_copy_data(self._address, message, len(message))
        if sent != 1 or self._flush(self._address) < 0:
            raise self._lost_connection()

    def _lost_connection(self) -> BemiError:
        reason = self._error_message(self._address).decode(errors="replace").strip()
        return SourceUnavailableError(f"Replication stopped: {reason or 'the connection is lost'}")

    def _end_of_stream(self) -> BemiError:
        """Say why the server ended the stream: its last result tells."""
        result = self._get_result(self._address)
        code, reason = (self._field(result, field) for field in _CODE_AND_MESSAGE)
        self._clear(result)
        if code in _NEEDS_A_PERSON:
            return SetupError(f"Replication stopped: {reason}. Run: manage.py bemi setup")
        return SourceUnavailableError(f"Replication stopped: {reason or 'the server ended the stream'}")

    def _field(self, result: Any, field: bytes) -> str:
        value = self._error_field(result, ord(field)) if result else None
        return str(value.decode(errors="replace")) if value else ""


def _declare(library: Any, name: str, result: Any, *arguments: Any) -> Any:
    function = getattr(library, name)
    function.restype, function.argtypes = result, arguments
    return function
