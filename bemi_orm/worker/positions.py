"""Checks of slot against checkpoint; START_REPLICATION never complains about a wrong position."""

from __future__ import annotations

from bemi_orm.exceptions import GapError
from bemi_orm.replication.slots import Slot
from bemi_orm.replication.source import ReplicationSource, SourceIdentity
from bemi_orm.wal.lsn import format_lsn


def source_name(identity: SourceIdentity, slot: str) -> str:
    """Give the key of the source's checkpoint: server, database and slot."""
    return f"{identity.system_identifier}/{identity.database}/{slot}"


def verify_positions(source: ReplicationSource, slot: Slot, checkpoint_lsn: int) -> None:
    """Make sure that the slot still holds all that is not stored.

    slot: read *before* the checkpoint, as another worker may move both on in between, the checkpoint first.
    Raises GapError when changes were lost on the way.
    """
    if slot.wal_status == "lost":
        raise GapError(
            f"The server has removed WAL that slot {source.slot} still needed (max_slot_wal_keep_size). "
            "Drop the slot, then run: manage.py bemi setup --accept-gap"
        )
    if slot.confirmed_lsn > checkpoint_lsn:
        raise GapError(
            f"Slot {source.slot} is at {format_lsn(slot.confirmed_lsn)}, past the checkpoint "
            f"{format_lsn(checkpoint_lsn)}: what committed in between was never stored. "
            "To note the gap and go on, run: manage.py bemi setup --accept-gap"
        )
    wal_end = source.wal_end()
    if checkpoint_lsn > wal_end:
        raise GapError(
            f"Checkpoint {format_lsn(checkpoint_lsn)} lies past the end of the WAL {format_lsn(wal_end)}: "
            "the tracked database was restored from an older backup. Its positions start again; "
            "store its changes under a new slot name (BEMI_SLOT), then run: manage.py bemi setup"
        )
