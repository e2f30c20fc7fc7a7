"""Dates and times: `to_jsonb` writes timestamps as ISO 8601, and the others as their text form has them.

Follows the PostgreSQL manual, "Date/Time Output": the style ISO has a blank where ISO 8601 has a `T`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from bemi_orm.wal.jsontext.strings import Encoder, encode_plain


def encode_timestamp(value: bytes) -> bytes:
    """Put the `T` in: only the first blank, as a year before Christ ends in ` BC`."""
    return b'"' + value.replace(b" ", b"T", 1) + b'"'


def encode_timestamptz(value: bytes) -> bytes:
    """Put the `T` in, and write the offset, which is always UTC's `+00`, with its minutes."""
    return b'"' + value.replace(b" ", b"T", 1).replace(b"+00", b"+00:00") + b'"'


TEMPORAL: Final[Mapping[int, Encoder]] = {
    1082: encode_plain,  # date
    1083: encode_plain,  # time
    1114: encode_timestamp,
    1184: encode_timestamptz,
    1186: encode_plain,  # interval
    1266: encode_plain,  # timetz
}
"""By type OID."""
