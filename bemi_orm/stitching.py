"""Gives each row change the context that was written to the WAL before it.

The rule: a row gets the nearest preceding context message of its own transaction. Preceding is meant in
WAL order: by LSN, then message before row, then arrival. A message's LSN is the end of its record, a
row's the start of its own, so a row right after a message has an equal LSN; and where the two come from
different subtransactions, the server merges them by LSN alone and may deliver the row first.
"""

from __future__ import annotations

import json
import re
from decimal import Decimal, InvalidOperation
from typing import Final, Generic, TypeVar

from bemi_orm.exceptions import ContextError
from bemi_orm.wal.messages import Message

__all__ = ["CONTEXT_PREFIX", "EMPTY_CONTEXT", "ContextError", "Stitcher", "is_context", "read_context"]

CONTEXT_PREFIX: Final = "_bemi"
EMPTY_CONTEXT: Final = b"{}"

MAX_CONTEXT_BYTES: Final = 1 << 20
"""Every row of a statement stores a copy of its context, so one message could otherwise fill the disk."""

MAX_CONTEXT_DEPTH: Final = 500
"""PostgreSQL's own limit depends on `max_stack_depth`; this depth passes at its smallest useful value."""

Row = TypeVar("Row")


class Stitcher(Generic[Row]):
    """Pairs the rows of one transaction with their contexts, and holds only those rows that share an LSN.

    Push in the order of arrival, and only the messages for which `is_context` holds, as `read_context`
    gives them. Each call returns the pairs that have become certain, often none; all calls together
    return every row once, in the order in which it was pushed. The rows held are those of one WAL record,
    of which a COPY or a multi-row INSERT fills a page of the table, and a TRUNCATE names all its tables.
    """

    __slots__ = ("_context", "_held", "_lsn")

    def __init__(self) -> None:
        self._context = EMPTY_CONTEXT
        self._lsn = -1
        self._held: list[Row] = []

    def push_row(self, lsn: int, row: Row) -> list[tuple[Row, bytes]]:
        """Take in a row with the LSN of its XLogData frame."""
        certain = self._move_on(lsn)
        self._held.append(row)
        return certain

    def push_message(self, lsn: int, context: bytes) -> list[tuple[Row, bytes]]:
        """Take in a context message with the LSN that it carries itself."""
        certain = self._move_on(lsn)
        self._context = context
        return certain

    def finish(self) -> list[tuple[Row, bytes]]:
        """Return the rest at the end of the transaction; then the next one may begin."""
        certain = self._release()
        self._context, self._lsn = EMPTY_CONTEXT, -1
        return certain

    def _move_on(self, lsn: int) -> list[tuple[Row, bytes]]:
        if lsn == self._lsn:
            return []
        self._lsn = lsn
        return self._release()

    def _release(self) -> list[tuple[Row, bytes]]:
        context = self._context
        certain = [(row, context) for row in self._held]
        self._held.clear()
        return certain


def is_context(message: Message) -> bool:
    """Say whether a message is context: transactional, as others outlive a rollback, and with our prefix."""
    return message.transactional and message.prefix == CONTEXT_PREFIX


def read_context(content: bytes, encoding: str, max_bytes: int = MAX_CONTEXT_BYTES) -> bytes:
    """Give a context message's content as UTF-8 text of a JSON object that PostgreSQL's jsonb accepts.

    Content that is this already comes back byte for byte. What jsonb cannot hold is made visible rather
    than lost: a `\\u0000` escape, half of a surrogate pair, and bytes that are not in the encoding each
    become U+FFFD, and the rest is kept.

    encoding: PostgreSQL's name of the source database's encoding (`server_encoding`).
    max_bytes: limit of `content`.

    Raises ContextError, whose text never quotes the content, for all else: no JSON, no object, NaN, a
    number outside of `numeric`, over `max_bytes`, nested deeper than `MAX_CONTEXT_DEPTH`.
    """
    if len(content) > max_bytes:
        raise ContextError(f"it has {len(content)} bytes, and {max_bytes} are allowed")
    # An encoding of a server never uses ASCII bytes inside a longer character, so that a replacement
    # cannot swallow a quote, and the few encodings that Python lacks can be read as ASCII.
    text = content.decode(_CODECS.get(encoding, "ascii"), "replace")
    _check_depth(text)
    try:
        value = _DECODER.decode(text)
    except (ValueError, RecursionError):
        raise ContextError("it is not JSON that PostgreSQL's jsonb can hold") from None
    if not isinstance(value, dict):
        raise ContextError("it is JSON, but not an object")
    if "\\u" in text:
        text = _ESCAPE.sub(_replace_unstorable, text)
    return text.encode()


