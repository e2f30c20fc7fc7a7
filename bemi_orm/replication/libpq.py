"""The CopyBoth stream of a psycopg2 connection, read and written through its own libpq.

psycopg2 sends feedback by itself and moves the flush position on keep-alives, which acknowledges
transactions that the worker still holds only in memory (psycopg/psycopg2#940). Here nothing is sent
but what the caller writes. Functions are those of the PostgreSQL manual, "Functions Associated with
the COPY Command" and "Asynchronous Command Processing".
"""

from __future__ import annotations

import ctypes
import select
from typing import Any

import psycopg2
from psycopg2.extensions import connection as Connection  # noqa: N812

from bemi_orm.exceptions import ConfigurationError, SourceUnavailableError

_NOTHING_YET, _DONE = 0, -1


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
        reason = "the server ended the stream" if length == _DONE else self._last_error()
        raise SourceUnavailableError(f"Replication stopped: {reason}")

    def wait(self, timeout_seconds: float) -> bool:
        """Wait until bytes arrive and take them in; False when none came in time."""
        readable, _, _ = select.select([self._socket], [], [], timeout_seconds)
        if readable and not self._consume_input(self._address):
            raise SourceUnavailableError(f"Replication stopped: {self._last_error()}")
        return bool(readable)

    def write(self, message: bytes) -> None:
        """Send a message to the server."""
        sent = self._put_copy_data(self._address, message, len(message))
        if sent != 1 or self._flush(self._address) < 0:
            raise SourceUnavailableError(f"Feedback could not be sent: {self._last_error()}")

    def _last_error(self) -> str:
        return str(self._error_message(self._address).decode(errors="replace")).strip() or "connection lost"


def _declare(library: Any, name: str, result: Any, *arguments: Any) -> Any:
    function = getattr(library, name)
    function.restype, function.argtypes = result, arguments
    return function
