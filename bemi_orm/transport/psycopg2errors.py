"""Where an error of psycopg2 points in the statement.

Its `Diagnostics` reads the server's report in C, at each access. So `DatabaseError.diag` is a property here
that gives a subclass of it for an error that was moved, and what it always gave for any other.
"""

from __future__ import annotations

from typing import Any, Final

import psycopg2
from psycopg2.extensions import Diagnostics

_POSITION: Final = "_bemi_position"


class MovedDiagnostics(Diagnostics):
    """The server's report with another position."""

    def __init__(self, error: psycopg2.Error, position: int) -> None:
        super().__init__(error)
        self._position = position

    @property
    def statement_position(self) -> str:  # type: ignore[override]
        """The character in the project's statement, from 1, as text."""
        return str(self._position)


def move_position(error: Any, position: int) -> None:
    """Let `error.diag.statement_position` be another; all else is the server's report."""
    error.__dict__[_POSITION] = position


def _diagnostics(error: psycopg2.Error) -> Diagnostics:
    position = error.__dict__.get(_POSITION)
    return Diagnostics(error) if position is None else MovedDiagnostics(error, position)


psycopg2.DatabaseError.diag = property(_diagnostics)  # type: ignore[assignment]
