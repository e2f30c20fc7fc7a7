"""The words, parentheses and semicolons of a SQL text, outside of strings, quoted names and comments."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

_TOKEN: Final = re.compile(
    r"""
      --[^\n\r]*                                    # comment to the end of the line
    | (?P<comment>/\*)                              # comment that may nest
    | E'[^'\\]*(?:(?:\\.|'')[^'\\]*)*'(?:\s*[\n\r]\s*'[^'\\]*(?:(?:\\.|'')[^'\\]*)*')*  # with continuations
    | (?P<text>'\w{1,5}')                           # short string, as it may be an option
    | '[^']*'                                       # string, or a part of one that holds a doubled quote
    | (?P<name>"[^"]*"(?:"[^"]*")*)                 # quoted name
    | (?P<tag>\$(?:[A-Z_\x80-\U0010ffff]\w*)?\$).*?(?-i:(?P=tag))     # dollar-quoted string
    | %(?:\([^)]*\))?[stb%]                         # a driver's placeholder, whatever its name
    | (?P<word>[A-Z_\x80-\U0010ffff][\w$]*|\d[\w.]*)
    | (?P<mark>[();,.])
    """,
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)
_COMMENT_EDGE: Final = re.compile(r"/\*|\*/")


class Token(NamedTuple):
    """A word, number or short string in upper case, a quoted name as `"`, or one of `(`, `)`, `;`, `,`, `.`.

    position: index in the text. depth: how many parentheses and ATOMIC bodies are around it.
    """

    text: str
    position: int
    depth: int


def tokenize(sql: str) -> Iterator[Token]:
    """Give the tokens of the text in order, reading no further than is asked for."""
    depth = 0
    previous = ""
    blocks = 0  # of a function's body in SQL: BEGIN ATOMIC ...; ...; END, with CASE ... END inside
    for text, position in _scan(sql):
        if text == ")" or (text == "END" and blocks):
            depth -= 1
            blocks -= text == "END"
        yield Token(text, position, max(depth, 0))
        if text == "(" or _opens_block(text, previous, blocks):
            depth += 1
            blocks += text != "("
        previous = text


def _opens_block(text: str, previous: str, blocks: int) -> bool:
    return (text == "ATOMIC" and previous == "BEGIN") or (text == "CASE" and blocks > 0)


def _scan(sql: str) -> Iterator[tuple[str, int]]:
    position = 0
    while match := _TOKEN.search(sql, position):
        position = match.end()
        kind = match.lastgroup
        if kind == "comment":
            position = _comment_end(sql, position)
        elif kind == "name":
            yield '"', match.start()
        elif kind in {"word", "mark", "text"}:
            yield match[0].upper(), match.start()


def _comment_end(sql: str, position: int) -> int:
    depth = 1
    while depth and (edge := _COMMENT_EDGE.search(sql, position)):
        depth += 1 if edge[0] == "/*" else -1
        position = edge.end()
    return position if depth == 0 else len(sql)
