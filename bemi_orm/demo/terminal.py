"""What the demo writes: at once, as wide as the terminal, in colour where that is welcome."""

from __future__ import annotations

import io
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, TextIO

from bemi_orm.demo.table import display_width

MAX_WIDTH: Final = 120
_CODES: Final = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}


class Terminal:
    """Writes to a stream, a terminal or not.

    Colour only on a terminal that is not dumb, and not if NO_COLOR is set (https://no-color.org).
    """

    def __init__(self, stream: TextIO) -> None:
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a name in another script must not end the demo
        self._stream = stream
        self._is_terminal = stream.isatty()
        self._has_colour = (
            self._is_terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        )

    @property
    def width(self) -> int:
        """Columns to write in: the terminal's, 120 at most, and where there is none."""
        return min(shutil.get_terminal_size((MAX_WIDTH, 24)).columns, MAX_WIDTH)

    def say(self, text: str = "") -> None:
        """Write a line."""
        self._write(text + "\n")

    def title(self, text: str) -> None:
        """Write a heading, with space above it."""
        self.say(f"\n{self.paint('bold')(text)}\n")

    def paint(self, style: str) -> Callable[[str], str]:
        """Give what puts a text into a style: bold, dim, or a colour's name."""
        code = _CODES[style]
        return (lambda text: f"\x1b[{code}m{text}\x1b[0m") if self._has_colour else str

    @contextmanager
    def step(self, text: str) -> Iterator[None]:
        """Write what is being done, and behind it, when it is done, how many seconds it took."""
        dots = "." * max(3, min(self.width, 100) - display_width(text) - 14)
        self._write(f"  {text} {self.paint('dim')(dots)} ")
        started_at = time.monotonic()
        try:
            yield
        except BaseException:
            self.say(self.paint("red")("stopped"))
            raise
        self.say(f"{time.monotonic() - started_at:5.2f} s")

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()
