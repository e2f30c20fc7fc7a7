"""Connections to the source database, with every setting fixed that changes how a value is written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeVar

import psycopg2
from psycopg2.extensions import connection as Connection  # noqa: N812
from psycopg2.extensions import make_dsn
from psycopg2.extras import LogicalReplicationConnection

from bemi_orm.exceptions import SetupError, SourceUnavailableError

Parameters = Mapping[str, str]
"""libpq connection keywords and their values."""

AnyConnection = TypeVar("AnyConnection", bound=Connection)

SESSION_SETTINGS: Final[Mapping[str, str]] = {
    "TimeZone": "UTC",
    "DateStyle": "ISO",
    "IntervalStyle": "postgres",
    "extra_float_digits": "1",
    "bytea_output": "hex",
    "lc_monetary": "C",
    "statement_timeout": "0",
    "lock_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
}

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
    """Open a connection that speaks the replication protocol.

    Raises SetupError when the role may not, else SourceUnavailableError.
    """
    return _connect(parameters, LogicalReplicationConnection)


def _connect(parameters: Parameters, factory: type[AnyConnection]) -> AnyConnection:
    settings = " ".join(f"-c {name}={value}" for name, value in SESSION_SETTINGS.items())
    own_options = f"{parameters.get('options', '')} {settings}".strip()
    fixed = {"connect_timeout": "10", "application_name": "bemi_orm", **KEEPALIVES}
    try:
        dsn = make_dsn(**{**fixed, **parameters, "client_encoding": "UTF8", "options": own_options})
        return psycopg2.connect(dsn, connection_factory=factory)
    except psycopg2.OperationalError as error:
        text = str(error).strip()
        if "replication" in text and "permission denied" in text:
            raise SetupError(
                f"{text}\nThe role needs the REPLICATION attribute: ALTER ROLE ... REPLICATION "
                "(on Amazon RDS: GRANT rds_replication TO ...)."
            ) from error
        raise SourceUnavailableError(f"The tracked database does not answer: {text}") from error
