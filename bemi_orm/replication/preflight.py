"""Whether server, database and role can be read by logical replication at all.

Follows the PostgreSQL manual, "Logical Replication: Configuration Settings" and "Security".
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from psycopg2.extensions import connection as Connection  # noqa: N812

from bemi_orm.exceptions import SetupError
from bemi_orm.replication.connections import source_errors

MIN_SERVER_VERSION: Final = 140_000
"""The first whose pgoutput sends messages; 15 is the first that is tested."""

_FACTS: Final = """
SELECT
    pg_is_in_recovery(),
    current_setting('wal_level'),
    current_setting('max_wal_senders')::integer,
    current_setting('max_replication_slots')::integer,
    (SELECT count(*) FROM pg_catalog.pg_replication_slots),
    EXISTS (SELECT FROM pg_catalog.pg_replication_slots WHERE slot_name = %s),
    r.rolname,
    r.rolsuper OR r.rolreplication OR EXISTS (
        SELECT FROM pg_catalog.pg_roles g
        WHERE g.rolname = 'rds_replication' AND pg_has_role(r.oid, g.oid, 'MEMBER')
    )
FROM pg_catalog.pg_roles r
WHERE r.rolname = current_user
"""


class _Facts(NamedTuple):
    in_recovery: bool
    wal_level: str
    max_wal_senders: int
    max_slots: int
    slots: int
    slot_exists: bool
    role: str
    may_replicate: bool


def check_source(connection: Connection, slot: str) -> None:
    """Make sure that a slot of this name can be made, or used, by the connected role.

    Reads only. Raises SetupError with everything that is missing and how to mend it, or
    SourceUnavailableError.
    """
    if connection.server_version < MIN_SERVER_VERSION:
        raise SetupError(
            f"The server is PostgreSQL {connection.server_version // 10_000}, and change capture needs 14 or "
            "newer. Upgrade the server."
        )
    with source_errors(), connection.cursor() as cursor:
        cursor.execute(_FACTS, [slot])
        row = cursor.fetchone()
    assert row is not None
    problems = list(_find_problems(_Facts(*row)))
    if problems:
        raise SetupError("\n".join(problems))


def _find_problems(facts: _Facts) -> Iterator[str]:
    if facts.in_recovery:
        yield "The server is a standby (read-only). Connect to the primary server."
        return
    if facts.wal_level != "logical":
        yield (
            f"wal_level is {facts.wal_level}, and must be logical. As superuser run: "
            "ALTER SYSTEM SET wal_level = 'logical' - then restart the server. On a managed service set its "
            "parameter and restart: rds.logical_replication = 1 (Amazon RDS and Aurora), "
            "cloudsql.logical_decoding = on (Google Cloud SQL), wal_level = logical (Azure)."
        )
    if facts.max_wal_senders == 0:
        yield "max_wal_senders is 0. As superuser run: ALTER SYSTEM SET max_wal_senders = 10 - then restart."
    if facts.slots >= facts.max_slots and not facts.slot_exists:
        yield (
            f"All {facts.max_slots} replication slots are in use. Drop one that nobody reads (SELECT "
            "slot_name, active FROM pg_replication_slots), or raise max_replication_slots and restart."
        )
    if not facts.may_replicate:
        yield (
            f"The role {facts.role} may not replicate. As superuser run: "
            f'ALTER ROLE "{facts.role}" REPLICATION '
            f'(on Amazon RDS and Aurora: GRANT rds_replication TO "{facts.role}").'
        )
