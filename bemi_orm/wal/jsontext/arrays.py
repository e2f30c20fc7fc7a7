"""Arrays: `{1,NULL,"a b"}` to JSON arrays.

Follows the PostgreSQL manual, "Arrays" ("Array Input and Output Syntax"). JSON has no lower bounds:
`to_jsonb` leaves them out, and so does this.
"""

from __future__ import annotations

import re
from typing import Final

from bemi_orm.wal.jsontext.strings import Encoder

# Only a quote or a backslash is ever escaped.
_ESCAPED: Final = re.compile(rb"\\(.)")


def array_encoder(encode_element: Encoder, delimiter: bytes = b",") -> Encoder:
    """Make the encoder of an array of any number of dimensions.

    encode_element: the element type's encoder.
    delimiter: what separates elements (`typdelim`): a comma, but for `box`.
    """
    token = re.compile(
        rb"""(?P<mark>[{}%b]) | "(?P<quoted>(?:[^"\\]|\\.)*+)" | (?P<bare>[^{}"%b]++)"""
        % (re.escape(delimiter), re.escape(delimiter)),
        re.VERBOSE,
    )
    marks = {b"{": b"[", b"}": b"]", delimiter: b","}

    def encode_token(match: re.Match[bytes]) -> bytes:
        if match.lastgroup == "mark":
            return marks[match[0]]
        if match.lastgroup == "quoted":
            return encode_element(_ESCAPED.sub(rb"\1", match["quoted"]))
        return b"null" if match[0] == b"NULL" else encode_element(match[0])

    def encode_array(value: bytes) -> bytes:
        return token.sub(encode_token, value[value.index(b"{") :])  # skips bounds such as [0:2]=

    return encode_array


def vector_encoder(encode_element: Encoder) -> Encoder:
    """Make the encoder of `int2vector` or `oidvector`: arrays whose text has blanks between bare elements."""

    def encode_vector(value: bytes) -> bytes:
        return b"[" + b",".join(map(encode_element, value.split())) + b"]"

    return encode_vector
