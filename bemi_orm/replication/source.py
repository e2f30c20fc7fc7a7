"""The replication source: the one place that talks to the walsender and moves the slot."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import psycopg2
from psycopg2 import errors, sql
from psycopg2.extensions import connection as Connection  # noqa: N812
from psycopg2.extras import LogicalReplicationConnection

from bemi_orm.exceptions import SetupError, SlotInUseError, SourceUnavailableError
from bemi_orm.replication.catalog import read_key_columns, read_tables, read_type_facts
from bemi_orm.replication.connections import Parameters, connect_replication, connect_sql, source_errors
from bemi_orm.replication.libpq import CopyBothStream
from bemi_orm.replication.preflight import check_source
from bemi_orm.replication.publication import Publication, read_publication
from bemi_orm.replication.slots import Slot, read_slot
from bemi_orm.rows import PG_EPOCH_US
from bemi_orm.wal.frames import Keepalive, XLogData, decode_frame, encode_status_update
from bemi_orm.wal.lsn import format_lsn, parse_lsn
from bemi_orm.wal.messages import Relation
from bemi_orm.wal.types import TypeFact

SILENCE_LIMIT_SECONDS = 60.0
"""A server that is asked every few seconds and says nothing for so long is taken for dead."""

SLOT_RELEASE_SECONDS = 3.0

_FIRST_UNRESERVED_OID = 10_000  # initdb gives those below 16,384 to domains of information_schema


@dataclass(frozen=True, slots=True)
class SourceIdentity:
    """Which history of which database the positions belong to."""

    system_identifier: str
    timeline: int
    database: str
    database_oid: int
    encoding: str


class ReplicationSource:
    """Reads one slot and acknowledges exactly what it is told to.

    parameters: libpq keywords of the tracked database.
    slot, publication: as made by `bemi setup`.

    Every method raises SourceUnavailableError when the server is lost.
    """

    def __init__(self, parameters: Parameters, *, slot: str, publication: str) -> None:
        self.slot = slot
        self._parameters = parameters
        self._publication = publication
        self._catalog: Connection | None = None
        self._replication: LogicalReplicationConnection | None = None
        self._stream: CopyBothStream | None = None
        self._feedback_interval_seconds = 10.0
        self._last_heard = self._last_feedback = 0.0
        self._received_lsn = self._acknowledged_lsn = 0

    @property
    def catalog(self) -> Connection:
        """An ordinary connection to the source database, opened at first use."""
        if self._catalog is None:
            self._catalog = connect_sql(self._parameters)
        return self._catalog

    def identify(self) -> SourceIdentity:
        """Say which server, timeline and database this is (IDENTIFY_SYSTEM and the catalog)."""
        row = self._query_one(
            "SELECT c.system_identifier::text, k.timeline_id, d.datname, d.oid::bigint, "
            "pg_encoding_to_char(d.encoding) FROM pg_control_system() c, pg_control_checkpoint() k, "
            "pg_database d WHERE d.datname = current_database()"
        )
        return SourceIdentity(*row)

    def next_xid(self) -> int:
        """Give the 64-bit transaction id that the server will use next."""
        return int(self._query_one("SELECT pg_snapshot_xmax(pg_current_snapshot())::text")[0])

    def wal_end(self) -> int:
        """Give the end of the WAL that is written."""
        return parse_lsn(self._query_one("SELECT pg_current_wal_lsn()::text")[0])

    def mark(self) -> int:
        """Write a `_bemi_heartbeat` message and give its LSN: all that is committed now lies before it."""
        row = self._query_one("SELECT pg_logical_emit_message(true, '_bemi_heartbeat', '')::text")
        return parse_lsn(row[0])

    def verify(self) -> Slot:
        """Make sure that the server can still send all changes, and give the slot as it is.

        Raises SetupError where the server, the role, the publication or the slot stands in the way.
        """
        with source_errors():
            check_source(self.catalog, self.slot)
            slot = read_slot(self.catalog, self.slot)
        if slot is None:
            raise SetupError(f"The replication slot {self.slot} does not exist. Run: manage.py bemi setup")
        self.read_publication()
        return slot

    def read_publication(self) -> Publication:
        """Give the publication; raises SetupError where it does not publish everything, as that is lost."""
        with source_errors():
            publication = read_publication(self.catalog, self._publication)
        if publication is None or not publication.has_right_options:
            state = "is gone" if publication is None else "does not publish every operation"
            raise SetupError(
                f"The publication {self._publication} {state}: what is written meanwhile is lost to the "
                "audit trail. Run at once: manage.py bemi setup"
            )
        return publication

    def unpublished_tables(self, is_tracked: Callable[[str, str], bool]) -> frozenset[str]:
        """Give the names of the tables that are tracked by the rules, and not published."""
        published = {table.oid for table in self.read_publication().tables}
        with source_errors():
            tables = read_tables(self.catalog)
        return frozenset(
            f"{table.schema}.{table.name}"
            for table in tables
            if table.oid not in published and is_tracked(table.schema, table.name)
        )

    def describe(self, relation: Relation) -> tuple[tuple[str, ...], Mapping[int, TypeFact]]:
        """Give the primary key's columns and what the catalog knows of the types that are not built in."""
        oids = {column.type_oid for column in relation.columns if column.type_oid >= _FIRST_UNRESERVED_OID}
        with source_errors():
            key_columns = read_key_columns(self.catalog, relation.relation_id)
            return key_columns, read_type_facts(self.catalog, oids) if oids else {}

    def start(self, checkpoint_lsn: int) -> None:
        """Start streaming; the server sends what committed after the slot's own position.

        Raises SlotInUseError when another process has the slot, SetupError when slot or publication is gone.
        """
        self._replication = connect_replication(self._parameters)
        command = sql.SQL(
            "START_REPLICATION SLOT {} LOGICAL {} (proto_version '1', publication_names {}, messages 'true')"
        ).format(
            sql.Identifier(self.slot),
            sql.SQL(format_lsn(checkpoint_lsn)),
            sql.Literal('"' + self._publication.replace('"', '""') + '"'),
        )
        self._read_feedback_interval()
        self._run_start_command(self._replication, command)
        self._stream = CopyBothStream(self._replication)
        self._received_lsn = self._acknowledged_lsn = checkpoint_lsn
        self._last_heard = self._last_feedback = time.monotonic()

    def _run_start_command(self, replication: LogicalReplicationConnection, command: sql.Composed) -> None:
        """A walsender whose client has just gone holds the slot for a moment longer: try for some seconds."""
        deadline = time.monotonic() + SLOT_RELEASE_SECONDS
        while True:
            try:
                with replication.cursor() as cursor:
                    cursor.start_replication_expert(command, decode=False)  # type: ignore[no-untyped-call]
                return
            except errors.ObjectInUse as error:
                if time.monotonic() > deadline:
                    raise SlotInUseError(f"{error}".strip() + ". Stop that worker first.") from error
            except errors.UndefinedObject as error:
                raise SetupError(f"{error}".strip() + ". Run: manage.py bemi setup") from error
            except psycopg2.OperationalError as error:
                raise SourceUnavailableError(f"Replication did not start: {error}".strip()) from error
            time.sleep(0.05)

    def read(self) -> XLogData | Keepalive | None:
        """Give the next frame that has arrived, None when there is none yet."""
        assert self._stream is not None
        data = self._stream.read()
        if data is None:
            return None
        frame = decode_frame(data)
        self._received_lsn = max(self._received_lsn, frame.wal_end)
        if isinstance(frame, Keepalive) and frame.reply_requested:
            self._last_feedback = 0.0
        return frame

    def wait(self, timeout_seconds: float) -> None:
        """Wait for more to arrive, at most so long."""
        assert self._stream is not None
        if self._stream.wait(timeout_seconds):
            self._last_heard = time.monotonic()
        elif time.monotonic() - self._last_heard > SILENCE_LIMIT_SECONDS:
            raise SourceUnavailableError(f"The server has said nothing for {SILENCE_LIMIT_SECONDS:.0f} s.")

    def acknowledge(self, lsn: int) -> None:
        """Tell the server that all before `lsn` is durable, now; never moves back."""
        self._acknowledged_lsn = max(self._acknowledged_lsn, lsn)
        self._send_feedback(reply_requested=False)

    def keep_alive(self) -> None:
        """Repeat the last acknowledgement when it is time, and ask for a sign of life."""
        if time.monotonic() - self._last_feedback >= self._feedback_interval_seconds:
            self._send_feedback(reply_requested=True)

    def close(self) -> None:
        """Let go of both connections; safe to call again."""
        for connection in (self._replication, self._catalog):
            if connection is not None:
                connection.close()
        self._replication = self._catalog = self._stream = None

    def _send_feedback(self, *, reply_requested: bool) -> None:
        if self._stream is None:
            return
        self._stream.write(
            encode_status_update(
                written_lsn=max(self._received_lsn, self._acknowledged_lsn),
                flushed_lsn=self._acknowledged_lsn,
                applied_lsn=self._acknowledged_lsn,
                sent_at_us=time.time_ns() // 1_000 - PG_EPOCH_US,
                reply_requested=reply_requested,
            )
        )
        self._last_feedback = time.monotonic()

    def _read_feedback_interval(self) -> None:
        """A quarter of `wal_sender_timeout`, at most five seconds, so that idle positions move on, too."""
        row = self._query_one(
            "SELECT setting::float / 1000 FROM pg_settings WHERE name = 'wal_sender_timeout'"
        )
        timeout_seconds = float(row[0])
        self._feedback_interval_seconds = min(5.0, timeout_seconds / 4) if timeout_seconds else 5.0

    def _query_one(self, query: str) -> tuple[Any, ...]:
        with source_errors(), self.catalog.cursor() as cursor:
            cursor.execute(query)
            row = cursor.fetchone()
        assert row is not None
        return row
