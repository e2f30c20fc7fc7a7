"""Rows of `changes` for tests of the query side, written by SQL as the worker writes them."""

from __future__ import annotations

import itertools
import json
import uuid
from datetime import UTC, datetime, timedelta

from django.db import connections

from bemi_orm.rows import change_id_bytes
from bemi_orm.values.rowjson import ExactDecoder, ExactEncoder

START = datetime(2026, 1, 1, tzinfo=UTC)

COLUMNS = (
    "id", "database", "schema", "table", "primary_key", "primary_key_int", "previous_primary_key",
    "operation", "before", "after", "context", "committed_at", "queued_at", "transaction_id", "position",
    "ordinal",
)  # fmt: skip

_transactions = itertools.count(1)


def next_transaction():
    """Give the number of a transaction of its own; LSN, xid and commit time follow from it."""
    return next(_transactions)


def store(
    table="todos_todo",
    key="1",
    operation="CREATE",
    *,
    transaction=None,
    ordinal=0,
    alias="default",
    database=None,
    schema="public",
    before="{}",
    after="{}",
    context="{}",
    key_int=None,
    previous=None,
    committed_at=None,
):
    """Store one change and give its id; images and context are JSON text or what json.dumps takes."""
    number = next_transaction() if transaction is None else transaction
    position = number * 1024
    if committed_at is None:
        committed_at = START + timedelta(seconds=number)
    if isinstance(key, int):
        key, key_int = str(key), key
    change_id = uuid.UUID(bytes=change_id_bytes(position, ordinal, 7))
    values = [
        change_id, database or connections["default"].settings_dict["NAME"], schema, table, key, key_int,
        None if previous is None else str(previous), operation, _json(before), _json(after),
        _json(context), committed_at, committed_at, number + 700, position, ordinal,
    ]  # fmt: skip
    columns = ", ".join(f'"{name}"' for name in COLUMNS)
    with connections[alias].cursor() as cursor:
        cursor.execute(f"INSERT INTO changes ({columns}) VALUES ({', '.join(['%s'] * len(values))})", values)
    return change_id


def _json(value):
    return value if isinstance(value, str) else json.dumps(value, cls=ExactEncoder)


def plan(queryset):
    """Give the plan's text with sequential scans ruled out where an index serves."""
    with connections[queryset.db].cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        try:
            return queryset.explain()
        finally:
            cursor.execute("SET LOCAL enable_seqscan = on")


def row_image(instance):
    """Give the image of an instance's row, as PostgreSQL itself makes it."""
    table = instance._meta.db_table
    where = " AND ".join(f'"{field.column}" = %s' for field in instance._meta.pk_fields)
    values = [getattr(instance, field.attname) for field in instance._meta.pk_fields]
    with connections["default"].cursor() as cursor:
        cursor.execute("SET LOCAL intervalstyle = postgres")
        cursor.execute(f'SELECT to_jsonb(t)::text FROM "{table}" t WHERE {where}', values)
        return json.loads(cursor.fetchone()[0], cls=ExactDecoder)
