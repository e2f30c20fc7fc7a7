"""Output of commands for people: through a pager and in colour on a terminal, plain elsewhere."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final

Write = Callable[[str], object]

CODES: Final = {"yellow": "33", "red": "31", "green": "32", "bold": "1", "dim": "2"}

_CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f]")


class Paint:
    """Puts texts into colours, or leaves them as they are."""

    def __init__(self, *, is_on: bool) -> None:
        self._is_on = is_on

    def __call__(self, colour: str, text: str) -> str:
        """Give the text in a colour of `CODES`; line by line, as pagers forget it at a line's end."""
        if not self._is_on:
            return text
        return "\n".join(f"\x1b[{CODES[colour]}m{line}\x1b[0m" for line in text.split("\n"))


def paint_for(stream: Any, *, no_color: bool, force_color: bool) -> Paint:
    """Give colours for a terminal, unless NO_COLOR is set (https://no-color.org) or it is a dumb one."""
    is_welcome = stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return Paint(is_on=force_color or (is_welcome and not no_color))


@contextmanager
def paged(stream: Any, *, is_wanted: bool) -> Iterator[Write]:
    """Give what writes a line: into PAGER (`less` by default) on a terminal, else into the stream.

    To leave the pager ends the block quietly, as does a reader of a pipe that leaves (`| head`).
    """
    pager = _start_pager() if is_wanted and stream.isatty() else None
    if pager is None:
        with until_reader_leaves(stream):
            yield _writer(stream)
        return
    assert pager.stdin is not None
    try:
        yield _writer(pager.stdin)
        pager.stdin.close()
    except BrokenPipeError:
        pass
    finally:
        _finish(pager)


@contextmanager
def until_reader_leaves(stream: Any) -> Iterator[None]:
    """End the block quietly when nobody reads the stream any more; Python manual, "Note on SIGPIPE"."""
    try:
        yield
        stream.flush()
    except BrokenPipeError:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), stream.fileno())  # for what is flushed at exit


def printable(text: str) -> str:
    """Give a text on one line, which cannot steer the terminal: control characters become escapes."""
    return _CONTROL.sub(lambda match: repr(match[0])[1:-1], text)


def write_all(write: Write, blocks: Iterable[str]) -> int:
    """Write each block as it comes, and give how many there were."""
    count = 0
    for block in blocks:
        write(block)
        count += 1
    return count


def _writer(stream: Any) -> Write:
    return lambda line: stream.write(line + "\n")


def _start_pager() -> subprocess.Popen[str] | None:
    """As git does: `less -FRX` leaves a short text on the screen, and shows colours."""
    command = shlex.split(os.environ.get("PAGER") or "less")
    environment = {"LESS": "FRX", **os.environ}
    try:
        return subprocess.Popen(command, stdin=subprocess.PIPE, text=True, env=environment)
    except OSError:
        return None


def _finish(pager: subprocess.Popen[str]) -> None:
    """Wait for the reader to leave; Ctrl-C is for the pager."""
    try:
        if pager.stdin is not None and not pager.stdin.closed:
            pager.stdin.close()
    except BrokenPipeError:
        pass
    while pager.poll() is None:
        try:
            pager.wait()
        except KeyboardInterrupt:
            sys.stderr.flush()
