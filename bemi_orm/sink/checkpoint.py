"""The checkpoint: how far a source is stored. It moves in the same transaction as the rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from psycopg2 import sql
from psycopg2.extensions import connection as Connection  # noqa: N812

from bemi_orm.exceptions import FencedError, NotMigratedError
from bemi_orm.sink.connections import destination_errors
from bemi_orm.wal.lsn import format_lsn, parse_lsn


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """One source's row in `bemi_checkpoint`.

    confirmed_lsn: end of the last stored transaction; one whose commit LSN is smaller is stored.
    epoch: number of the present owner; a commit under an older number is refused.
    """

    source: str
    system_identifier: str
    timeline: int
    database_oid: int
    slot: str
    confirmed_lsn: int
    epoch: int = 0


class CheckpointTable:
    """`bemi_checkpoint` and `bemi_gap` beside `changes`; nothing here commits."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.schema = "public"
        self.schema = self._find_schema()

    def _find_schema(self) -> str:
        row = self._fetch_row(
            "SELECT n.nspname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
            "WHERE c.oid = to_regclass('changes') AND to_regclass('bemi_checkpoint') IS NOT NULL",
            {},
        )
        if row is None:
            raise NotMigratedError(
                "The tables changes and bemi_checkpoint are missing in the destination database. "
                "Run: manage.py migrate (with --database, where BEMI_DATABASE is another alias)."
            )
        return str(row[0])

    def schema_beside(self, system_identifier: str, database_oid: int) -> str | None:
        """Give the schema of `changes` if it lies in this very database, else None."""
        row = self._fetch_row(
            "SELECT system_identifier::text, (SELECT oid::bigint FROM pg_database "
            "WHERE datname = current_database()) FROM pg_control_system()",
            {},
        )
        return self.schema if row == (system_identifier, database_oid) else None

    def read(self, source: str) -> Checkpoint | None:
        """Give the source's checkpoint, None before the first set-up."""
        row = self._fetch_row(
            "SELECT source, system_identifier, timeline, database_oid, slot, confirmed_lsn::text, epoch "
            "FROM {schema}.bemi_checkpoint WHERE source = %(source)s",
            {"source": source},
        )
        if row is None:
            return None
        source, system_identifier, timeline, database_oid, slot, confirmed_lsn, epoch = row
        return Checkpoint(
            source, system_identifier, timeline, database_oid, slot, parse_lsn(confirmed_lsn), epoch
        )

    def create(self, checkpoint: Checkpoint) -> None:
        """Store the first checkpoint of a source."""
        self._execute(
            "INSERT INTO {schema}.bemi_checkpoint "
            "(source, system_identifier, timeline, database_oid, slot, confirmed_lsn, epoch) "
            "VALUES (%(source)s, %(system_identifier)s, %(timeline)s, %(database_oid)s, %(slot)s, "
            "%(confirmed_lsn)s::pg_lsn, %(epoch)s)",
            {
                "source": checkpoint.source,
                "system_identifier": checkpoint.system_identifier,
                "timeline": checkpoint.timeline,
                "database_oid": checkpoint.database_oid,
                "slot": checkpoint.slot,
                "confirmed_lsn": format_lsn(checkpoint.confirmed_lsn),
                "epoch": checkpoint.epoch,
            },
        )

    def take_over(self, checkpoint: Checkpoint, timeline: int) -> Checkpoint:
        """Become the owner by compare-and-swap on the epoch; raises FencedError if another was quicker."""
        row = self._fetch_row(
            "SET LOCAL lock_timeout = '10s'; UPDATE {schema}.bemi_checkpoint "
            "SET epoch = epoch + 1, timeline = %(timeline)s, updated_at = now() "
            "WHERE source = %(source)s AND epoch = %(epoch)s RETURNING confirmed_lsn::text, epoch",
            {"source": checkpoint.source, "epoch": checkpoint.epoch, "timeline": timeline},
        )
        if row is None:
            raise FencedError("Another worker took the checkpoint over at the same moment.")
        return replace(checkpoint, timeline=timeline, confirmed_lsn=parse_lsn(row[0]), epoch=row[1])

    def advance(
        self, checkpoint: Checkpoint, confirmed_lsn: int, confirmed_at: datetime | None = None
    ) -> None:
        """Move forward inside the running transaction; raises FencedError under another owner.

        confirmed_at: commit time of the last transaction before `confirmed_lsn`, where it is known.
        """
        count = self._execute(
            "UPDATE {schema}.bemi_checkpoint SET confirmed_lsn = %(lsn)s::pg_lsn, "
            "confirmed_at = coalesce(%(at)s, confirmed_at), updated_at = now() "
            "WHERE source = %(source)s AND epoch = %(epoch)s AND confirmed_lsn <= %(lsn)s::pg_lsn",
            {
                "source": checkpoint.source,
                "epoch": checkpoint.epoch,
                "lsn": format_lsn(confirmed_lsn),
                "at": confirmed_at,
            },
        )
        if count != 1:
            raise FencedError("Another worker owns the checkpoint now; nothing was stored twice.")

    def record_gap(self, checkpoint: Checkpoint, to_lsn: int, reason: str) -> None:
        """Note what was lost, and move the checkpoint behind it."""
        self.note_gap(checkpoint, to_lsn, reason)
        self.advance(checkpoint, to_lsn)

    def note_gap(self, checkpoint: Checkpoint, to_lsn: int, reason: str) -> None:
        """Note that changes between the checkpoint and `to_lsn` may be missing."""
        self._execute(
            "INSERT INTO {schema}.bemi_gap (source, from_lsn, to_lsn, reason) "
            "VALUES (%(source)s, %(from_lsn)s::pg_lsn, %(to_lsn)s::pg_lsn, %(reason)s)",
            {
                "source": checkpoint.source,
                "from_lsn": format_lsn(checkpoint.confirmed_lsn),
                "to_lsn": format_lsn(to_lsn),
                "reason": reason,
            },
        )

    def _statement(self, text: str) -> sql.Composed:
        return sql.SQL(text).format(schema=sql.Identifier(self.schema))

    def _fetch_row(self, text: str, parameters: Mapping[str, object]) -> tuple[Any, ...] | None:
        with destination_errors(), self._connection.cursor() as cursor:
            cursor.execute(self._statement(text), parameters)
            return cursor.fetchone()

    def _execute(self, text: str, parameters: Mapping[str, object]) -> int:
        with destination_errors(), self._connection.cursor() as cursor:
            cursor.execute(self._statement(text), parameters)
            return cursor.rowcount
