"""Puts source and destination together from the project's settings."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing

from bemi_orm.conf import settings
from bemi_orm.exceptions import ConfigurationError, GapError
from bemi_orm.management.databases import libpq_parameters, table_patterns
from bemi_orm.replication.connections import connect_sql
from bemi_orm.replication.setup import SetupOptions, plan_setup
from bemi_orm.replication.slots import Slot, read_slot
from bemi_orm.replication.source import ReplicationSource
from bemi_orm.replication.tracking import Tracking
from bemi_orm.sink.checkpoint import Checkpoint
from bemi_orm.sink.writer import Writer
from bemi_orm.wal.lsn import format_lsn
from bemi_orm.worker.positions import source_name

Report = Callable[[str], object]


def open_source() -> ReplicationSource:
    """Give the replication source of BEMI_SOURCE_DATABASE, not yet connected."""
    parameters = libpq_parameters(settings.SOURCE_DATABASE)
    return ReplicationSource(parameters, slot=settings.SLOT, publication=settings.PUBLICATION)


def open_writer() -> Writer:
    """Give the writer into BEMI_DATABASE, not yet connected."""
    return Writer(libpq_parameters(settings.DATABASE))


def tracking_for(own_schema: str | None) -> Callable[[str, str], bool]:
    """Give what says of schema and table whether their changes are wanted; see `read_tracking`."""
    return read_tracking(own_schema).matches


def read_tracking(own_schema: str | None) -> Tracking:
    """Give the rules of BEMI_TRACK and BEMI_IGNORE.

    own_schema: where `changes` lies, if in the tracked database itself, as our tables never count; else None.
    """
    return Tracking(
        track=table_patterns(settings.TRACK), ignore=table_patterns(settings.IGNORE), own_schema=own_schema
    )


def set_up(*, dry_run: bool, accept_gap: bool, report: Report, warn: Report) -> None:
    """Make publication, replica identities, slot and checkpoint; a second time changes nothing.

    dry_run: report the plan only. accept_gap: note a gap between checkpoint and slot, and go on behind it.
    Raises SetupError, NotMigratedError, GapError, or an error of a lost connection.
    """
    source, writer = open_source(), open_writer()
    with closing(source), closing(writer):
        identity = source.identify()
        options = _setup_options(
            writer.table.schema_beside(identity.system_identifier, identity.database_oid)
        )
        with closing(connect_sql(libpq_parameters(settings.SOURCE_DATABASE))) as connection:
            plan = plan_setup(connection, options)
            for step in plan.steps:
                report(f"  {step.description}")
            for warning in plan.warnings:
                warn(warning)
            if dry_run:
                report("Nothing was changed (dry run)." if plan.steps else "Nothing to do.")
                return
            plan.apply(connection)
        _ensure_checkpoint(source, writer, accept_gap=accept_gap, report=report)
        report("Ready. Next: manage.py bemi worker" if plan.steps else "Nothing to do: all is set up.")


def _setup_options(own_schema: str | None) -> SetupOptions:
    identity = settings.REPLICA_IDENTITY
    if identity not in ("full", "default"):
        raise ConfigurationError(f"BEMI_REPLICA_IDENTITY is {identity!r}; it must be 'full' or 'default'.")
    return SetupOptions(
        publication=settings.PUBLICATION,
        slot=settings.SLOT,
        tracking=read_tracking(own_schema),
        identity="full" if identity == "full" else "default",
    )


def _ensure_checkpoint(
    source: ReplicationSource, writer: Writer, *, accept_gap: bool, report: Report
) -> None:
    slot = read_slot(source.catalog, source.slot)
    assert slot is not None
    identity = source.identify()
    name = source_name(identity, source.slot)
    checkpoint = writer.table.read(name)
    if checkpoint is None:
        first = Checkpoint(
            source=name,
            system_identifier=identity.system_identifier,
            timeline=identity.timeline,
            database_oid=identity.database_oid,
            slot=source.slot,
            confirmed_lsn=slot.confirmed_lsn,
        )
        writer.table.create(first)
        report(f"  start the checkpoint at {format_lsn(slot.confirmed_lsn)}")
    elif slot.confirmed_lsn > checkpoint.confirmed_lsn:
        _bridge_gap(writer, checkpoint, slot, accept_gap=accept_gap, report=report)
    writer.commit_setup()


def _bridge_gap(
    writer: Writer, checkpoint: Checkpoint, slot: Slot, *, accept_gap: bool, report: Report
) -> None:
    lost = f"{format_lsn(checkpoint.confirmed_lsn)} to {format_lsn(slot.confirmed_lsn)}"
    if not accept_gap:
        raise GapError(
            f"What committed from {lost} was never stored: the slot is past the checkpoint. "
            "To note the gap in bemi_gap and go on behind it, add --accept-gap"
        )
    writer.table.record_gap(checkpoint, slot.confirmed_lsn, "the slot was past the checkpoint at set-up")
    report(f"  note the gap {lost}")