_ESCAPE: Final = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"  # a pair is fine
    r"|(?P<unstorable>\\u0000|\\u[dD][89a-fA-F][0-9a-fA-F]{2})"
    r"|\\."
)


def _replace_unstorable(escape: re.Match[str]) -> str:
    return r"\ufffd" if escape["unstorable"] else escape[0]


_NESTING: Final = re.compile(r'"(?:[^"\\]|\\.)*+"?|(?P<open>[\[{])|(?P<close>[\]}])', re.DOTALL)
"""A string without its end takes in all that follows, or a long one would be searched once for each quote."""


def _check_depth(text: str) -> None:
    if text.count("[") + text.count("{") <= MAX_CONTEXT_DEPTH:
        return
    depth = 0
    for token in _NESTING.finditer(text):
        depth += (token["open"] is not None) - (token["close"] is not None)
        if depth > MAX_CONTEXT_DEPTH:
            raise ContextError(f"it is nested deeper than {MAX_CONTEXT_DEPTH} levels")


def _check_number(text: str) -> None:
    """Raise ValueError for a number that does not fit into PostgreSQL's numeric (manual: "Numeric Types").

    That is 131,072 digits before the point and 16,383 after it. A zero is measured like other numbers,
    though the server would take any exponent there.
    """
    if len(text) < 1_000 and "e" not in text and "E" not in text:
        return
    try:
        number = Decimal(text)
    except InvalidOperation:
        raise ValueError("an exponent out of range") from None
    exponent = number.as_tuple().exponent
    assert isinstance(exponent, int)
    if number.adjusted() >= 131_072 or exponent < -16_383:
        raise ValueError("a number out of range")


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


_DECODER: Final = json.JSONDecoder(
    parse_int=_check_number, parse_float=_check_number, parse_constant=_refuse_constant
)

_CODECS: Final = {
    "UTF8": "utf-8",
    "SQL_ASCII": "utf-8",  # the server does not know; clients of our time send UTF-8
    "EUC_CN": "gb2312",
    "EUC_JP": "euc_jp",
    "EUC_JIS_2004": "euc_jis_2004",
    "EUC_KR": "euc_kr",
    "ISO_8859_5": "iso8859-5",
    "ISO_8859_6": "iso8859-6",
    "ISO_8859_7": "iso8859-7",
    "ISO_8859_8": "iso8859-8",
    "KOI8R": "koi8-r",
    "KOI8U": "koi8-u",
    "LATIN1": "iso8859-1",
    "LATIN2": "iso8859-2",
    "LATIN3": "iso8859-3",
    "LATIN4": "iso8859-4",
    "LATIN5": "iso8859-9",
    "LATIN6": "iso8859-10",
    "LATIN7": "iso8859-13",
    "LATIN8": "iso8859-14",
    "LATIN9": "iso8859-15",
    "LATIN10": "iso8859-16",
    "WIN866": "cp866",
    "WIN874": "cp874",
    "WIN1250": "cp1250",
    "WIN1251": "cp1251",
    "WIN1252": "cp1252",
    "WIN1253": "cp1253",
    "WIN1254": "cp1254",
    "WIN1255": "cp1255",
    "WIN1256": "cp1256",
    "WIN1257": "cp1257",
    "WIN1258": "cp1258",
}
"""Python's codec for each encoding of a database (manual: "Character Set Support")."""
