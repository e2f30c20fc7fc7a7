"""What the catalog of the tracked database says of its tables, keys and types."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from importlib.resources import files
from typing import Any

from psycopg2.extensions import connection as Connection  # noqa: N812

from bemi_orm.replication.connections import source_errors
from bemi_orm.wal.types import TypeFact

_KEY_COLUMNS = """
SELECT a.attname
FROM pg_catalog.pg_index i
CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY AS k (attnum, place)
JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
WHERE i.indrelid = %s AND i.indisprimary AND k.place <= i.indnkeyatts
ORDER BY k.place
"""


@dataclass(frozen=True, slots=True)
class TableFacts:
    """A table, or a leaf of a partitioned one.

    kind: `r` ordinary, `p` partitioned.
    owner, is_owner: its role, and whether the connected role may act as that one.
    replica_identity: `d` default, `n` nothing, `f` full, `i` index.
    primary_key: its columns in key order.
    key_identifies: whether identity `d` works: there is a primary key, and it is not deferrable.
    index_identifies: whether identity `i` works: the index that was chosen is still there.
    stored_columns, virtual_columns: generated columns by kind; virtual ones exist from PostgreSQL 18 on.
    listing_publications: those that publish only some of its columns.
    hiding_publications: those that do not publish generated columns (PostgreSQL 18).
    leaves: of a partitioned table, the partitions that hold rows.
    """

    oid: int
    schema: str
    name: str
    kind: str
    owner: str
    is_owner: bool
    replica_identity: str
    primary_key: tuple[str, ...]
    key_identifies: bool
    index_identifies: bool
    stored_columns: tuple[str, ...] = ()
    virtual_columns: tuple[str, ...] = ()
    listing_publications: tuple[str, ...] = ()
    hiding_publications: tuple[str, ...] = ()
    leaves: tuple[TableFacts, ...] = ()

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}"

    @property
    def members(self) -> tuple[TableFacts, ...]:
        """The table and its leaves, all of which have a replica identity of their own."""
        return (self, *self.leaves)


def read_tables(connection: Connection) -> list[TableFacts]:
    """Give every table that can be tracked, by schema and name; partitions only as leaves of their root.

    Not among them: system tables, temporary and unlogged ones, and those that belong to an extension.
    Raises SourceUnavailableError, as everything here does, when the server is lost.
    """
    tables: dict[int, TableFacts] = {}
    leaves: dict[int, list[TableFacts]] = {}
    for root_oid, *columns in _query(connection, _read_sql("source_tables.sql")):
        values: Any = (tuple(value) if isinstance(value, list) else value for value in columns)
        facts = TableFacts(*values)
        if facts.oid == root_oid:
            tables[root_oid] = facts
        else:
            leaves.setdefault(root_oid, []).append(facts)
    return [replace(table, leaves=tuple(leaves.get(oid, ()))) for oid, table in tables.items()]


def read_key_columns(connection: Connection, relation_oid: int) -> tuple[str, ...]:
    """Give the columns of the primary key in key order; empty where there is none, or no such table."""
    return tuple(name for (name,) in _query(connection, _KEY_COLUMNS, [relation_oid]))


def read_type_facts(connection: Connection, oids: Collection[int]) -> dict[int, TypeFact]:
    """Give what is known of these types, and of every type under them, by OID; absent where a type is gone.

    Under a domain lies its base type, under an array its element type, and so on.
    """
    rows = _query(connection, _read_sql("source_types.sql"), {"oids": list(oids)})
    return {row[0]: TypeFact(*row) for row in rows}


def _query(connection: Connection, query: str, parameters: Any = None) -> list[tuple[Any, ...]]:
    with source_errors(), connection.cursor() as cursor:
        cursor.execute(query, parameters)
        return cursor.fetchall()


def _read_sql(name: str) -> str:
    return files("bemi_orm").joinpath("sql", name).read_text(encoding="utf-8")
