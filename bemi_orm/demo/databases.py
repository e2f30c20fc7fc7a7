"""A database for the demo, on the embedded server or on one that is there already."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Final

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import connection as Connection  # noqa: N812
from psycopg2.extensions import cursor as Cursor  # noqa: N812
from psycopg2.extensions import make_dsn

from bemi_orm.demo.postgres import EmbeddedPostgres
from bemi_orm.exceptions import ConfigurationError

NAME: Final = "bemi_demo"
DROP_TIMEOUT_SECONDS: Final = 10


@dataclass(frozen=True, slots=True)
class DemoDatabase:
    """An empty database.

    dsn: libpq's connection string. slot: name for its replication slot, unique on its server.
    label: how to reach it, without a secret.
    """

    dsn: str
    slot: str
    label: str


@contextmanager
def embedded_database() -> Iterator[DemoDatabase]:
    """Start the embedded server, make a database there, and remove all of it afterwards."""
    with EmbeddedPostgres() as server:
        server.create_database(NAME)
        address = f'psql "postgresql://postgres@127.0.0.1:{server.port}/{NAME}"'
        yield DemoDatabase(make_dsn(**server.parameters(NAME)), NAME, address)


@contextmanager
def database_on(dsn: str) -> Iterator[DemoDatabase]:
    """Make a database on an existing server, and drop it afterwards, its slot first.

    Raises ConfigurationError if the server does not answer or does not allow it.
    """
    name = f"{NAME}_{secrets.token_hex(4)}"
    try:
        connection = psycopg2.connect(dsn)
    except psycopg2.Error as error:
        raise ConfigurationError(f"The server of --dsn cannot be used: {error}") from error
    connection.autocommit = True
    with closing(connection), connection.cursor() as cursor:
        _create(cursor, name)
        try:
            yield DemoDatabase(make_dsn(dsn, dbname=name), name, name)
        finally:
            _drop(cursor, name)


def connect(database: DemoDatabase) -> Connection:
    """Open a plain connection, which knows nothing of Django, in autocommit mode."""
    connection = psycopg2.connect(database.dsn, application_name="a plain SQL client")
    connection.autocommit = True
    return connection


def _create(cursor: Cursor, name: str) -> None:
    try:
        cursor.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    except psycopg2.Error as error:
        raise ConfigurationError(f"The demo cannot make a database with --dsn: {error}") from error


def _drop(cursor: Cursor, name: str) -> None:
    """A slot can be dropped when the server has noticed that its reader is gone."""
    deadline = time.monotonic() + DROP_TIMEOUT_SECONDS
    while time.monotonic() < deadline:
        cursor.execute(
            "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots "
            "WHERE database = %s AND active",
            [name],
        )
        try:
            cursor.execute(
                "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = %s",
                [name],
            )
            break
        except psycopg2.errors.ObjectInUse:
            time.sleep(0.02)
    cursor.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
