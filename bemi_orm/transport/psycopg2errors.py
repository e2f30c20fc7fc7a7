"""Where an error of psycopg2 points in the statement.

Its `Diagnostics` reads the server's report in C, at each access. So `DatabaseError.diag` is a property here
that gives a subclass of it for an error that was moved, and what it always gave for any other.
"""

from __future__ import annotations

from typing import Any, Final
from weakref import WeakKeyDictionary

import psycopg2
from psycopg2.extensions import Diagnostics

# Not an attribute of the error: with one, psycopg2 pickles it without `pgcode` and `pgerror`.
_positions: Final[WeakKeyDictionary[psycopg2.Error, int]] = WeakKeyDictionary()


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
    _positions[error] = position


def _diagnostics(error: psycopg2.Error) -> Diagnostics:
    position = _positions.get(error)
    return Diagnostics(error) if position is None else MovedDiagnostics(error, position)


psycopg2.DatabaseError.diag = property(_diagnostics)  # type: ignore[assignment]
