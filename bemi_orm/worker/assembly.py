"""From the messages of a WAL stream to changes with their context and their place in the transaction."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from bemi_orm.exceptions import ContextError, DecodeError
from bemi_orm.rows import PG_EPOCH_US, RowChange, moment_from_pg_us, widen_xid
from bemi_orm.sink.copying import PendingChange, TransactionFacts
from bemi_orm.stitching import EMPTY_CONTEXT, Stitcher, is_context, read_context
from bemi_orm.wal.decoder import decode
from bemi_orm.wal.encoders import RowEncoder, compile_encoder
from bemi_orm.wal.frames import XLogData
from bemi_orm.wal.lsn import format_lsn
from bemi_orm.wal.messages import Begin, Commit, Delete, Insert, Message, Relation, Truncate, Update
from bemi_orm.wal.types import TypeFact

logger = logging.getLogger(__name__)

Describe = Callable[[Relation], tuple[tuple[str, ...], Mapping[int, TypeFact]]]
IsTracked = Callable[[str, str], bool]


class Assembler:
    """Feeds on XLogData in stream order; changes come out of `take`, in the order of the transaction.

    describe: gives a relation's primary key and the types that are not built in.
    is_tracked: takes schema and table, says whether their changes are wanted.
    encoding: PostgreSQL's name of the source database's encoding, in which messages come.
    stored_lsn: the checkpoint; a transaction is skipped if and only if its commit LSN is smaller.
    next_xid: a recent 64-bit transaction id of the source.

    completed_lsn, completed_at: end and commit time of the last whole transaction, None before the first.
    """

    def __init__(
        self, *, describe: Describe, is_tracked: IsTracked, encoding: str, stored_lsn: int, next_xid: int
    ) -> None:
        self.completed_lsn: int | None = None
        self.completed_at: datetime | None = None
        self.bad_contexts = 0
        self._describe, self._is_tracked, self._encoding = describe, is_tracked, encoding
        self._stored_lsn, self._near_xid = stored_lsn, next_xid
        self._encoders: dict[int, RowEncoder | None] = {}
        self._transaction: TransactionFacts | None = None
        self._skipped = False
        self._stitcher: Stitcher[RowChange] = Stitcher()
        self._changes: list[PendingChange] = []
        self._ordinal = 0

    @property
    def in_transaction(self) -> bool:
        """Whether the rest of a transaction is still to come."""
        return self._transaction is not None

    @property
    def waiting(self) -> int:
        """How many changes `take` would give."""
        return len(self._changes)

    def take(self) -> Sequence[PendingChange]:
        """Hand over what is certain so far, which may be a part of a large transaction."""
        changes, self._changes = self._changes, []
        return changes

    def feed(self, frame: XLogData) -> None:
        """Take in one message; raises DecodeError for one that the protocol does not know."""
        message = decode(frame.payload)
        match message:
            case Insert() | Update() | Delete():
                self._row(frame.wal_start, message)
            case Begin():
                self._begin(message)
            case Commit():
                self._commit(message)
            case Message():
                self._context(message)
            case Relation():
                self._relation(message)
            case Truncate():
                self._truncate(frame.wal_start, message)

    def _begin(self, message: Begin) -> None:
        self._skipped = message.commit_lsn < self._stored_lsn
        self._near_xid = widen_xid(message.xid, self._near_xid)
        queued_at_us = time.time_ns() // 1_000 - PG_EPOCH_US
        self._transaction = TransactionFacts(
            message.commit_lsn, message.committed_at_us, queued_at_us, self._near_xid
        )
        self._stitcher, self._ordinal = Stitcher(), 0

    def _commit(self, message: Commit) -> None:
        self._accept(self._stitcher.finish())
        self._transaction = None
        self.completed_lsn = message.end_lsn
        self.completed_at = moment_from_pg_us(message.committed_at_us)

    def _relation(self, relation: Relation) -> None:
        if self._is_tracked(relation.schema, relation.table):
            key_columns, types = self._describe(relation)
            self._encoders[relation.relation_id] = compile_encoder(relation, key_columns, types)
        else:
            self._encoders[relation.relation_id] = None

    def _row(self, lsn: int, message: Insert | Update | Delete) -> None:
        encoder = self._encoder(message.relation_id)
        if encoder is not None:
            self._accept(self._stitcher.push_row(lsn, encoder.encode(message)))

    def _truncate(self, lsn: int, message: Truncate) -> None:
        for relation_id in message.relation_ids:
            encoder = self._encoder(relation_id)
            if encoder is not None:
                self._accept(self._stitcher.push_row(lsn, encoder.truncate()))

    def _encoder(self, relation_id: int) -> RowEncoder | None:
        if self._skipped:
            return None
        try:
            return self._encoders[relation_id]
        except KeyError:
            raise DecodeError(f"A row of relation {relation_id} came before its description", 1) from None

    def _context(self, message: Message) -> None:
        if self._skipped or not is_context(message):
            return
        try:
            context = read_context(message.content, self._encoding)
        except ContextError as error:
            self.bad_contexts += 1
            logger.warning("The context at %s is left out: %s", format_lsn(message.lsn), error)
            context = EMPTY_CONTEXT
        self._accept(self._stitcher.push_message(message.lsn, context))

    def _accept(self, stitched: Sequence[tuple[RowChange, bytes]]) -> None:
        transaction = self._transaction
        assert transaction is not None
        for row, context in stitched:
            self._changes.append(PendingChange(transaction, self._ordinal, row, context))
            self._ordinal += 1
