"""A tracked test database: set up, with the real worker at hand, and left as it was found."""

from __future__ import annotations

import uuid

from django.core.management import call_command
from django.db import connections

from bemi_orm.operations import read_sql
from bemi_orm.timetravel import guard, views
from tests.acceptance.site import eventually


def forget_models():
    """Let the models be looked at anew, after a test has changed them."""
    for cached in (
        views._past_models,
        views.digest,
        guard._qualified_tables,
        guard._live_tables,
        guard._table_names,
    ):
        cached.cache_clear()


class Trail:
    """Changes of `default`, stored in the alias of BEMI_DATABASE."""

    def __init__(self, settings, alias="default"):
        self.alias = alias
        settings.BEMI_DATABASE = alias
        settings.BEMI_SLOT = settings.BEMI_PUBLICATION = f"travel_{uuid.uuid4().hex[:12]}"
        self.name = settings.BEMI_SLOT

    def open(self):
        if self.alias != "default":
            self.execute(read_sql("tables.sql"), self.alias)
        call_command("bemi", "setup", verbosity=0)

    def drain(self):
        call_command("bemi", "worker", "--drain", verbosity=0)

    def close(self):
        self.execute(f"DROP PUBLICATION IF EXISTS {self.name}")
        eventually(self._slot_is_free, "the slot is free")
        self.execute(
            "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots "
            f"WHERE slot_name = '{self.name}'"
        )
        if self.alias == "default":
            self.execute("DROP SCHEMA IF EXISTS bemi_time_travel CASCADE")
            self.execute("TRUNCATE changes, bemi_checkpoint, bemi_gap")
        else:
            self.execute(read_sql("drop_tables.sql"), self.alias)

    def _slot_is_free(self):
        return not self.fetch(f"SELECT FROM pg_replication_slots WHERE slot_name = '{self.name}' AND active")

    def execute(self, statement, alias="default"):
        with connections[alias].cursor() as cursor:
            cursor.execute(statement)

    def fetch(self, query, alias="default"):
        with connections[alias].cursor() as cursor:
            cursor.execute(query)
            return cursor.fetchall()

    def now(self):
        [[moment]] = self.fetch("SELECT clock_timestamp()")
        return moment

    def lsn(self):
        [[lsn]] = self.fetch("SELECT pg_current_wal_insert_lsn()::text")
        return lsn
