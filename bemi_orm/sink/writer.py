"""The writer: stores changes and the checkpoint in one transaction of the destination database."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Final

import psycopg2
from psycopg2.extensions import connection as Connection  # noqa: N812

from bemi_orm.exceptions import SetupError
from bemi_orm.sink.checkpoint import Checkpoint, CheckpointTable
from bemi_orm.sink.connections import connect, destination_errors
from bemi_orm.sink.copying import PendingChange, copy_changes
from bemi_orm.sink.partitions import ensure_partitions

PARTITION_CHECK_INTERVAL: Final = timedelta(hours=6)


class Writer:
    """Copies changes as they come; they show all at once, with the checkpoint, at `commit`.

    The work goes on in a thread, so that the caller can read on and is never stuck behind a lock: ask
    `is_free` until it is True after each `begin_`; whatever the work raised comes out there.

    parameters: libpq keywords of the database that holds `changes`.

    Every method raises DestinationUnavailableError when the server is lost, StorageError when it refuses a
    change, and FencedError when another worker has taken over.
    """

    def __init__(self, parameters: Mapping[str, str]) -> None:
        self._parameters = parameters
        self._connection: Connection | None = None
        self._table: CheckpointTable | None = None
        self._checkpoint: Checkpoint | None = None
        self._database, self._source_hash = "", 0
        self._partitions_checked_at = datetime.min.replace(tzinfo=UTC)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="bemi-writer")
        self._working: Future[None] | None = None

    @property
    def table(self) -> CheckpointTable:
        """The checkpoint table; raises NotMigratedError where it is missing."""
        if self._table is None:
            self._connection = connect(self._parameters)
            self._table = CheckpointTable(self._connection)
        return self._table

    @property
    def checkpoint(self) -> Checkpoint:
        """What is owned since `open`."""
        assert self._checkpoint is not None
        return self._checkpoint

    def read_checkpoint(self, source: str) -> Checkpoint:
        """Give the source's checkpoint; raises SetupError before the first set-up."""
        checkpoint = self.table.read(source)
        self._commit()
        if checkpoint is None:
            raise SetupError(f"No checkpoint of {source} is stored here yet. Run: manage.py bemi setup")
        return checkpoint

    def open(self, source: str, *, timeline: int, database: str, source_hash: int) -> Checkpoint:
        """Become the one writer of this source, and give the checkpoint to go on from."""
        taken = self.table.take_over(self.read_checkpoint(source), timeline)
        self._commit()
        self._checkpoint, self._database, self._source_hash = taken, database, source_hash
        self._make_partitions()
        return taken

    def begin_write(self, changes: Sequence[PendingChange]) -> None:
        """Start to copy changes into the open transaction, or into a new one."""
        assert self._connection is not None
        self._start(
            copy_changes,
            self._connection,
            self.table.schema,
            changes,
            database=self._database,
            source_hash=self._source_hash,
        )

    def begin_commit(self, confirmed_lsn: int, confirmed_at: datetime | None = None) -> None:
        """Start to make all that was written durable, together with the new checkpoint.

        confirmed_at: commit time of the last transaction before it, where it is known.
        """
        self._start(self._store, confirmed_lsn, confirmed_at)

    def is_free(self, timeout_seconds: float | None = None) -> bool:
        """Wait so long for the work in hand, and say whether it has ended; raises what it raised."""
        if self._working is not None:
            try:
                self._working.result(timeout_seconds)
            except TimeoutError:
                return False
            self._working = None
        return True

    def _start(self, work: Callable[..., None], *arguments: object, **options: object) -> None:
        self.is_free()
        self._working = self._thread.submit(work, *arguments, **options)

    def _store(self, confirmed_lsn: int, confirmed_at: datetime | None) -> None:
        self.table.advance(self.checkpoint, confirmed_lsn, confirmed_at)
        self._commit()
        self._make_partitions()

    def commit_setup(self) -> None:
        """Make durable what was done to the checkpoint table itself."""
        self._commit()

    def close(self) -> None:
        """Roll back what is open and let go of the connection; safe to call again."""
        if self._connection is not None:
            if self._working is not None:
                self._cancel()
            self._connection.close()
        self._working = None
        self._connection = self._table = None

    def _cancel(self) -> None:
        assert self._connection is not None
        assert self._working is not None
        with suppress(psycopg2.Error):  # a connection that is lost has nothing to cancel
            self._connection.cancel()
        wait([self._working])

    def _commit(self) -> None:
        assert self._connection is not None
        with destination_errors():
            self._connection.commit()

    def _make_partitions(self) -> None:
        now = datetime.now(UTC)
        if now - self._partitions_checked_at >= PARTITION_CHECK_INTERVAL:
            assert self._connection is not None
            ensure_partitions(self._connection, self.table.schema, now)
            self._partitions_checked_at = now
