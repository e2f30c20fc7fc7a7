"""The envelope of a replication stream: what travels inside CopyData messages, both ways.

Follows the PostgreSQL manual, "Streaming Replication Protocol", START_REPLICATION.
LSNs are integers, times are microseconds since 2000-01-01 UTC.
"""

from __future__ import annotations

from struct import Struct
from typing import Final, NamedTuple

from bemi_orm.exceptions import DecodeError

_XLOG_DATA: Final = Struct(">cQQq")
_KEEPALIVE: Final = Struct(">cQqB")
_STATUS_UPDATE: Final = Struct(">cQQQqB")


class XLogData(NamedTuple):
    """One message of the output plugin; a named tuple, as one is made for each row and it costs a half.

    wal_start: LSN of the change itself; wal_end: the server's current end of WAL.
    """

    wal_start: int
    wal_end: int
    sent_at_us: int
    payload: bytes


class Keepalive(NamedTuple):
    """The server has sent all there is up to `wal_end`; it may ask for an answer at once."""

    wal_end: int
    sent_at_us: int
    reply_requested: bool


def decode_frame(data: bytes) -> XLogData | Keepalive:
    """Give what one CopyData message from the server holds; DecodeError for anything else."""
    kind = data[:1]
    if kind == b"w":
        if len(data) < _XLOG_DATA.size:
            raise DecodeError("An XLogData frame is cut short", len(data))
        _, wal_start, wal_end, sent_at_us = _XLOG_DATA.unpack_from(data)
        return XLogData(wal_start, wal_end, sent_at_us, data[_XLOG_DATA.size :])
    if kind == b"k":
        if len(data) != _KEEPALIVE.size:
            raise DecodeError(f"A keepalive frame has {_KEEPALIVE.size} bytes, not {len(data)}", len(data))
        _, wal_end, sent_at_us, reply_requested = _KEEPALIVE.unpack(data)
        return Keepalive(wal_end, sent_at_us, bool(reply_requested))
    raise DecodeError(f"Unknown frame type {kind!r}", 0)


def encode_status_update(
    *, written_lsn: int, flushed_lsn: int, applied_lsn: int, sent_at_us: int, reply_requested: bool = False
) -> bytes:
    """Give the content of a standby status update.

    Each LSN is the first byte not yet received, durable, applied; the slot keeps the WAL from
    `flushed_lsn` on, so this one is the acknowledgement. Raises struct.error for an LSN outside 64 bits.
    """
    return _STATUS_UPDATE.pack(b"r", written_lsn, flushed_lsn, applied_lsn, sent_at_us, reply_requested)
