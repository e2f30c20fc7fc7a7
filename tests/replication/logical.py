"""A scratch database whose WAL is read with `pg_logical_slot_get_binary_changes` and decoded by us."""

import os
from contextlib import contextmanager
from uuid import uuid4

import psycopg2
from psycopg2.extensions import make_dsn

from bemi_orm.stitching import Stitcher, is_context, read_context
from bemi_orm.wal.decoder import decode
from bemi_orm.wal.lsn import parse_lsn
from bemi_orm.wal.messages import Begin, Commit, Delete, Insert, Message, Relation, Truncate, Update


def connect(name):
    connection = psycopg2.connect(make_dsn(os.environ["BEMI_TEST_DSN"], dbname=name))
    connection.autocommit = True
    return connection


def run(connection, statements, parameters=None):
    """Run SQL; several statements in one text are one transaction, unless they say otherwise."""
    with connection.cursor() as cursor:
        cursor.execute(statements, parameters)
        return cursor.fetchall() if cursor.description else []


class Source:
    """A database with a publication of all tables and a slot.

    name: the database; encoding: PostgreSQL's name of its encoding.
    """

    def __init__(self, name, encoding):
        self.name, self.encoding = name, encoding
        self.connection = connect(name)

    def run(self, statements, parameters=None):
        return run(self.connection, statements, parameters)

    def copy(self, command, stream):
        with self.connection.cursor() as cursor:
            cursor.copy_expert(command, stream)

    def start(self):
        """Make the publication and the slot; what is committed from here on is read."""
        self.run("CREATE PUBLICATION p FOR ALL TABLES")
        self.run("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", [self.name])

    def read(self):
        """Give (LSN, message) for all that was committed since the last call."""
        rows = self.run(
            "SELECT lsn, data FROM pg_logical_slot_get_binary_changes(%s, NULL, NULL,"
            " 'proto_version', '1', 'publication_names', 'p', 'messages', 'true')",
            [self.name],
        )
        return [(parse_lsn(lsn), decode(bytes(data))) for lsn, data in rows]

    def read_messages(self):
        return [message for _, message in self.read()]

    def read_stitched(self):
        """Give one list per transaction, of (table and first value of the row, context)."""
        transactions, tables, stitcher = [], {}, Stitcher()
        for lsn, message in self.read():
            match message:
                case Begin():
                    transactions.append([])
                case Relation(relation_id, _, table):
                    tables[relation_id] = table
                case Message() if is_context(message):
                    context = read_context(message.content, self.encoding)
                    transactions[-1] += stitcher.push_message(message.lsn, context)
                case Insert() | Update() | Delete():
                    transactions[-1] += stitcher.push_row(lsn, describe(tables, message))
                case Truncate():
                    for relation_id in message.relation_ids:
                        transactions[-1] += stitcher.push_row(lsn, tables[relation_id])
                case Commit():
                    transactions[-1] += stitcher.finish()
        return transactions


def describe(tables, message):
    image = message.old if isinstance(message, Delete) else message.new
    return f"{tables[message.relation_id]} {image[0].decode()}"


@contextmanager
def source(schema, encoding="UTF8"):
    """Make a scratch database with these tables, ready to be read, and drop it at the end."""
    name = f"wal_{uuid4().hex[:12]}"
    admin = connect("postgres")
    try:
        run(admin, f"CREATE DATABASE {name} ENCODING '{encoding}' LOCALE 'C' TEMPLATE template0")
        database = Source(name, encoding)
        try:
            database.run(schema)
            database.start()
            yield database
        finally:
            database.connection.close()
            drop(admin, name)
    finally:
        admin.close()


def drop(admin, name):
    """Drop a database with its slot."""
    run(
        admin,
        "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = %s",
        [name],
    )
    run(admin, f"DROP DATABASE {name} WITH (FORCE)")
