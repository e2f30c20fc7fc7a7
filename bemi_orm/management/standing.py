"""Where capture stands: the checkpoint beside `changes`, brought in line with the slot at set-up."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from bemi_orm.exceptions import GapError
from bemi_orm.replication.missed import Missed
from bemi_orm.replication.slots import Slot, read_slot
from bemi_orm.replication.source import ReplicationSource
from bemi_orm.sink.checkpoint import Checkpoint
from bemi_orm.sink.writer import Writer
from bemi_orm.wal.lsn import format_lsn
from bemi_orm.worker.positions import source_name

Report = Callable[[str], object]

NEW_SLOT = "the position of the new slot"


class Standing:
    """Checkpoint and slot of one source as they are before set-up changes anything.

    Everything here raises SourceUnavailableError, DestinationUnavailableError, or NotMigratedError.
    """

    def __init__(self, source: ReplicationSource, writer: Writer) -> None:
        self._source, self._writer = source, writer
        self._identity = source.identify()
        self._name = source_name(self._identity, source.slot)
        self._slot, self._checkpoint = self._read()

    @property
    def is_first(self) -> bool:
        """Whether nothing was captured from this source before."""
        return self._checkpoint is None

    def own_schema(self) -> str | None:
        """Give the schema of `changes` if it lies in the tracked database itself."""
        return self._writer.table.schema_beside(self._identity.system_identifier, self._identity.database_oid)

    def plan(self, missed: Missed, *, accept_gap: bool) -> Iterator[str]:
        """Say what `note_missed` and `settle` will do."""
        if missed.reason:
            yield f"note in bemi_gap: {missed.reason}"
        if self._checkpoint is None:
            start = format_lsn(self._slot.confirmed_lsn) if self._slot else NEW_SLOT
            yield f"start the checkpoint at {start}"
        elif lost := _find_lost(self._slot, self._checkpoint):
            yield f"note the gap {lost}" + ("" if accept_gap else " (this stops without --accept-gap)")

    def note_missed(self, missed: Missed, report: Report) -> None:
        """Note what the publication did not hold; the checkpoint stays: there is more behind it to be read.

        The gap begins at the checkpoint of before set-up: nobody knows since when the publication was wrong.
        """
        if self._checkpoint and missed.reason:
            self._writer.table.note_gap(self._checkpoint, self._source.wal_end(), missed.reason)
            self._writer.commit_setup()
            report(f"note in bemi_gap: {missed.reason}")

    def settle(self, *, accept_gap: bool, report: Report) -> None:
        """Start the checkpoint at the slot, or note the gap between them; do nothing where they fit.

        Raises GapError where there is a gap that nobody accepted.
        """
        slot, checkpoint = self._read()
        assert slot is not None
        if checkpoint is None:
            self._writer.table.create(self._first_checkpoint(slot))
            report(f"start the checkpoint at {format_lsn(slot.confirmed_lsn)}")
        elif lost := _find_lost(slot, checkpoint):
            self._bridge(slot, checkpoint, lost, accept_gap=accept_gap)
            report(f"note the gap {lost}")
        self._writer.commit_setup()

    def _read(self) -> tuple[Slot | None, Checkpoint | None]:
        """The slot first: a worker that runs moves the checkpoint before the slot, so no gap is seen."""
        slot = read_slot(self._source.catalog, self._source.slot)
        checkpoint = self._writer.table.read(self._name)
        self._writer.commit_setup()
        return slot, checkpoint

    def _first_checkpoint(self, slot: Slot) -> Checkpoint:
        return Checkpoint(
            source=self._name,
            system_identifier=self._identity.system_identifier,
            timeline=self._identity.timeline,
            database_oid=self._identity.database_oid,
            slot=self._source.slot,
            confirmed_lsn=slot.confirmed_lsn,
        )

    def _bridge(self, slot: Slot, checkpoint: Checkpoint, lost: str, *, accept_gap: bool) -> None:
        if not accept_gap:
            raise GapError(
                f"What committed from {lost} was never stored: the slot is past the checkpoint. "
                "To note the gap in bemi_gap and go on behind it, add --accept-gap"
            )
        reason = "the slot was past the checkpoint at set-up"
        self._writer.table.record_gap(checkpoint, slot.confirmed_lsn, reason)


def _find_lost(slot: Slot | None, checkpoint: Checkpoint) -> str | None:
    if slot and slot.confirmed_lsn <= checkpoint.confirmed_lsn:
        return None
    end = format_lsn(slot.confirmed_lsn) if slot else NEW_SLOT
    return f"{format_lsn(checkpoint.confirmed_lsn)} to {end}"
