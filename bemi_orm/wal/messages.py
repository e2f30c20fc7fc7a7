"""What pgoutput sends, as frozen values.

Follows the PostgreSQL manual, "Logical Replication Message Formats", protocol version 1.
LSNs are integers (bytes since the start of the WAL), times are microseconds since 2000-01-01 UTC.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias


class Unchanged(enum.Enum):
    """Marks a TOASTed value that the server did not send, as the row change did not touch it."""

    TOKEN = "u"  # noqa: S105


UNCHANGED: Final = Unchanged.TOKEN

Value: TypeAlias = bytes | Unchanged | None
"""A column: its text form in bytes, None for SQL NULL, or `UNCHANGED`."""

TupleData: TypeAlias = tuple[Value, ...]
"""One row image, a value per column of its relation, in the relation's order."""

OldKind: TypeAlias = Literal["K", "O"]
"""`O`: the whole old row; `K`: only the columns of the replica identity, all others read as None."""


@dataclass(frozen=True, slots=True)
class Begin:
    """Start of a transaction; `commit_lsn` is the LSN of its commit record."""

    commit_lsn: int
    committed_at_us: int
    xid: int


@dataclass(frozen=True, slots=True)
class Commit:
    """End of a transaction; `end_lsn` is the first byte after its commit record."""

    commit_lsn: int
    end_lsn: int
    committed_at_us: int


@dataclass(frozen=True, slots=True)
class Origin:
    """The transaction was replayed from another server."""

    origin_lsn: int
    name: str


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a relation; `in_identity` is the flag of the replica identity, not of the primary key."""

    name: str
    type_oid: int
    type_modifier: int
    in_identity: bool


@dataclass(frozen=True, slots=True)
class Relation:
    """A table as it is from here on in the stream; replica identity is one of `d`, `n`, `f`, `i`."""

    relation_id: int
    schema: str
    table: str
    replica_identity: str
    columns: tuple[Column, ...]


@dataclass(frozen=True, slots=True)
class Type:
    """The name of a type that is not built in."""

    type_oid: int
    schema: str
    name: str


@dataclass(frozen=True, slots=True)
class Insert:
    """A new row."""

    relation_id: int
    new: TupleData


@dataclass(frozen=True, slots=True)
class Update:
    """A changed row; without an old image `old_kind` and `old` are None."""

    relation_id: int
    old_kind: OldKind | None
    old: TupleData | None
    new: TupleData


@dataclass(frozen=True, slots=True)
class Delete:
    """A removed row."""

    relation_id: int
    old_kind: OldKind
    old: TupleData


@dataclass(frozen=True, slots=True)
class Truncate:
    """Emptied tables."""

    relation_ids: tuple[int, ...]
    cascade: bool
    restart_identity: bool


@dataclass(frozen=True, slots=True)
class Message:
    """What `pg_logical_emit_message` wrote; `content` is in the encoding of the source database."""

    transactional: bool
    lsn: int
    prefix: str
    content: bytes


RowMessage: TypeAlias = Insert | Update | Delete | Truncate
WalMessage: TypeAlias = Begin | Commit | Origin | Relation | Type | RowMessage | Message
