"""JSON documents: nested as they are.

`json` takes any text of the right grammar, `jsonb` does not hold all of it (PostgreSQL manual, "JSON Types"):
`\\u0000` and lone surrogates have no place in a text, and a number must fit `numeric`. Such a document
becomes a JSON string of its raw text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from bemi_orm.wal.jsontext.strings import Encoder, encode_string

_MAX_DIGITS_BEFORE_POINT: Final = 131072
_MAX_DIGITS_AFTER_POINT: Final = 16383
_EXPONENT_LIMIT: Final = (2**31 - 1) // 2

_POSSIBLE_ESCAPES: Final = re.compile(
    rb"""(?: [^\\]++ | \\[^u]
           | \\u (?! 0000 | d[89a-f] ) ....
           | \\u d[89ab].. \\u d[c-f].. )*+""",
    re.DOTALL | re.VERBOSE | re.IGNORECASE,
)
_UNUSUAL_NUMBER: Final = re.compile(rb"[0-9][eE][+-]?[0-9]{4} | (?<![0-9.])[0-9.]{15000}", re.VERBOSE)
_STRING_OR_NUMBER: Final = re.compile(
    rb""" "(?:[^"\\]|\\.)*+" | ([0-9]++) (?:\.([0-9]++))? (?:[eE]([+-]?[0-9]++))? """, re.DOTALL | re.VERBOSE
)


def encode_jsonb(value: bytes) -> bytes:
    """Give the document as it is."""
    return value


def encode_json(value: bytes) -> bytes:
    """Give the document as it is or, where `jsonb` cannot hold it, a string of its text."""
    return value if _fits_jsonb(value) else encode_string(value)


def _fits_jsonb(value: bytes) -> bool:
    # Both first tests are cheap and all but always enough.
    if b"\\u" in value and not _POSSIBLE_ESCAPES.fullmatch(value):
        return False
    return not _UNUSUAL_NUMBER.search(value) or all(map(_fits_numeric, _STRING_OR_NUMBER.finditer(value)))


def _fits_numeric(token: re.Match[bytes]) -> bool:
    """Tell whether a number is within the limits of the manual, "Numeric Types"; a string always is."""
    if token[1] is None:
        return True
    fraction = token[2] or b""
    significant = (token[1] + fraction).lstrip(b"0")
    exponent = _exponent(token[3] or b"0")
    return (
        abs(exponent) < _EXPONENT_LIMIT
        and len(fraction) - exponent <= _MAX_DIGITS_AFTER_POINT
        and (not significant or len(significant) - len(fraction) + exponent <= _MAX_DIGITS_BEFORE_POINT)
    )


def _exponent(text: bytes) -> int:
    # eleven digits are over the limit already, and int() refuses thousands of them
    digits = text.lstrip(b"+-0")[:11] or b"0"
    return -int(digits) if text.startswith(b"-") else int(digits)


DOCUMENTS: Final[Mapping[int, Encoder]] = {114: encode_json, 3802: encode_jsonb}
"""By type OID."""
