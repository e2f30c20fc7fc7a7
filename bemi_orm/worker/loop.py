"""The worker's life: open a session, follow the slot, try again after a lost connection."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from bemi_orm.exceptions import BemiError, StoppedError
from bemi_orm.replication.source import ReplicationSource
from bemi_orm.rows import source_hash
from bemi_orm.sink.writer import Writer
from bemi_orm.wal.lsn import format_lsn
from bemi_orm.worker.assembly import Assembler, IsTracked
from bemi_orm.worker.positions import source_name, verify_positions
from bemi_orm.worker.retry import Backoff
from bemi_orm.worker.session import Session
from bemi_orm.worker.watch import PublicationWatch

logger = logging.getLogger(__name__)


class Worker:
    """Stores every committed change of one source exactly once.

    source, writer: where the changes come from and where they go.
    tracking_for: takes the schema of `changes` where it lies in the tracked database itself, else None;
        gives what says of schema and table whether their changes are wanted.
    should_stop: asked between messages.
    drain: stop as soon as all that was committed before the start is stored.

    stored_changes: how many changes were made durable since the start.
    """

    def __init__(
        self,
        source: ReplicationSource,
        writer: Writer,
        *,
        tracking_for: Callable[[str | None], IsTracked],
        should_stop: Callable[[], bool],
        drain: bool = False,
    ) -> None:
        self.stored_changes = 0
        self._source, self._writer = source, writer
        self._tracking_for, self._should_stop, self._drain = tracking_for, should_stop, drain
        self._drained = False
        self._backoff = Backoff()

    def run(self) -> None:
        """Work until told to stop, or drained; raises BemiError where trying again cannot help.

        A drain tries nothing again: its caller wants an answer. One that is stopped raises StoppedError.
        """
        while not self._finished():
            try:
                self._run_session()
            except StoppedError as error:
                logger.warning("%s", error)
            except BemiError as error:
                if self._drain or not error.retry_helps:
                    raise
                delay_seconds = self._backoff.next_delay_seconds()
                logger.warning("%s Trying again in %.1f s.", error, delay_seconds)
                self._pause(delay_seconds)
            finally:
                self._source.close()
                self._writer.close()
        if self._drain and not self._drained:
            raise StoppedError("Stopped before all was stored; the rest is stored next time.")

    def _run_session(self) -> None:
        drain_lsn = self._source.mark() if self._drain else None
        session = self._open_session()
        logger.info("Following slot %s from %s", self._source.slot, format_lsn(session.stored_lsn))
        try:
            while not (self._should_stop() or (drain_lsn is not None and session.has_seen(drain_lsn))):
                session.step()
                if session.stored_changes:
                    self._backoff.reset()
            session.store_completed()
            self._drained = drain_lsn is not None and session.stored_lsn > drain_lsn
        finally:
            self.stored_changes += session.stored_changes

    def _open_session(self) -> Session:
        identity = self._source.identify()
        name = source_name(identity, self._source.slot)
        self._writer.read_checkpoint(name)  # before the slot: without one, set-up has not run
        slot = self._source.verify()
        checkpoint = self._writer.read_checkpoint(name)
        verify_positions(self._source, slot, checkpoint.confirmed_lsn)
        self._source.start(checkpoint.confirmed_lsn)  # whoever has the slot may take the checkpoint over
        checkpoint = self._writer.open(
            name,
            timeline=identity.timeline,
            database=identity.database,
            source_hash=source_hash(identity.system_identifier, identity.timeline, identity.database),
        )
        own_schema = self._writer.table.schema_beside(identity.system_identifier, identity.database_oid)
        is_tracked = self._tracking_for(own_schema)
        assembler = Assembler(
            describe=self._source.describe,
            is_tracked=is_tracked,
            encoding=identity.encoding,
            stored_lsn=checkpoint.confirmed_lsn,
            next_xid=self._source.next_xid(),
        )
        return Session(
            self._source,
            self._writer,
            assembler,
            watch=PublicationWatch(self._source, is_tracked),
            should_stop=self._should_stop,
            stored_lsn=checkpoint.confirmed_lsn,
        )

    def _finished(self) -> bool:
        return self._drained or self._should_stop()

    def _pause(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not self._finished() and time.monotonic() < deadline:
            time.sleep(0.1)
