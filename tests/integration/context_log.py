"""Reads back what transactions wrote into the WAL: messages and row changes, as pgoutput sends them."""

from __future__ import annotations

import json
import struct
from typing import NamedTuple

import psycopg2
from django.db import connections


class Row(NamedTuple):
    """A row change and the content of the nearest message before it in its transaction."""

    table: str
    operation: str
    context: dict


class ContextLog:
    """A temporary slot on the database of an alias; `rows()` gives what was committed since the last call."""

    def __init__(self, alias="default"):
        given = connections[alias].settings_dict
        self._connection = psycopg2.connect(
            host=given["HOST"],
            port=given["PORT"],
            user=given["USER"],
            password=given["PASSWORD"],
            dbname=given["NAME"],
        )
        self._connection.autocommit = True
        self._cursor = self._connection.cursor()
        self._cursor.execute("CREATE PUBLICATION context_log FOR ALL TABLES")
        self._cursor.execute(
            "SELECT pg_create_logical_replication_slot('context_log_' || pg_backend_pid(), 'pgoutput', true)"
        )
        self.messages = 0

    def close(self):
        """Drop slot and publication."""
        self._cursor.execute("DROP PUBLICATION context_log")
        self._connection.close()

    def rows(self):
        """Give the row changes in order; `messages` then is the number of messages among them."""
        self._cursor.execute(
            "SELECT data FROM pg_logical_slot_get_binary_changes('context_log_' || pg_backend_pid(), "
            "NULL, NULL, 'proto_version', '1', 'publication_names', 'context_log', 'messages', 'true')"
        )
        self.messages = 0
        return list(self._stitched([bytes(data) for (data,) in self._cursor.fetchall()]))

    def _stitched(self, changes):
        context, tables = {}, {}
        for data in changes:
            match chr(data[0]):
                case "B":
                    context = {}
                case "M":
                    self.messages += 1
                    prefix, content = _message(data)
                    assert prefix == "_bemi"
                    context = json.loads(content)
                case "R":
                    tables[data[1:5]] = data[5:].split(b"\0")[1].decode()
                case "T":
                    (count,) = struct.unpack_from(">I", data, 1)
                    for number in range(count):
                        start = 6 + 4 * number
                        yield Row(tables[data[start : start + 4]], "T", context)
                case "I" | "U" | "D" as operation:
                    yield Row(tables[data[1:5]], operation, context)


def _message(data):
    flags, _lsn = struct.unpack_from(">BQ", data, 1)
    assert flags == 1  # transactional
    prefix, _, rest = data[10:].partition(b"\0")
    (length,) = struct.unpack_from(">I", rest)
    return prefix.decode(), rest[4 : 4 + length]
