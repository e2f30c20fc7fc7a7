"""Tables made for a test in the test database, and what the real WAL says of their changes."""

from contextlib import closing, contextmanager

from django.db import connection

from bemi_orm import Change
from bemi_orm.management.capture import read_tracking, tracking_for
from bemi_orm.management.databases import libpq_parameters
from bemi_orm.replication.connections import connect_sql
from bemi_orm.replication.setup import SetupOptions, plan_setup
from bemi_orm.replication.slots import read_slot
from bemi_orm.replication.source import ReplicationSource
from bemi_orm.sink.checkpoint import Checkpoint
from bemi_orm.sink.writer import Writer
from bemi_orm.worker.loop import Worker
from bemi_orm.worker.positions import source_name
from tests.acceptance.site import eventually

NAME = "revert_tests"
SLOT_IS_ACTIVE = f"SELECT active FROM pg_replication_slots WHERE slot_name = '{NAME}'"


class Rig:
    """Runs SQL in the test database, and stores what it did through the worker."""

    def run(self, *statements):
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    def fetch(self, query):
        with connection.cursor() as cursor:
            cursor.execute(query)
            return cursor.fetchall()

    def table(self, name):
        """Give all rows of a table as text, sorted."""
        return sorted(row for (row,) in self.fetch(f"SELECT t::text FROM {name} t"))

    def drain(self):
        source = ReplicationSource(libpq_parameters("default"), slot=NAME, publication=NAME)
        writer = Writer(libpq_parameters("default"))
        with closing(source), closing(writer):
            Worker(
                source,
                writer,
                tracking_for=tracking_for,
                should_stop=lambda: False,
                drain=True,
            ).run()

    def changes(self, *statements):
        """Run the statements, each a transaction, and give the changes that they made."""
        last = self.last()
        self.run(*statements)
        return self.captured_since(last)

    def captured_since(self, last):
        self.drain()
        changes = Change.objects.all()
        return changes if last is None else changes.filter(pk__gt=last)

    def last(self):
        """Give the id of the last change so far."""
        self.drain()
        return Change.objects.order_by("-id").values_list("pk", flat=True).first()


@contextmanager
def capture(identity="full"):
    """Capture everything in the test database; everything captured is gone afterwards."""
    rig = Rig()
    _set_up(identity)
    try:
        yield rig
    finally:
        eventually(lambda: rig.fetch(SLOT_IS_ACTIVE) == [(False,)], "the slot is free")
        rig.run(
            "DROP SCHEMA IF EXISTS revert CASCADE",
            f"SELECT pg_drop_replication_slot('{NAME}')",
            f"DROP PUBLICATION {NAME}",
            "TRUNCATE changes, bemi_checkpoint",
        )


def publish(identity="full"):
    """Take tables in that were made since."""
    options = SetupOptions(publication=NAME, slot=NAME, identity=identity, tracking=read_tracking("public"))
    with closing(connect_sql(libpq_parameters("default"))) as sql:
        plan_setup(sql, options).apply(sql)


def _set_up(identity):
    publish(identity)
    source = ReplicationSource(libpq_parameters("default"), slot=NAME, publication=NAME)
    writer = Writer(libpq_parameters("default"))
    with closing(source), closing(writer):
        identified = source.identify()
        slot = read_slot(source.catalog, source.slot)
        writer.table.create(
            Checkpoint(
                source=source_name(identified, NAME),
                system_identifier=identified.system_identifier,
                timeline=identified.timeline,
                database_oid=identified.database_oid,
                slot=NAME,
                confirmed_lsn=slot.confirmed_lsn,
            )
        )
        writer.commit_setup()
