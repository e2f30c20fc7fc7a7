"""Errors point into the project's statement, as if it had been sent alone.

The server counts from the start of what it was sent, and libpq shows the line by that. The message stands on
lines of its own, so that the line which is shown is the project's; here its number and the position are put
right. Both drivers read `diag.statement_position` from the server's answer: it is moved where they read it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from django.db import DatabaseError
from django.db.backends.postgresql.psycopg_any import is_psycopg3

if is_psycopg3:
    from bemi_orm.transport.psycopg3errors import move_position
else:
    from bemi_orm.transport.psycopg2errors import move_position

_INDEX: Final = re.compile(r"\bat index (\d+)$")
_LINE: Final = re.compile(r"^LINE (\d+):(.*\n *)(?=\^)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Insertion:
    """Whole lines that were put into a text.

    start: index in the longer text. length: characters, line ends included. lines: how many.
    """

    start: int
    length: int
    lines: int = 1


def point_into_statement(error: DatabaseError, *insertions: Insertion) -> None:
    """Correct an error of a longer text: Django's, and the driver's that it came from.

    insertions: what was put into the project's statement, in the order of the text.
    """
    cause: Any = error.__cause__
    position = int(getattr(getattr(cause, "diag", None), "statement_position", None) or 0)
    before = [insertion for insertion in insertions if insertion.start + insertion.length < position]
    if not before:
        return
    lines = sum(insertion.lines for insertion in before)
    for each in (error, cause):
        each.args = tuple(_renumber(arg, lines) if isinstance(arg, str) else arg for arg in each.args)
    move_position(cause, position - sum(insertion.length for insertion in before))
    if not is_psycopg3:  # there the text is an attribute, too
        cause.__setstate__({"pgerror": _renumber(cause.pgerror, lines), "pgcode": cause.pgcode})


def renumber_format_error(error: ValueError, length: int) -> None:
    """Correct what psycopg2 says of a bad placeholder, where so much stood before the statement."""
    error.args = tuple(
        _INDEX.sub(lambda match: f"at index {int(match[1]) - length}", arg) if isinstance(arg, str) else arg
        for arg in error.args
    )


def _renumber(text: str, lines: int) -> str:
    def renumber(match: re.Match[str]) -> str:
        number = str(int(match[1]) - lines)
        rest = match[2][: len(match[2]) - len(match[1]) + len(number)]  # the caret stays below its place
        return f"LINE {number}:{rest}"

    return _LINE.sub(renumber, text, count=1)
