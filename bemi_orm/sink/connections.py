"""Connection to the destination database, and what its errors mean."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

import psycopg2
from psycopg2 import errors
from psycopg2.extensions import connection as Connection  # noqa: N812
from psycopg2.extensions import make_dsn

from bemi_orm.exceptions import DestinationUnavailableError, NotMigratedError

SESSION_SETTINGS: Final[Mapping[str, str]] = {
    "statement_timeout": "0",
    "lock_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "synchronous_commit": "on",  # what is acknowledged to the slot must be durable here
}


def connect(parameters: Mapping[str, str]) -> Connection:
    """Open a connection to the database that holds `changes`; raises DestinationUnavailableError."""
    settings = " ".join(f"-c {name}={value}" for name, value in SESSION_SETTINGS.items())
    options = f"{parameters.get('options', '')} {settings}".strip()
    fixed = {"connect_timeout": "10", "application_name": "bemi_orm"}
    with destination_errors():
        dsn = make_dsn(**{**fixed, **parameters, "client_encoding": "UTF8", "options": options})
        connection: Connection = psycopg2.connect(dsn)
        return connection


@contextmanager
def destination_errors(*expected: type[psycopg2.Error]) -> Iterator[None]:
    """Turn driver errors that say *not now* or *not migrated* into ours.

    Data errors pass through, and so do those that the caller expects.
    """
    try:
        yield
    except expected:
        raise
    except errors.UndefinedTable as error:
        raise NotMigratedError(f"{error.diag.message_primary}. Run: manage.py migrate") from error
    except (psycopg2.OperationalError, psycopg2.InterfaceError) as error:
        raise DestinationUnavailableError(
            f"The destination database does not answer: {error}".strip()
        ) from error
