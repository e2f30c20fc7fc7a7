"""Log sequence numbers: places in the write-ahead log, in bytes since its start.

Follows the PostgreSQL manual, "pg_lsn Type": two hexadecimal numbers of up to 8 digits, with a slash between.
"""

from __future__ import annotations

import re
from typing import Final

MAX_LSN: Final = 2**64 - 1

_LSN: Final = re.compile(r"([0-9A-Fa-f]{1,8})/([0-9A-Fa-f]{1,8})")


def parse_lsn(text: str) -> int:
    """Give the number for PostgreSQL's text, `"16/B374D848"`; ValueError for other text."""
    match = _LSN.fullmatch(text)
    if match is None:
        raise ValueError(f"Not an LSN: {text!r}; it has the form 16/B374D848.")
    high, low = match.groups()
    return int(high, 16) << 32 | int(low, 16)


def format_lsn(lsn: int) -> str:
    """Give PostgreSQL's text for a number; ValueError where it has no place in 64 bits."""
    if not 0 <= lsn <= MAX_LSN:
        raise ValueError(f"Not an LSN: {lsn}; it has 64 bits and no sign.")
    return f"{lsn >> 32:X}/{lsn & 0xFFFFFFFF:X}"
