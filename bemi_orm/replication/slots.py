"""The replication slot: what makes the server keep the WAL that has not been stored yet.

Follows the PostgreSQL manual, "Replication Management Functions" and "pg_replication_slots".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from psycopg2.extensions import connection as Connection  # noqa: N812

from bemi_orm.replication.connections import source_errors
from bemi_orm.wal.lsn import parse_lsn

PLUGIN: Final = "pgoutput"
"""The output plugin that every server has."""

CREATE_SLOT: Final = (
    "SELECT lsn::text FROM pg_create_logical_replication_slot({slot}, 'pgoutput', false, false)"
)
"""Not temporary, and without two-phase commit: a prepared transaction is sent when it commits."""


@dataclass(frozen=True, slots=True)
class Slot:
    """One row of `pg_replication_slots`.

    plugin, database: empty for a physical slot.
    active_pid: the server process that reads it now.
    confirmed_lsn: what committed before it is not sent again; 0 while the slot is being made.
    restart_lsn: from here the server keeps WAL; None when it keeps nothing.
    wal_status: `reserved`, `extended`, `unreserved` or `lost`.
    """

    name: str
    plugin: str
    database: str
    active_pid: int | None
    confirmed_lsn: int
    restart_lsn: int | None
    wal_status: str | None
    two_phase: bool
    temporary: bool = False


def read_slot(connection: Connection, name: str) -> Slot | None:
    """Give the slot as it is now, None when there is none of that name; raises SourceUnavailableError."""
    with source_errors(), connection.cursor() as cursor:
        cursor.execute(
            "SELECT slot_name, coalesce(plugin, ''), coalesce(database, ''), active_pid, "
            "coalesce(confirmed_flush_lsn, '0/0')::text, restart_lsn::text, wal_status, two_phase, temporary "
            "FROM pg_catalog.pg_replication_slots WHERE slot_name = %s",
            [name],
        )
        row = cursor.fetchone()
    if row is None:
        return None
    name, plugin, database, active_pid, confirmed, restart, *state = row
    restart_lsn = None if restart is None else parse_lsn(restart)
    return Slot(name, plugin, database, active_pid, parse_lsn(confirmed), restart_lsn, *state)


def create_slot(connection: Connection, name: str) -> int:
    """Make the slot, and give the LSN from which on every commit is sent.

    Waits for the transactions that write at this moment.
    Raises psycopg2.errors.DuplicateObject when there is one of that name.
    """
    with connection.cursor() as cursor:
        cursor.execute(CREATE_SLOT.format(slot="%s"), [name])
        row = cursor.fetchone()
    assert row is not None
    return parse_lsn(row[0])


def drop_slot(connection: Connection, name: str) -> None:
    """Remove the slot, and with it the server's duty to keep WAL; does nothing when there is none.

    Raises psycopg2.errors.ObjectInUse while a worker reads it.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_drop_replication_slot(slot_name) FROM pg_catalog.pg_replication_slots "
            "WHERE slot_name = %s",
            [name],
        )
