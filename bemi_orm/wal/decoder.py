"""Messages of the output plugin pgoutput, protocol version 1.

Follows the PostgreSQL manual, "Logical Replication Message Formats". What belongs to later versions of
the protocol (streamed and prepared transactions) or to options that we do not set (binary values) is
an error: to skip it would be to lose changes.
"""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct
from struct import error as StructError  # noqa: N812
from typing import Final, cast

from bemi_orm.exceptions import DecodeError
from bemi_orm.wal.messages import (
    UNCHANGED,
    Begin,
    Column,
    Commit,
    Delete,
    Insert,
    Message,
    OldKind,
    Origin,
    Relation,
    Truncate,
    TupleData,
    Type,
    Update,
    Value,
    WalMessage,
)
from bemi_orm.wal.reader import Reader

_NEW, _KEY, _OLD = b"NKO"
_NULL, _TOAST, _TEXT = b"nut"

_RELATION_AND_KIND: Final = Struct(">IB").unpack_from
_COUNT: Final = Struct(">H").unpack_from
_LENGTH: Final = Struct(">I").unpack_from


def decode(payload: bytes) -> WalMessage:
    """Give the message in the payload of one XLogData frame.

    Raises DecodeError, and no other error, for bytes that are cut short, too long or of an unknown kind.
    """
    decoder = _DECODERS.get(payload[:1])
    if decoder is None:
        raise DecodeError(f"Unknown message type {payload[:1]!r}", 0)
    return decoder(payload)


def _insert(data: bytes) -> Insert:
    relation_id, kind = _row_start(data)
    if kind != _NEW:
        raise DecodeError("An INSERT without its new row", 5)
    return Insert(relation_id, _last_tuple(data, 6))


def _update(data: bytes) -> Update:
    relation_id, kind = _row_start(data)
    if kind == _NEW:
        return Update(relation_id, None, None, _last_tuple(data, 6))
    old_kind = _old_kind(kind)
    old, end = _tuple(data, 6)
    if data[end : end + 1] != b"N":
        raise DecodeError("An UPDATE without its new row", end)
    return Update(relation_id, old_kind, old, _last_tuple(data, end + 1))


def _delete(data: bytes) -> Delete:
    relation_id, kind = _row_start(data)
    return Delete(relation_id, _old_kind(kind), _last_tuple(data, 6))


def _row_start(data: bytes) -> tuple[int, int]:
    try:
        return cast(tuple[int, int], _RELATION_AND_KIND(data, 1))
    except StructError:
        raise DecodeError("A row message is cut short", len(data)) from None


def _old_kind(kind: int) -> OldKind:
    if kind == _OLD:
        return "O"
    if kind == _KEY:
        return "K"
    raise DecodeError(f"Unknown kind of row image {chr(kind)!r}", 5)


def _tuple(data: bytes, at: int) -> tuple[TupleData, int]:
    """Give the row image that starts at `at`, and where it ends: the hot loop.

    `at` only grows, so one check at the end finds every value that reaches over the edge.
    """
    values: list[Value] = []
    append = values.append
    try:
        (count,) = _COUNT(data, at)
        at += 2
        for _ in range(count):
            kind = data[at]
            if kind == _TEXT:
                start = at + 5
                at = start + _LENGTH(data, at + 1)[0]
                append(data[start:at])
                continue
            if kind == _NULL:
                append(None)
            elif kind == _TOAST:
                append(UNCHANGED)
            else:
                raise DecodeError(f"Unknown kind of value {chr(kind)!r}", at)
            at += 1
    except (IndexError, StructError):
        raise DecodeError("A row image is cut short", len(data)) from None
    if at > len(data):
        raise DecodeError("A value is longer than its message", len(data))
    return tuple(values), at


def _last_tuple(data: bytes, at: int) -> TupleData:
    values, end = _tuple(data, at)
    if end != len(data):
        raise DecodeError(f"{len(data) - end} bytes too many", end)
    return values


def _begin(reader: Reader) -> Begin:
    return Begin(commit_lsn=reader.uint64(), committed_at_us=reader.int64(), xid=reader.uint32())


def _commit(reader: Reader) -> Commit:
    reader.flags(known=0)
    return Commit(commit_lsn=reader.uint64(), end_lsn=reader.uint64(), committed_at_us=reader.int64())


def _origin(reader: Reader) -> Origin:
    return Origin(origin_lsn=reader.uint64(), name=reader.string())


def _relation(reader: Reader) -> Relation:
    return Relation(
        relation_id=reader.uint32(),
        schema=_schema(reader),
        table=reader.string(),
        replica_identity=reader.char("dnfi"),
        columns=tuple(_column(reader) for _ in range(reader.uint16())),
    )


def _column(reader: Reader) -> Column:
    in_identity = bool(reader.flags(known=1))
    return Column(reader.string(), reader.uint32(), reader.int32(), in_identity)


def _type(reader: Reader) -> Type:
    return Type(type_oid=reader.uint32(), schema=_schema(reader), name=reader.string())


def _schema(reader: Reader) -> str:
    return reader.string() or "pg_catalog"  # sent as an empty text


def _truncate(reader: Reader) -> Truncate:
    count = reader.uint32()
    flags = reader.flags(known=3)
    if count * 4 > len(reader.data):  # before a bad count makes a long loop
        raise DecodeError(f"{count} tables do not fit into the message", 1)
    relation_ids = tuple(reader.uint32() for _ in range(count))
    return Truncate(relation_ids, cascade=bool(flags & 1), restart_identity=bool(flags & 2))


def _message(reader: Reader) -> Message:
    transactional = bool(reader.flags(known=1))
    return Message(transactional, reader.uint64(), reader.string(), reader.raw(reader.uint32()))


def _whole(decode_body: Callable[[Reader], WalMessage]) -> Callable[[bytes], WalMessage]:
    def decoder(data: bytes) -> WalMessage:
        reader = Reader(data, offset=1)
        message = decode_body(reader)
        reader.finish()
        return message

    return decoder


_DECODERS: Final[dict[bytes, Callable[[bytes], WalMessage]]] = {
    b"I": _insert,
    b"U": _update,
    b"D": _delete,
    b"B": _whole(_begin),
    b"C": _whole(_commit),
    b"M": _whole(_message),
    b"R": _whole(_relation),
    b"Y": _whole(_type),
    b"T": _whole(_truncate),
    b"O": _whole(_origin),
}
