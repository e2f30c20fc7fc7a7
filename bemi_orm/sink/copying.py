"""Rows of `changes` in PostgreSQL's binary COPY format (manual: COPY, "Binary Format")."""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import lru_cache
from struct import Struct
from typing import Final, NamedTuple

from psycopg2 import sql
from psycopg2.extensions import connection as Connection  # noqa: N812

from bemi_orm.exceptions import StorageError
from bemi_orm.rows import RowChange, change_id_bytes
from bemi_orm.sink.connections import destination_errors
from bemi_orm.wal.lsn import format_lsn

COLUMNS: Final = (
    "id", "database", "schema", "table", "primary_key", "primary_key_int", "previous_primary_key",
    "operation", "before", "after", "context", "committed_at", "queued_at", "transaction_id",
    "position", "ordinal",
)  # fmt: skip

_HEADER: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TRAILER: Final = b"\xff\xff"
_NULL: Final = b"\xff\xff\xff\xff"
_LENGTH: Final = Struct(">i")
_BIGINT: Final = Struct(">iq")
_ID: Final = Struct(">hi")
_TIMES_AND_PLACE: Final = Struct(">iqiqiqiqii")
_ID_PREFIX: Final = _ID.pack(len(COLUMNS), 16)
_JSONB_VERSION: Final = b"\x01"


class TransactionFacts(NamedTuple):
    """What all changes of one transaction share; times are microseconds since 2000-01-01 UTC."""

    commit_lsn: int
    committed_at_us: int
    queued_at_us: int
    transaction_id: int


class PendingChange(NamedTuple):
    """A change with its place; `ordinal` counts from 0 in the transaction."""

    transaction: TransactionFacts
    ordinal: int
    row: RowChange
    context: bytes


def encode_changes(changes: Sequence[PendingChange], *, database: str, source_hash: int) -> bytes:
    """Give the COPY stream of these changes, header and trailer included."""
    parts = [_HEADER]
    for change in changes:
        _append_change(parts, change, database, source_hash)
    parts.append(_TRAILER)
    return b"".join(parts)


def copy_changes(
    connection: Connection, schema: str, changes: Sequence[PendingChange], *, database: str, source_hash: int
) -> None:
    """COPY these changes into `schema.changes`, inside the running transaction."""
    command = sql.SQL("COPY {}.changes ({}) FROM STDIN (FORMAT binary)").format(
        sql.Identifier(schema), sql.SQL(", ").join(map(sql.Identifier, COLUMNS))
    )
    stream = io.BytesIO(encode_changes(changes, database=database, source_hash=source_hash))
    try:
        with destination_errors(), connection.cursor() as cursor:
            cursor.copy_expert(command, stream, size=1 << 20)
    except StorageError as error:
        first, last = (format_lsn(change.transaction.commit_lsn) for change in (changes[0], changes[-1]))
        raise StorageError(
            f"{error} It is one of the {len(changes)} changes that committed from {first} to {last}."
        ) from None


def _append_change(parts: list[bytes], change: PendingChange, database: str, source_hash: int) -> None:
    transaction, ordinal, row, context = change
    key_int = row.primary_key_int
    parts += (
        _ID_PREFIX,
        change_id_bytes(transaction.commit_lsn, ordinal, source_hash),
        _names(database, row.schema, row.table),
        _NULL if row.primary_key is None else _text(row.primary_key),
        _NULL if key_int is None else _BIGINT.pack(8, key_int),
        _NULL if row.previous_primary_key is None else _text(row.previous_primary_key),
        _names(row.operation),
        _jsonb_prefix(len(row.before)),
        row.before,
        _jsonb_prefix(len(row.after)),
        row.after,
        _jsonb_prefix(len(context)),
        context,
        _TIMES_AND_PLACE.pack(
            8, transaction.committed_at_us,
            8, transaction.queued_at_us,
            8, transaction.transaction_id,
            8, transaction.commit_lsn,
            4, ordinal,
        ),
    )  # fmt: skip


def _text(value: str) -> bytes:
    data = value.encode()
    return _LENGTH.pack(len(data)) + data


@lru_cache(maxsize=1024)
def _names(*names: str) -> bytes:
    return b"".join(map(_text, names))


def _jsonb_prefix(length: int) -> bytes:
    return _LENGTH.pack(length + 1) + _JSONB_VERSION
