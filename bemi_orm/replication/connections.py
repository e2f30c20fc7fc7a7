"""Connections to the source database, with every setting fixed that changes how a value is written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final, TypeVar

import psycopg2
from psycopg2.extensions import connection as Connection  # noqa: N812
from psycopg2.extensions import make_dsn
from psycopg2.extras import LogicalReplicationConnection

from bemi_orm.exceptions import SourceUnavailableError
from bemi_orm.sessions import TIMEOUTS_OFF, fix_settings

Parameters = Mapping[str, str]
"""libpq connection keywords and their values."""

AnyConnection = TypeVar("AnyConnection", bound=Connection)

VALUE_SETTINGS: Final[Mapping[str, str]] = {
    "TimeZone": "UTC",
    "DateStyle": "ISO",
    "IntervalStyle": "postgres",
    "extra_float_digits": "1",
    "bytea_output": "hex",
    "lc_monetary": "C",
    "client_encoding": "UTF8",
}
"""What the text of a value depends on."""

SESSION_SETTINGS: Final[Mapping[str, str]] = {**VALUE_SETTINGS, **TIMEOUTS_OFF}

KEEPALIVES: Final[Mapping[str, str]] = {
    "keepalives": "1",
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
}


def connect_sql(parameters: Parameters) -> Connection:
    """Open an autocommit connection for SQL; raises SourceUnavailableError."""
    connection = _connect(parameters, Connection)
    connection.autocommit = True
    return connection


def connect_replication(parameters: Parameters) -> LogicalReplicationConnection:
    """Open a connection that speaks the replication protocol; raises SourceUnavailableError."""
    return _connect(parameters, LogicalReplicationConnection)


@contextmanager
def source_errors() -> Iterator[None]:
    """Turn driver errors that say *not now* into SourceUnavailableError; the rest pass through."""
    try:
        yield
    except (psycopg2.OperationalError, psycopg2.InterfaceError) as error:
        raise SourceUnavailableError(f"The tracked database does not answer: {error}".strip()) from error


def _connect(parameters: Parameters, factory: type[AnyConnection]) -> AnyConnection:
    fixed = {"connect_timeout": "10", "application_name": "bemi_orm", **KEEPALIVES}
    with source_errors():
        connection = psycopg2.connect(make_dsn(**{**fixed, **parameters}), connection_factory=factory)
        fix_settings(connection, SESSION_SETTINGS)
    return connection
