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
POLL_SECONDS: Final = 0.05

_CHECKPOINT: Final = (
    "SELECT pg_catalog.max(confirmed_lsn - '0/0')::bigint FROM bemi_checkpoint WHERE slot = %s"
)
# Behind the insert position nothing can have been committed, flushed or not.
_SOURCE: Final = (
    "SELECT pg_catalog.clock_timestamp(), (CASE WHEN pg_catalog.pg_is_in_recovery() "
    "THEN pg_catalog.pg_last_wal_replay_lsn() ELSE pg_catalog.pg_current_wal_insert_lsn() END "
    "- '0/0')::bigint"
)
# A worker at rest moves its checkpoint seldom; a message is something to store.
_HEARTBEAT: Final = (
    "SELECT (pg_catalog.pg_logical_emit_message(true, '_bemi_heartbeat', '') - '0/0')::bigint"
    " WHERE NOT pg_catalog.pg_is_in_recovery()"
)


def ensure_captured(moment: datetime, newest: datetime | None, wait: Wait) -> None:
    """Make sure that all that was committed until the moment is stored.

    newest: commit time of the newest stored change, where that is not later than the moment.
    Raises NotCapturedError where that cannot be told, even after waiting.
    """
    now, lsn = _ask_source()
    if moment > now:
        ahead = (moment - now).total_seconds()
        raise NotCapturedError(f"The moment {moment} lies {ahead:.1f} s in the future.", 0, 0.0)
    _wait_for(lsn, wait, f"the moment {moment.isoformat()}", newest or datetime.fromtimestamp(0, UTC), now)


def ensure_lsn_captured(lsn: int, wait: Wait) -> None:
    """Do as `ensure_captured` for a position in the WAL."""
    now, source_lsn = _ask_source()
    if lsn > source_lsn:
        raise NotCapturedError(
            f"The LSN {format_lsn(lsn)} lies in the future: the WAL ends at {format_lsn(source_lsn)}.",
            lsn - source_lsn, 0.0,
        )  # fmt: skip
    _wait_for(lsn, wait, f"the LSN {format_lsn(lsn)}", now, now)


def _wait_for(lsn: int, wait: Wait, what: str, newest: datetime, now: datetime) -> None:
    stored_lsn = _ask_checkpoint()
    if wait and stored_lsn < lsn:
        stored_lsn = _poll(lsn, DEFAULT_WAIT_SECONDS if wait is True else float(wait))
    if stored_lsn < lsn:
        lag_seconds = max(0.0, (now - newest).total_seconds()) if newest.year > 1970 else 0.0
        raise NotCapturedError(_explain(what, lsn, stored_lsn, newest), lsn - stored_lsn, lag_seconds)


def _poll(lsn: int, timeout_seconds: float) -> int:
    _fetch(settings.SOURCE_DATABASE, _HEARTBEAT)
    deadline = time.monotonic() + timeout_seconds
    while (stored_lsn := _ask_checkpoint()) < lsn and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    return stored_lsn


def _explain(what: str, lsn: int, stored_lsn: int, newest: datetime) -> str:
    return (
        f"It is not certain that {what} is stored: the checkpoint {format_lsn(stored_lsn)} is "
        f"{lsn - stored_lsn} bytes behind {format_lsn(lsn)}"
        + (f", the newest stored change was committed at {newest.isoformat()}" if newest.year > 1970 else "")
        + ". Start `manage.py bemi worker`, or let the call wait for it: wait=True."
    )


def _ask_checkpoint() -> int:
    (lsn,) = _fetch(settings.DATABASE, _CHECKPOINT, [settings.SLOT])
    return int(lsn or 0)


def _ask_source() -> tuple[datetime, int]:
    now, lsn = _fetch(settings.SOURCE_DATABASE, _SOURCE)
    return now.astimezone(UTC), int(lsn)


def _fetch(alias: str, query: str, parameters: list[object] | None = None) -> tuple[Any, ...]:
    with connections[alias].cursor() as cursor:
        cursor.execute(query, parameters)
        return tuple(cursor.fetchone() or ())
