"""Errors point into the project's statement, as if it had been sent alone.

The server counts from the start of what it was sent, and libpq shows the line by that. The message stands on
lines of its own, so that the line which is shown is the project's; here its number and the position are put
right. psycopg2 reads `diag.statement_position` from the server's answer: that alone cannot be.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from django.db import DatabaseError
from django.db.backends.postgresql.psycopg_any import is_psycopg3

_LINE: Final = re.compile(r"^LINE (\d+):(.*\n *)(?=\^)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Insertion:
    """Whole lines that were put into a text.

    start: index in the longer text. length: characters, line ends included. lines: how many.
    """

    start: int
    length: int
    lines: int = 1


@contextmanager
def pointing_into_statement(*insertions: Insertion) -> Iterator[None]:
    """Correct the errors of the text that is executed inside: Django's, and the driver's that it came from.

    insertions: what was put into the project's statement, in the order of the text.
    """
    try:
        yield
    except DatabaseError as error:
        _correct(error, insertions)
        raise


def _correct(error: BaseException, insertions: tuple[Insertion, ...]) -> None:
    cause: Any = error.__cause__
    position = int(getattr(getattr(cause, "diag", None), "statement_position", None) or 0)
    before = [insertion for insertion in insertions if insertion.start + insertion.length < position]
    if not before:
        return
    lines = sum(insertion.lines for insertion in before)
    for each in (error, cause):
        each.args = tuple(_renumber(arg, lines) if isinstance(arg, str) else arg for arg in each.args)
    if is_psycopg3:
        shifted = position - sum(insertion.length for insertion in before)
        cause._info = _MovedResult(cause._info, shifted)
    else:
        cause.__setstate__({"pgerror": _renumber(cause.pgerror, lines), "pgcode": cause.pgcode})


def _renumber(text: str, lines: int) -> str:
    def renumber(match: re.Match[str]) -> str:
        number = str(int(match[1]) - lines)
        rest = match[2][: len(match[2]) - len(match[1]) + len(number)]  # the caret stays below its place
        return f"LINE {number}:{rest}"

    return _LINE.sub(renumber, text, count=1)


class _MovedResult:
    """A failed result of psycopg 3 with another position; all else is the result's own."""

    def __init__(self, result: Any, position: int) -> None:
        self._result = result
        self._position = position

    def error_field(self, field: int) -> bytes | None:
        """Give a field of the server's error report."""
        from psycopg.pq import DiagnosticField

        if field == DiagnosticField.STATEMENT_POSITION:
            return str(self._position).encode()
        value: bytes | None = self._result.error_field(field)
        return value

    def __getattr__(self, name: str) -> Any:
        return getattr(self._result, name)
