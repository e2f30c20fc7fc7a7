"""How far the source is stored, as seen from a process that is not the worker."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any, Final

from django.db import connections

from bemi_orm.conf import settings
from bemi_orm.exceptions import NotCapturedError
from bemi_orm.wal.lsn import format_lsn

Wait = bool | float
"""Seconds to wait for the worker; False is none, True is `DEFAULT_WAIT_SECONDS`."""

DEFAULT_WAIT_SECONDS: Final = 60.0
ANSWER_SECONDS: Final = 2.0
"""So long a worker that is up to date may take to say so: at rest it moves its checkpoint seldom."""

POLL_SECONDS: Final = 0.05

_CONFIRMED_AT: Final = "SELECT pg_catalog.max(confirmed_at) FROM bemi_checkpoint WHERE slot = %s"
_CHECKPOINT: Final = (
    "SELECT coalesce(pg_catalog.max(confirmed_lsn - '0/0'), 0)::bigint FROM bemi_checkpoint WHERE slot = %s"
)
# Behind the insert position nothing can have been committed, flushed or not.
_SOURCE: Final = (
    "SELECT pg_catalog.clock_timestamp(), (CASE WHEN pg_catalog.pg_is_in_recovery() "
    "THEN pg_catalog.pg_last_wal_replay_lsn() ELSE pg_catalog.pg_current_wal_insert_lsn() END "
    "- '0/0')::bigint"
)
_HAS_WORKER: Final = (
    "SELECT coalesce(pg_catalog.bool_or(active), false) FROM pg_catalog.pg_replication_slots "
    "WHERE slot_name = %s"
)
# A transaction for the worker to complete, and to move its checkpoint behind.
_HEARTBEAT: Final = (
    "SELECT pg_catalog.pg_logical_emit_message(true, '_bemi_heartbeat', '') "
    "WHERE NOT pg_catalog.pg_is_in_recovery()"
)


def ensure_captured(moment: datetime, newest: datetime | None, wait: Wait) -> None:
    """Make sure that all that was committed until the moment is stored.

    newest: commit time of the newest stored change, where that is not later than the moment.
    Raises NotCapturedError where that cannot be told, even after waiting.
    """
    if _is_confirmed(moment):
        return
    now, lsn = _ask_source()
    if moment > now:
        ahead_seconds = (moment - now).total_seconds()
        raise NotCapturedError(f"The moment {moment} lies {ahead_seconds:.1f} s in the future.", 0, 0.0)
    lag_seconds = (now - newest).total_seconds() if newest else 0.0
    _ensure_stored(lsn, wait, f"The moment {moment.isoformat()}", lag_seconds)


def ensure_lsn_captured(lsn: int, wait: Wait) -> None:
    """Do as `ensure_captured` for a position in the WAL."""
    _, source_lsn = _ask_source()
    if lsn > source_lsn:
        reason = f"The LSN {format_lsn(lsn)} lies in the future: the WAL ends at {format_lsn(source_lsn)}."
        raise NotCapturedError(reason, lsn - source_lsn, 0.0)
    _ensure_stored(lsn, wait, f"The LSN {format_lsn(lsn)}", 0.0)


def _ensure_stored(lsn: int, wait: Wait, what: str, lag_seconds: float) -> None:
    stored_lsn = _ask_checkpoint()
    if stored_lsn < lsn:
        stored_lsn = _wait_for(lsn, _patience_seconds(wait))
    if stored_lsn < lsn:
        since = f", and the newest change is {lag_seconds:.1f} s old" if lag_seconds else ""
        raise NotCapturedError(
            f"{what} is not known to be stored yet: the checkpoint {format_lsn(stored_lsn)} is "
            f"{lsn - stored_lsn} bytes behind{since}. See that `manage.py bemi worker` runs, and give it "
            "time: wait=True.",
            lsn - stored_lsn,
            lag_seconds,
        )


def _is_confirmed(moment: datetime) -> bool:
    """Whether the worker has seen a later transaction; this needs neither source nor a running worker."""
    (confirmed_at,) = _fetch(settings.DATABASE, _CONFIRMED_AT, [settings.SLOT])
    return confirmed_at is not None and moment < confirmed_at.astimezone(UTC)


def _patience_seconds(wait: Wait) -> float:
    if wait is False:
        (has_worker,) = _fetch(settings.SOURCE_DATABASE, _HAS_WORKER, [settings.SLOT])
        return ANSWER_SECONDS if has_worker else 0.0
    return DEFAULT_WAIT_SECONDS if wait is True else float(wait)


def _wait_for(lsn: int, timeout_seconds: float) -> int:
    if timeout_seconds:
        _send_heartbeat()
    deadline = time.monotonic() + timeout_seconds
    while (stored_lsn := _ask_checkpoint()) < lsn and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    return stored_lsn


def _send_heartbeat() -> None:
    """Use a connection of its own: a transaction of the caller would hold the message back."""
    connection = connections[settings.SOURCE_DATABASE].copy()
    try:
        with connection.cursor() as cursor:
            cursor.execute(_HEARTBEAT)
    finally:
        connection.close()


def _ask_checkpoint() -> int:
    (lsn,) = _fetch(settings.DATABASE, _CHECKPOINT, [settings.SLOT])
    return int(lsn)


def _ask_source() -> tuple[datetime, int]:
    now, lsn = _fetch(settings.SOURCE_DATABASE, _SOURCE)
    return now.astimezone(UTC), int(lsn)


def _fetch(alias: str, query: str, parameters: list[str] | None = None) -> tuple[Any, ...]:
    with connections[alias].cursor() as cursor:
        cursor.execute(query, parameters)
        return tuple(cursor.fetchone() or ())
