"""Where an error of psycopg 3 points in the statement."""

from __future__ import annotations

from typing import Any

from psycopg.pq import DiagnosticField


def move_position(error: Any, position: int) -> None:
    """Let `error.diag.statement_position` be another; all else is the server's report."""
    error._info = _MovedResult(error._info, position)


class _MovedResult:
    """A failed result of psycopg 3 with another position; all else is the result's own."""

    def __init__(self, result: Any, position: int) -> None:
        self._result = result
        self._position = position

    def error_field(self, field: int) -> bytes | None:
        """Give a field of the server's error report."""
        if field == DiagnosticField.STATEMENT_POSITION:
            return str(self._position).encode()
        value: bytes | None = self._result.error_field(field)
        return value

    def __getattr__(self, name: str) -> Any:
        return getattr(self._result, name)
