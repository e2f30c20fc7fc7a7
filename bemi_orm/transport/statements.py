"""Does a statement write rows, and where in its text does that begin?

Reads SQL as PostgreSQL's scanner does (manual, section 4.1 "Lexical Structure"), as far as it takes to tell
key words from strings, quoted names and comments; `standard_conforming_strings` is taken to be on.

A read must never count as a write: a message would give a read-only transaction a transaction id.
Writes that the text does not show (functions called by SELECT, EXECUTE of a prepared statement, COPY from
the client) do not count; `bemi_orm.emit_context()` is for them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple

from bemi_orm.transport.tokens import Token, tokenize

MAX_CACHED_LENGTH: Final = 8_192
CACHE_SIZE: Final = 1_024

ROW_VERBS: Final = frozenset({"INSERT", "UPDATE", "DELETE", "MERGE"})
PROCEDURE_VERBS: Final = frozenset({"CALL", "DO"})
PLAIN_VERBS: Final = ROW_VERBS | PROCEDURE_VERBS | {"TRUNCATE"}
TRANSACTION_VERBS: Final = frozenset(
    {"BEGIN", "START", "COMMIT", "END", "ROLLBACK", "ABORT", "PREPARE", "SAVEPOINT", "RELEASE", "SET"}
)
QUERY_VERBS: Final = frozenset({"SELECT", "VALUES", "TABLE"})
TABLE_KINDS: Final = frozenset({"GLOBAL", "LOCAL", "TEMP", "TEMPORARY", "UNLOGGED", "TABLE"})
OFF: Final = frozenset({"FALSE", "OFF", "0", "'FALSE'", "'OFF'", "'0'"})

_WRITE_WORD: Final = re.compile(r"\b(?:insert|update|delete|merge|truncate|copy|into|call|do|create)\b", re.I)


@dataclass(frozen=True, slots=True)
class Write:
    """The first statement of a text that writes.

    position: index of its first character.
    may_lead: a message may stand before the whole text, as no statement there is about transactions.
    before: how many statements of the text come before it.
    may_commit: CALL and DO can end the transaction themselves, but only if they are sent alone.
    """

    position: int
    may_lead: bool
    before: int = 0
    may_commit: bool = False


class Statement(NamedTuple):
    """The tokens of one statement, without its semicolon."""

    tokens: list[Token]

    def word(self, index: int) -> str:
        """Give the token at a place in upper case; empty beyond the end."""
        return self.tokens[index].text if index < len(self.tokens) else ""

    def after(self, index: int) -> Statement:
        """Give the statement without its first tokens."""
        return Statement(self.tokens[index:])


def find_write(sql: str) -> Write | None:
    """Give the first statement of the text that writes rows, None if there is none."""
    return _find_cached(sql) if len(sql) <= MAX_CACHED_LENGTH else _find(sql)


def _find(sql: str) -> Write | None:
    if _WRITE_WORD.search(sql) is None:  # spares most reads the scan
        return None
    may_lead = True
    for before, statement in enumerate(_split(tokenize(sql))):
        if _writes(statement):
            may_commit = statement.word(0) in PROCEDURE_VERBS
            return Write(statement.tokens[0].position, may_lead, before, may_commit)
        may_lead &= statement.word(0) not in TRANSACTION_VERBS
    return None


_find_cached: Final = lru_cache(maxsize=CACHE_SIZE)(_find)


def _split(tokens: Iterator[Token]) -> Iterator[Statement]:
    """Cut at semicolons outside of parentheses and of `BEGIN ATOMIC ... END` bodies.

    A statement that its first word shows to write is given at once: a bulk INSERT is not read to its end.
    """
    found: list[Token] = []
    for token in tokens:
        if token.text == ";" and token.depth == 0:
            if found:
                yield Statement(found)
            found = []
        else:
            found.append(token)
            if len(found) == 1 and token.text in PLAIN_VERBS:
                yield Statement(found)
    if found:
        yield Statement(found)


def _writes(statement: Statement) -> bool:
    while statement.word(0) == "(":
        statement = statement.after(1)
    match statement.word(0):
        case "SELECT":
            return _selects_into(statement)
        case "WITH":
            return _with_writes(statement)
        case "COPY":
            return _copies_in(statement)
        case "CREATE":
            return _creates_filled_table(statement)
        case "EXPLAIN":
            return _explains_write(statement)
        case verb:
            return verb in PLAIN_VERBS


def _selects_into(statement: Statement) -> bool:
    """INTO is also a name, behind AS or a dot."""
    depth = statement.tokens[0].depth
    previous = ""
    for token in statement.tokens:
        if token.depth < depth:
            return False
        if token.text == "INTO" and token.depth == depth and previous not in {"AS", "."}:
            return True
        previous = token.text
    return False


def _with_writes(statement: Statement) -> bool:
    """WITH may write in its queries, each in parentheses, and in the statement that follows them."""
    place = 2 if statement.word(1) == "RECURSIVE" else 1
    while True:
        start = _query_start(statement, place)
        query = statement.after(start)
        if query.word(0) in ROW_VERBS or (query.word(0) == "WITH" and _with_writes(query)):
            return True
        place = _query_end(statement, start)
        if statement.word(place) != ",":
            return _writes(statement.after(place))
        place += 1


def _query_start(statement: Statement, place: int) -> int:
    """Give the place behind `name (columns) AS [NOT] MATERIALIZED (`."""
    while place < len(statement.tokens) and statement.word(place) != "AS":
        place += 1
    while place < len(statement.tokens) and statement.word(place) != "(":
        place += 1
    return place + 1


def _query_end(statement: Statement, start: int) -> int:
    """Give the place behind `query) [SEARCH ... SET name] [CYCLE ... USING name]`."""
    depth = statement.tokens[start - 1].depth if start <= len(statement.tokens) else 0
    place = start
    while place < len(statement.tokens) and (
        statement.word(place) != ")" or statement.tokens[place].depth > depth
    ):
        place += 1
    place += 1
    for clause, end in (("SEARCH", "SET"), ("CYCLE", "USING")):
        if statement.word(place) == clause:
            while place < len(statement.tokens) and statement.word(place) != end:
                place += 1
            place += 2
    return place


def _copies_in(statement: Statement) -> bool:
    """COPY FROM a server's file; from STDIN it is sent by driver calls that no wrapper sees."""
    if statement.word(1) == "(":
        return statement.word(2) in ROW_VERBS or (
            statement.word(2) == "WITH" and _with_writes(statement.after(2))
        )
    words = [token.text for token in statement.tokens if token.depth == 0]
    return "FROM" in words and words[words.index("FROM") + 1 :][:1] != ["STDIN"]


def _creates_filled_table(statement: Statement) -> bool:
    kinds = [token.text for token in statement.tokens[1:4] if token.text in TABLE_KINDS]
    return "TABLE" in kinds and any(token.text == "AS" and token.depth == 0 for token in statement.tokens)


def _explains_write(statement: Statement) -> bool:
    """EXPLAIN runs its statement only with ANALYZE."""
    if statement.word(1) == "(":
        end = next((i for i, token in enumerate(statement.tokens) if token.text == ")"), 0)
        return _is_analyze_on(statement.tokens[2:end]) and _writes(statement.after(end + 1))
    is_run = statement.word(1) in {"ANALYZE", "ANALYSE"}
    start = 3 if statement.word(2) == "VERBOSE" else 2
    return is_run and _writes(statement.after(start))


def _is_analyze_on(options: list[Token]) -> bool:
    words = [token.text for token in options]
    for index, word in enumerate(words):
        if word in {"ANALYZE", "ANALYSE"}:
            return words[index + 1 : index + 2] == [] or words[index + 1] not in OFF
    return False
