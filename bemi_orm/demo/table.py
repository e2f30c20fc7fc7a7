"""Rows as plain text: a table where it fits, a block of lines per row where it does not."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Final

GAP: Final = "  "


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table.

    title: its heading; min_width: it may be narrowed down to this, its cells wrapped; None: never narrowed.
    paint: adds colour to a cell's text, which has its final width by then.
    """

    title: str
    min_width: int | None = None
    paint: Callable[[str], str] = str


def render_table(columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int) -> Iterator[str]:
    """Give the lines of a table that is at most `width` cells of the terminal wide.

    Control characters are replaced, as a value must not steer the terminal. Where not even the narrowest
    table fits, each row becomes a block with a line `title  value` for each column.
    """
    cells = [[printable(cell) for cell in row] for row in rows]
    widths = _fit(columns, cells, width)
    if widths is None:
        yield from _blocks(columns, cells, width)
        return
    yield _join([pad(column.title, size) for column, size in zip(columns, widths, strict=True)])
    yield _join(["-" * size for size in widths])
    for row in cells:
        yield from _lines(columns, row, widths)


def printable(text: str) -> str:
    """Give the text with every control or invisible formatting character as its escape."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in text
    )


def display_width(text: str) -> int:
    """Give the terminal cells that a text takes (Unicode Standard Annex 11, East Asian Width)."""
    return sum(map(_cells, text))


def pad(text: str, width: int) -> str:
    """Fill up with spaces to a number of terminal cells."""
    return text + " " * (width - display_width(text))


def wrap(text: str, width: int) -> list[str]:
    """Break a text at spaces, and words that are too long anywhere, into lines of at most `width` cells."""
    lines = [""]
    for word in text.split(" "):
        candidate = f"{lines[-1]} {word}" if lines[-1] else word
        if display_width(candidate) <= width:
            lines[-1] = candidate
        else:
            lines[-1:] = [*filter(None, lines[-1:]), *_chunks(word, width)]
    return lines


def _chunks(word: str, width: int) -> list[str]:
    chunks = [""]
    for character in word:
        if chunks[-1] and display_width(chunks[-1] + character) > width:
            chunks.append("")
        chunks[-1] += character
    return chunks


def _cells(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _fit(columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int) -> list[int] | None:
    """Give the columns' widths; what is too much is taken from the widest that may be narrowed."""
    texts = zip(*([column.title for column in columns], *rows), strict=True)
    widths = [max(map(display_width, column)) for column in texts]
    excess = sum(widths) + len(GAP) * (len(columns) - 1) - width
    for _ in range(excess):
        spare = [size if _is_wider(column, size) else 0 for column, size in zip(columns, widths, strict=True)]
        if not any(spare):
            return None
        widths[spare.index(max(spare))] -= 1
    return widths


def _is_wider(column: Column, width: int) -> bool:
    return column.min_width is not None and width > max(column.min_width, display_width(column.title))


def _lines(columns: Sequence[Column], row: Sequence[str], widths: Sequence[int]) -> Iterator[str]:
    wrapped = [wrap(cell, size) for cell, size in zip(row, widths, strict=True)]
    for line in zip_longest(*wrapped, fillvalue=""):
        padded = (pad(part, size) for part, size in zip(line, widths, strict=True))
        yield _join([column.paint(part) for column, part in zip(columns, padded, strict=True)])


def _join(parts: Sequence[str]) -> str:
    return GAP.join(parts).rstrip()


def _blocks(columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int) -> Iterator[str]:
    title_width = max(display_width(column.title) for column in columns)
    value_width = max(width - title_width - len(GAP), 10)
    for row in rows:
        for column, cell in zip(columns, row, strict=True):
            for number, part in enumerate(wrap(cell, value_width)):
                title = "" if number else column.title
                yield _join([pad(title, title_width), column.paint(part)])
        yield ""
