"""The server as an oracle: what it writes for a value, and what `to_jsonb` makes of it."""

import os
import uuid

import psycopg2
from psycopg2.extensions import make_dsn

from bemi_orm.replication.connections import VALUE_SETTINGS
from bemi_orm.wal.decoder import decode
from bemi_orm.wal.encoders import compile_encoder
from bemi_orm.wal.messages import Column, Relation, RowMessage, Truncate
from bemi_orm.wal.types import TypeFact

TYPES = """
CREATE EXTENSION citext;
CREATE EXTENSION hstore;
CREATE TYPE mood AS ENUM ('sad', 'ok', 'so "so"', 'a,b');
CREATE DOMAIN positive AS numeric(12,3) CHECK (VALUE > 0);
CREATE DOMAIN very_positive AS positive CHECK (VALUE > 1);
CREATE DOMAIN stamps AS timestamptz[];
CREATE TYPE pair AS (number int, label text);
CREATE TYPE float_range AS RANGE (subtype = float8);
"""


def type_facts(cursor):
    """All that is not built in, `information_schema` included."""
    cursor.execute(
        "SELECT oid::int, typtype, typbasetype::int, "
        "CASE typsubscript WHEN 'array_subscript_handler'::regproc THEN typelem::int ELSE 0 END, typdelim "
        "FROM pg_catalog.pg_type WHERE oid >= 10000"
    )
    return {row[0]: TypeFact(*row) for row in cursor.fetchall()}


def relation_of(cursor, table):
    """The table as `pgoutput` would describe it under REPLICA IDENTITY FULL."""
    cursor.execute(
        "SELECT attname, atttypid::int, atttypmod, true FROM pg_catalog.pg_attribute "
        "WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
        [table],
    )
    return Relation(1, "public", table, "f", tuple(Column(*column) for column in cursor.fetchall()))


def canonical(cursor, json_text):
    """The text of the same `jsonb`, so that the scale of numbers counts, too."""
    cursor.execute("SELECT %s::jsonb::text", [json_text.decode()])
    return cursor.fetchone()[0]


class ScratchDatabase:
    """A database of its own, read with the settings of the worker's connection."""

    def __enter__(self):
        self._admin = psycopg2.connect(os.environ["BEMI_TEST_DSN"])
        self._admin.autocommit = True
        self._name = f"values_{uuid.uuid4().hex}"
        self._admin.cursor().execute(f"CREATE DATABASE {self._name}")
        options = " ".join(f"-c {name}={value}" for name, value in VALUE_SETTINGS.items())
        self._connection = psycopg2.connect(
            make_dsn(os.environ["BEMI_TEST_DSN"], dbname=self._name, client_encoding="UTF8", options=options)
        )
        self._connection.autocommit = True
        self.cursor = self._connection.cursor()
        self.execute(TYPES)
        self.types = type_facts(self.cursor)
        self.has_xml = self._has_xml()
        self._encoders = {}
        return self

    def __exit__(self, *_):
        # a test that failed has left its slot, which would keep the database
        self.execute(
            "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots "
            "WHERE database = current_database()"
        )
        self._connection.close()
        self._admin.cursor().execute(f"DROP DATABASE {self._name}")
        self._admin.close()

    def execute(self, statement, parameters=None):
        self.cursor.execute(statement, parameters)
        return self.cursor.fetchall() if self.cursor.description else None

    def one(self, statement, *parameters):
        return self.execute(statement, parameters)[0][0]

    def canonical(self, json_text):
        return canonical(self.cursor, json_text)

    def listen(self, table):
        """Make a publication and a slot of one name; `changes` reads it."""
        name = f"values_{uuid.uuid4().hex}"
        self.execute(f"CREATE PUBLICATION {name} FOR TABLE {table}")
        self.execute("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", [name])
        return name

    def changes(self, slot, *key_columns):
        payloads = self.execute(
            "SELECT data FROM pg_logical_slot_get_binary_changes("
            "%s, NULL, NULL, 'proto_version', '1', 'publication_names', %s)",
            [slot, slot],
        )
        found = []
        for (payload,) in payloads:
            message = decode(bytes(payload))
            if isinstance(message, Relation):
                self._encoders[message.relation_id] = compile_encoder(message, key_columns, self.types)
            elif isinstance(message, RowMessage) and not isinstance(message, Truncate):
                found.append(self._encoders[message.relation_id].encode(message))
        return found

    def forget(self, slot, table):
        self.execute("SELECT pg_drop_replication_slot(%s)", [slot])
        self.execute(f"DROP PUBLICATION {slot}")
        self.execute(f"DROP TABLE {table}")

    def _has_xml(self):
        try:
            return self.one("SELECT '<a/>'::xml IS NOT NULL")
        except psycopg2.errors.FeatureNotSupported:  # a server built without libxml
            return False
