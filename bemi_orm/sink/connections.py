"""Connection to the destination database, and what its errors mean."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

import psycopg2
from psycopg2 import errors
from psycopg2.extensions import connection as Connection  # noqa: N812
from psycopg2.extensions import make_dsn

from bemi_orm.exceptions import (
    BemiError,
    ConfigurationError,
    DestinationUnavailableError,
    NotMigratedError,
    StorageError,
)
from bemi_orm.sessions import TIMEOUTS_OFF, fix_settings

SESSION_SETTINGS: Final[Mapping[str, str]] = {
    "client_encoding": "UTF8",
    "TimeZone": "UTC",
    "synchronous_commit": "on",  # what is acknowledged to the slot must be durable here
    **TIMEOUTS_OFF,
}

_TOO_LARGE: Final = "54"
"""Class "Program Limit Exceeded" of the SQLSTATEs, which psycopg2 counts among the operational errors."""


def connect(parameters: Mapping[str, str]) -> Connection:
    """Open a connection to the database that holds `changes`; raises DestinationUnavailableError."""
    fixed = {"connect_timeout": "10", "application_name": "bemi_orm"}
    with destination_errors():
        connection: Connection = psycopg2.connect(make_dsn(**{**fixed, **parameters}))
        fix_settings(connection, SESSION_SETTINGS)
    return connection


@contextmanager
def destination_errors(*expected: type[psycopg2.Error]) -> Iterator[None]:
    """Turn the driver's errors into ours, which say what to do and hold no row; let expected ones pass."""
    try:
        yield
    except expected:
        raise
    except psycopg2.Error as error:
        raise _meaning(error) from None  # the driver's own text may quote the row


def _meaning(error: psycopg2.Error) -> BemiError:
    reason = error.diag.message_primary or str(error).strip() or "the connection is lost"
    if isinstance(error, errors.UndefinedTable):
        return NotMigratedError(f"{reason}. Run: manage.py migrate")
    if isinstance(error, errors.InsufficientPrivilege):
        return ConfigurationError(
            f"The destination refuses: {reason}. Grant the worker's role SELECT, INSERT and UPDATE "
            "on changes, bemi_checkpoint and bemi_gap."
        )
    if isinstance(error, errors.ReadOnlySqlTransaction):
        return DestinationUnavailableError(f"The destination is read-only: {reason}")
    if _is_outage(error):
        return DestinationUnavailableError(f"The destination database does not answer: {reason}")
    return StorageError(f"The destination refuses a change: {reason} (SQLSTATE {error.pgcode}).")


def _is_outage(error: psycopg2.Error) -> bool:
    is_operational = isinstance(error, psycopg2.OperationalError | psycopg2.InterfaceError)
    return is_operational and not (error.pgcode or "").startswith(_TOO_LARGE)
