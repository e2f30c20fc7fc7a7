"""Settings of a session that must hold whatever server, database, role and environment say.

They are SET on the open connection: as start-up options they would give way to libpq's environment
variables, such as PGTZ and PGDATESTYLE (PostgreSQL manual, "Environment Variables" of libpq).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from psycopg2 import sql
from psycopg2.extensions import connection as Connection  # noqa: N812

TIMEOUTS_OFF: Final[Mapping[str, str]] = {
    "statement_timeout": "0",
    "lock_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "idle_session_timeout": "0",
    "transaction_timeout": "0",
}

_SINCE: Final[Mapping[str, int]] = {"idle_session_timeout": 140_000, "transaction_timeout": 170_000}
"""Settings that older servers do not know."""


def fix_settings(connection: Connection, settings: Mapping[str, str]) -> None:
    """Set these for the whole session; works on a replication connection as well."""
    wanted = {
        name: value for name, value in settings.items() if connection.server_version >= _SINCE.get(name, 0)
    }
    with connection.cursor() as cursor:
        for name, value in wanted.items():
            cursor.execute(sql.SQL("SET {} = {}").format(sql.Identifier(name), sql.Literal(value)))
    connection.commit()
