"""The publication: which tables the server sends, and how. An explicit list, so that it can leave ours out.

Follows the PostgreSQL manual, CREATE PUBLICATION and ALTER PUBLICATION.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from psycopg2 import sql
from psycopg2.extensions import connection as Connection  # noqa: N812

from bemi_orm.replication.connections import source_errors
from bemi_orm.replication.steps import Step

_PUBLICATION: Final = """
SELECT
    p.oid::bigint,
    p.puballtables,
    p.pubinsert AND p.pubupdate AND p.pubdelete AND p.pubtruncate AND p.pubviaroot
        AND coalesce(to_jsonb(p) ->> 'pubgencols', 's') = 's'
FROM pg_catalog.pg_publication p
WHERE p.pubname = %s
"""

_TABLES: Final = """
SELECT
    c.oid::bigint, n.nspname, c.relname,
    coalesce(to_jsonb(r) ->> 'prattrs', to_jsonb(r) ->> 'prqual') IS NOT NULL
FROM pg_catalog.pg_publication_rel r
JOIN pg_catalog.pg_class c ON c.oid = r.prrelid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE r.prpubid = %s
ORDER BY n.nspname, c.relname
"""

_HAS_SCHEMAS: Final = "SELECT EXISTS (SELECT FROM pg_catalog.pg_publication_namespace WHERE pnpubid = %s)"


@dataclass(frozen=True, slots=True)
class PublishedTable:
    """A table that is on the publication's list; `is_restricted`: with a row filter or a column list."""

    oid: int
    schema: str
    name: str
    is_restricted: bool


@dataclass(frozen=True, slots=True)
class Publication:
    """A publication as it is.

    covers_unlisted: it is FOR ALL TABLES, or for the tables of a schema.
    has_right_options: it publishes every operation, through the root, with stored generated columns.
    """

    name: str
    covers_unlisted: bool
    has_right_options: bool
    tables: tuple[PublishedTable, ...]

    def find(self, oid: int) -> PublishedTable | None:
        """Give the table if it is on the list."""
        return next((table for table in self.tables if table.oid == oid), None)


def read_publication(connection: Connection, name: str) -> Publication | None:
    """Give the publication, None when there is none of that name; raises SourceUnavailableError."""
    with source_errors(), connection.cursor() as cursor:
        cursor.execute(_PUBLICATION, [name])
        row = cursor.fetchone()
        if row is None:
            return None
        oid, covers_unlisted, has_right_options = row
        cursor.execute(_TABLES, [oid])
        tables = tuple(PublishedTable(*table) for table in cursor.fetchall())
        if connection.server_version >= 150_000:  # FOR TABLES IN SCHEMA is new there
            cursor.execute(_HAS_SCHEMAS, [oid])
            covers_unlisted = covers_unlisted or cursor.fetchone() == (True,)
    return Publication(name, covers_unlisted, has_right_options, tables)


def create_publication(name: str, server_version: int) -> Step:
    """Make it, with no table yet."""
    return Step(
        f"create publication {name}",
        sql.SQL("CREATE PUBLICATION {} WITH ({})").format(sql.Identifier(name), _options(server_version)),
    )


def set_options(name: str, server_version: int) -> Step:
    """Make it publish every operation, through the root, with stored generated columns."""
    return Step(
        f"set the options of publication {name}",
        sql.SQL("ALTER PUBLICATION {} SET ({})").format(sql.Identifier(name), _options(server_version)),
    )


def add_table(name: str, schema: str, table: str) -> Step:
    """Publish a table, without those that inherit from it, as they are tables of their own."""
    return _alter("ADD", f"publish {schema}.{table}", name, schema, table)


def drop_table(name: str, schema: str, table: str) -> Step:
    """Publish the table no longer."""
    return _alter("DROP", f"stop publishing {schema}.{table}", name, schema, table)


def _alter(verb: str, description: str, name: str, schema: str, table: str) -> Step:
    statement = sql.SQL(f"ALTER PUBLICATION {{}} {verb} TABLE ONLY {{}}")
    return Step(description, statement.format(sql.Identifier(name), sql.Identifier(schema, table)))


def _options(server_version: int) -> sql.Composable:
    options: Sequence[str] = (
        "publish = 'insert, update, delete, truncate'",
        "publish_via_partition_root = true",
        *(["publish_generated_columns = stored"] if server_version >= 180_000 else []),
    )
    return sql.SQL(", ".join(options))
