"""Puts source and destination together from the project's settings."""

from __future__ import annotations

from collections.abc import Callable

from bemi_orm.conf import settings
from bemi_orm.management.databases import libpq_parameters, table_patterns
from bemi_orm.replication.source import ReplicationSource
from bemi_orm.replication.tracking import Tracking
from bemi_orm.sink.writer import Writer


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
