"""A stored change: its identity, its key, and its images."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from struct import Struct
from typing import Final, NamedTuple

PG_EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)
"""From here PostgreSQL counts the microseconds of its times."""

PG_EPOCH_US: Final = 946_684_800_000_000
"""Microseconds from the Unix epoch to PostgreSQL's."""

MAX_ORDINAL: Final = 2**32 - 1
MAX_SOURCE_HASH: Final = 2**26 - 1
MAX_KEY_BYTES: Final = 1_000
"""A btree entry holds a third of a page, about 2,700 bytes, and the key shares it with other columns."""

_MAX_LSN: Final = 2**64 - 1
_UUID: Final = Struct(">QQ").pack
_VERSION_8: Final = 8 << 12
_VARIANT: Final = 0b10 << 62


class RowChange(NamedTuple):
    """One row change, ready to store, but for its context and its place in the transaction.

    A named tuple, not a dataclass: one is made for each row, and it costs a third.

    before, after: JSON text of an object, equal to `to_jsonb(row)`; an absent key is a value not known.
    primary_key: the key's text, see `key_text`; None where the table has no key.
    """

    schema: str
    table: str
    operation: str
    primary_key: str | None
    primary_key_int: int | None
    previous_primary_key: str | None
    before: bytes
    after: bytes


def change_id_bytes(commit_lsn: int, ordinal: int, source_hash: int) -> bytes:
    """Give the 16 bytes of a change's id, a UUID of version 8 (RFC 9562, section 5.8).

    From the most significant bit: LSN 48 bits, version 4, LSN 12, variant 2, LSN 4, ordinal 32, source 26.
    Version and variant never vary, so bytes sort as (commit_lsn, ordinal, source_hash).
    commit_lsn has 64 bits, ordinal 32, source_hash 26; ValueError outside these.
    """
    if not (
        0 <= commit_lsn <= _MAX_LSN and 0 <= ordinal <= MAX_ORDINAL and 0 <= source_hash <= MAX_SOURCE_HASH
    ):
        raise ValueError(f"No change id for LSN {commit_lsn}, ordinal {ordinal}, source {source_hash}.")
    return _UUID(
        commit_lsn >> 16 << 16 | _VERSION_8 | (commit_lsn >> 4 & 0xFFF),
        _VARIANT | (commit_lsn & 0xF) << 58 | ordinal << 26 | source_hash,
    )


def source_hash(system_identifier: str, timeline: int, database: str) -> int:
    """Give 26 bits that tell sources apart, the same at any time and on any machine.

    system_identifier, timeline: as IDENTIFY_SYSTEM gives them; database: its name.
    """
    digest = hashlib.sha256(f"{system_identifier}/{timeline}/{database}".encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 6


def key_text(values: Sequence[str]) -> str | None:
    """Give the text of a primary key from the texts of its columns, in key order.

    One column: its text. Several: a compact JSON array of strings, non-ASCII kept. None: no key, so None.
    A text over `MAX_KEY_BYTES` in UTF-8 becomes `sha256:` and the hexadecimal digest of those bytes.
    """
    if not values:
        return None
    text = (
        values[0] if len(values) == 1 else json.dumps(list(values), ensure_ascii=False, separators=(",", ":"))
    )
    if len(text) * 4 <= MAX_KEY_BYTES:  # UTF-8 takes no more than 4 bytes a character
        return text
    data = text.encode()
    return text if len(data) <= MAX_KEY_BYTES else f"sha256:{hashlib.sha256(data).hexdigest()}"


def widen_xid(xid32: int, near: int) -> int:
    """Give the 64-bit transaction id whose low 32 bits are `xid32`, and which is nearest to `near`.

    near: a 64-bit id (`pg_current_xact_id()`) of about the same time; ids are never 2^31 apart in one
    cluster's WAL. ValueError where `xid32` has more than 32 bits or `near` has a sign.
    """
    if not 0 <= xid32 < 2**32 or near < 0:
        raise ValueError(f"No 64-bit transaction id for {xid32} near {near}.")
    distance = (xid32 - near + 2**31) % 2**32 - 2**31
    xid = near + distance
    return xid if xid >= 0 else xid + 2**32


def moment_from_pg_us(microseconds: int) -> datetime:
    """Give the UTC moment for PostgreSQL's microseconds since 2000-01-01; OverflowError after year 9999."""
    return PG_EPOCH + timedelta(microseconds=microseconds)
