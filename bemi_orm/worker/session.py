"""One unbroken reading of the slot: store, move the checkpoint, acknowledge - in this order, always."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from bemi_orm.exceptions import StoppedError
from bemi_orm.replication.source import ReplicationSource
from bemi_orm.sink.writer import Writer
from bemi_orm.wal.frames import Keepalive, XLogData
from bemi_orm.worker.assembly import Assembler
from bemi_orm.worker.watch import PublicationWatch

BATCH_ROWS: Final = 2_000
WAIT_SECONDS: Final = 0.25
CHECKPOINT_SECONDS: Final = 1.0
"""A stream without rows for us moves the checkpoint at most so often."""
IDLE_CHECKPOINT_SECONDS: Final = 5.0
IDLE_CHECKPOINT_BYTES: Final = 1 << 20
"""Idle positions move in such steps: a checkpoint in the tracked cluster is WAL and would chase itself."""


class Session:
    """Moves changes from a started source to an open writer.

    watch: looks after the publication before positions move.
    should_stop: asked while the writer works.
    stored_lsn: all before it is durable in the destination.
    stored_changes: how many changes this session made durable.
    """

    def __init__(
        self,
        source: ReplicationSource,
        writer: Writer,
        assembler: Assembler,
        *,
        watch: PublicationWatch,
        should_stop: Callable[[], bool],
        stored_lsn: int,
    ) -> None:
        self.stored_lsn = stored_lsn
        self.stored_changes = 0
        self._source, self._writer, self._assembler = source, writer, assembler
        self._watch, self._should_stop = watch, should_stop
        self._written = 0  # changes in the writer's open transaction
        self._idle_lsn = stored_lsn
        self._idle_asked = False
        self._checkpoint_at = time.monotonic()

    def step(self) -> None:
        """Take in one message, or, when there is none, store what is complete and wait for more."""
        frame = self._source.read()
        if isinstance(frame, XLogData):
            self._take_in(frame)
        elif frame is None:
            self._rest()
        else:
            self._note_position(frame)

    def store_completed(self) -> None:
        """Store all whole transactions seen so far, with the checkpoint behind them."""
        completed_lsn = self._assembler.completed_lsn
        if self._assembler.in_transaction or completed_lsn is None or completed_lsn <= self.stored_lsn:
            return
        self._write()
        self._checkpoint(completed_lsn)

    def has_seen(self, lsn: int) -> bool:
        """Whether a transaction that ends behind `lsn` has come in whole."""
        completed_lsn = self._assembler.completed_lsn
        return completed_lsn is not None and completed_lsn > lsn

    def _take_in(self, frame: XLogData) -> None:
        assembler = self._assembler
        assembler.feed(frame)
        if assembler.waiting >= BATCH_ROWS:
            self._write()
        if not assembler.in_transaction and (self._written >= BATCH_ROWS or self._checkpoint_is_due()):
            self.store_completed()
        self._source.keep_alive()

    def _rest(self) -> None:
        if self._assembler.waiting or self._written or self._checkpoint_is_due():
            self.store_completed()
        self._move_idle_position()
        self._watch.look()
        self._source.keep_alive()
        self._source.wait(WAIT_SECONDS)

    def _note_position(self, frame: Keepalive) -> None:
        """Without a transaction in hand, all that was sent before this is stored or waits to be."""
        if not self._assembler.in_transaction:
            self._idle_lsn = frame.wal_end
            self._idle_asked = self._idle_asked or frame.reply_requested

    def _move_idle_position(self) -> None:
        idle_bytes = self._idle_lsn - self.stored_lsn
        if idle_bytes <= 0 or self._assembler.in_transaction or self._assembler.waiting or self._written:
            return
        rested_seconds = time.monotonic() - self._checkpoint_at
        large_step = idle_bytes >= IDLE_CHECKPOINT_BYTES and rested_seconds >= IDLE_CHECKPOINT_SECONDS
        if large_step or (self._idle_asked and rested_seconds >= CHECKPOINT_SECONDS):
            self._checkpoint(self._idle_lsn)
            self._idle_asked = False

    def _checkpoint_is_due(self) -> bool:
        return time.monotonic() - self._checkpoint_at >= CHECKPOINT_SECONDS

    def _write(self) -> None:
        changes = self._assembler.take()
        if changes:
            self._wait_for_writer()
            self._writer.begin_write(changes)
            self._written += len(changes)

    def _wait_for_writer(self) -> None:
        """Keep the source alive meanwhile, as a destination may be slow or locked, and listen for a stop.

        Raises StoppedError when the stop comes first.
        """
        while not self._writer.is_free(WAIT_SECONDS):
            if self._should_stop():
                raise StoppedError("Stopped while the destination was busy; the rest is stored next time.")
            self._source.keep_alive()

    def _checkpoint(self, lsn: int) -> None:
        self._watch.look()
        self._wait_for_writer()
        self._writer.begin_commit(lsn, self._assembler.completed_at)
        self._wait_for_writer()
        self._source.acknowledge(lsn)
        self.stored_lsn = lsn
        self.stored_changes += self._written
        self._written = 0
        self._checkpoint_at = time.monotonic()
