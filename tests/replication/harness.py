"""A tracked database with its `changes`, and a worker that can run in this process or in one of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import uuid
from contextlib import contextmanager
from importlib.resources import files

import psycopg2
from psycopg2.extensions import make_dsn, parse_dsn

from bemi_orm.replication.publication import create_publication
from bemi_orm.replication.slots import create_slot
from bemi_orm.replication.source import ReplicationSource
from bemi_orm.sink.checkpoint import Checkpoint
from bemi_orm.sink.writer import Writer
from bemi_orm.worker.loop import Worker
from bemi_orm.worker.positions import source_name

DEADLINE_SECONDS = 30


def connect(dsn):
    connection = psycopg2.connect(dsn)
    connection.autocommit = True
    return connection


class Rig:
    """One scratch database that is both source and destination."""

    def __init__(self, dsn):
        self.name = f"rig_{uuid.uuid4().hex[:12]}"
        self._server_dsn = dsn
        self.dsn = make_dsn(dsn, dbname=self.name)
        self.parameters = parse_dsn(self.dsn)
        self.slot = self.publication = self.name
        self._connections = []
        with self._server() as cursor:
            cursor.execute(f"CREATE DATABASE {self.name}")
        self.sql = self.connect().cursor()
        self.sql.execute(files("bemi_orm").joinpath("sql/tables.sql").read_text())

    def connect(self):
        connection = connect(self.dsn)
        self._connections.append(connection)
        return connection

    @contextmanager
    def _server(self):
        connection = connect(self._server_dsn)
        try:
            yield connection.cursor()
        finally:
            connection.close()

    def set_up(self, *tables):
        """Publication, slot and checkpoint, as `bemi setup` makes them."""
        for table in tables:
            self.sql.execute(f"ALTER TABLE {table} REPLICA IDENTITY FULL")
        create_publication(self.publication, self.sql.connection.server_version).run(self.sql.connection)
        self.sql.execute(f"ALTER PUBLICATION {self.publication} ADD TABLE {', '.join(tables)}")
        lsn = create_slot(self.sql.connection, self.slot)
        source, writer = self.source(), self.writer()
        identity = source.identify()
        writer.table.create(
            Checkpoint(
                source=source_name(identity, self.slot),
                system_identifier=identity.system_identifier,
                timeline=identity.timeline,
                database_oid=identity.database_oid,
                slot=self.slot,
                confirmed_lsn=lsn,
            )
        )
        writer.commit_setup()
        source.close()
        writer.close()

    def source(self):
        return ReplicationSource(self.parameters, slot=self.slot, publication=self.publication)

    def writer(self):
        return Writer(self.parameters)

    def worker(self, **options):
        options.setdefault("should_stop", lambda: False)
        return Worker(
            self.source(), self.writer(), tracking_for=lambda own: lambda schema, table: True, **options
        )

    def drain(self):
        worker = self.worker(drain=True)
        worker.run()
        return worker.stored_changes

    def spawn_worker(self, fault=""):
        """Start a worker in a process of its own, to be killed; at the fault, if one is named, it dies."""
        command = [sys.executable, "-m", "tests.replication.worker_process"]
        return subprocess.Popen([*command, json.dumps(self.parameters), self.slot, fault], env=os.environ)

    def fetch(self, query, *parameters):
        self.sql.execute(query, parameters or None)
        return self.sql.fetchall()

    def changes(self, columns="after, context"):
        return self.fetch(f"SELECT {columns} FROM changes ORDER BY position, ordinal")

    def stored_ids(self):
        """The ids of the rows of `item` that changes brought, in the order of the changes."""
        return [after["id"] for (after,) in self.changes("after")]

    def is_blocked(self):
        """Whether a worker waits for a lock to copy its changes."""
        return self.fetch(
            "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'COPY%'"
        )

    def confirmed_flush(self):
        [[position]] = self.fetch(
            "SELECT (confirmed_flush_lsn - '0/0')::bigint FROM pg_replication_slots WHERE slot_name = %s",
            self.slot,
        )
        return position

    def walsender(self):
        """The process id of the slot's walsender, None when nobody reads the slot."""
        [[pid]] = self.fetch("SELECT active_pid FROM pg_replication_slots WHERE slot_name = %s", self.slot)
        return pid

    def slot_is_active(self):
        return self.walsender() is not None

    def slot_is_free(self):
        return self.walsender() is None

    def checkpoint(self):
        [[position]] = self.fetch("SELECT (confirmed_lsn - '0/0')::bigint FROM bemi_checkpoint")
        return position

    def wal_position(self):
        [[position]] = self.fetch("SELECT (pg_current_wal_lsn() - '0/0')::bigint")
        return position

    def mark(self):
        """An LSN that the next commit, which is made here, lies behind: no other WAL can be in between."""
        [[position]] = self.fetch(
            "SELECT (pg_logical_emit_message(true, '_bemi_heartbeat', '') - '0/0')::bigint"
        )
        return position

    def wait_until(self, condition, what):
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not condition():
            if time.monotonic() > deadline:
                raise AssertionError(f"not within {DEADLINE_SECONDS} s: {what}")
            time.sleep(0.01)

    def close(self):
        for connection in self._connections:
            connection.close()
        with self._server() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots "
                "WHERE slot_name = %s AND active_pid IS NOT NULL",
                [self.slot],
            )
            self._drop_slot(cursor)
            cursor.execute(f"DROP DATABASE {self.name} WITH (FORCE)")

    def _drop_slot(self, cursor):
        deadline = time.monotonic() + DEADLINE_SECONDS
        while True:
            try:
                cursor.execute(
                    "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots "
                    "WHERE slot_name = %s",
                    [self.slot],
                )
                return
            except psycopg2.errors.ObjectInUse:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.01)
