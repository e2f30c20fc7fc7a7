"""Strings: text types, and every type that JSON has no form for."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

Encoder: TypeAlias = Callable[[bytes], bytes]
"""The text form of a value, UTF-8, to its JSON text, UTF-8."""

_quote: Final = json.JSONEncoder(ensure_ascii=False).encode


def encode_string(value: bytes) -> bytes:
    r"""Give a JSON string; a byte that is not UTF-8 reads `\xff` in it, as JSON has no form for it."""
    return _quote(value.decode("utf-8", "backslashreplace")).encode()


def encode_plain(value: bytes) -> bytes:
    """Give a JSON string of a text that never holds a quote, a backslash, or a control character."""
    return b'"' + value + b'"'


def encode_bytea(value: bytes) -> bytes:
    r"""Give a JSON string of the hex form: its one backslash, at the start, is escaped without a scan."""
    return b'"\\' + value + b'"'


STRINGS: Final[Mapping[int, Encoder]] = {
    17: encode_bytea,
    26: encode_plain,  # oid
    650: encode_plain,  # cidr
    774: encode_plain,  # macaddr8
    790: encode_plain,  # money
    829: encode_plain,  # macaddr
    869: encode_plain,  # inet
    1560: encode_plain,  # bit
    1562: encode_plain,  # varbit
    2950: encode_plain,  # uuid
}
"""By type OID; types that are in no family's table go through `encode_string`."""
