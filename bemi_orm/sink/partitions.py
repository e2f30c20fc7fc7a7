"""Monthly partitions of `changes`, made ahead of time; the default partition catches the rest."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Final

import psycopg2
from psycopg2 import errors, sql
from psycopg2.extensions import connection as Connection  # noqa: N812

from bemi_orm.sink.connections import destination_errors

logger = logging.getLogger(__name__)

MONTHS_AHEAD: Final = 2

_EXPECTED: Final = (psycopg2.ProgrammingError, psycopg2.IntegrityError, errors.LockNotAvailable)
"""No right to create, rows in the default partition that belong there, and a table that is busy."""


def ensure_partitions(connection: Connection, schema: str, now: datetime) -> None:
    """Make the partitions of this month and the next two where they are missing, and commit.

    A partition that cannot be made is one warning: its rows then go to the default partition.
    """
    for ahead in range(MONTHS_AHEAD + 1):
        first, last = _month(now, ahead), _month(now, ahead + 1)
        name = f"changes_{first:%Y_%m}"
        if not _exists(connection, schema, name):
            _create(connection, schema, name, first, last)


def _month(now: datetime, ahead: int) -> datetime:
    months = now.year * 12 + now.month - 1 + ahead
    return datetime(months // 12, months % 12 + 1, 1, tzinfo=UTC)


def _exists(connection: Connection, schema: str, name: str) -> bool:
    with destination_errors(), connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
            "WHERE n.nspname = %s AND c.relname = %s)",
            [schema, name],
        )
        row = cursor.fetchone()
    return bool(row and row[0])


def _create(connection: Connection, schema: str, name: str, first: datetime, last: datetime) -> None:
    statement = sql.SQL("CREATE TABLE {}.{} PARTITION OF {}.changes FOR VALUES FROM ({}) TO ({})").format(
        sql.Identifier(schema),
        sql.Identifier(name),
        sql.Identifier(schema),
        sql.Literal(first),
        sql.Literal(last),
    )
    try:
        with destination_errors(*_EXPECTED), connection, connection.cursor() as cursor:
            cursor.execute("SET LOCAL lock_timeout = '5s'")
            cursor.execute(statement)
    except errors.DuplicateTable:
        return
    except _EXPECTED as error:
        logger.warning(
            "Partition %s was not made, its changes go to changes_default: %s",
            name,
            error.diag.message_primary,
        )
