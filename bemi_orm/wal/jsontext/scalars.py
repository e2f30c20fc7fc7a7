"""Booleans and numbers: JSON has a form for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from bemi_orm.wal.jsontext.strings import Encoder, encode_plain

_NINE: Final = ord("9")

encode_boolean: Final[Encoder] = {b"t": b"true", b"f": b"false"}.__getitem__


def encode_integer(value: bytes) -> bytes:
    """Give the digits as they are: JSON numbers have no limit of size."""
    return value


def encode_number(value: bytes) -> bytes:
    """Give the digits as they are, so that the scale stays; NaN and the infinities end in a letter."""
    return value if value[-1] <= _NINE else encode_plain(value)


INTEGER_OIDS: Final = frozenset({20, 21, 23})
"""int8, int2, int4."""

SCALARS: Final[Mapping[int, Encoder]] = {
    16: encode_boolean,
    **dict.fromkeys(INTEGER_OIDS, encode_integer),
    700: encode_number,  # float4
    701: encode_number,  # float8
    1700: encode_number,  # numeric
}
"""By type OID."""
