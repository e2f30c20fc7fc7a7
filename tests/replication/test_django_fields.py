"""Every Django field class whose value PostgreSQL stores in a type of its own, written through the ORM."""

import uuid
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.db.backends.postgresql.psycopg_any import DateTimeTZRange, NumericRange

from bemi_orm.replication.connections import VALUE_SETTINGS
from bemi_orm.wal.encoders import compile_encoder
from bemi_orm.wal.messages import Insert
from tests.replication.oracle import canonical, relation_of
from tests.todos.models import Everything

ROWS = [
    {},
    {
        "big": 9007199254740993,
        "small": -32768,
        "truth": True,
        "double": 1e20,
        "exact": Decimal("1.1000000000"),
        "day": date(2024, 2, 29),
        "clock": time(23, 59, 59, 999999),
        "moment": datetime(2024, 1, 1, 12, 0, 0, 1, tzinfo=UTC),
        "span": timedelta(days=-3, hours=2, microseconds=5),
        "blob": b"\x00\xff\\",
        "address": "2001:db8::1",
        "document": {"b": [1.5, None, {"é": '"'}]},
        "identity": uuid.UUID(int=7),
        "text": 'a"b\\c\nüñ 🗝',
        "numbers": [1, None, -3],
        "words": [["NULL", ""], ['a"b', "c,d\\"]],
        "integers": NumericRange(1, None),
        "period": DateTimeTZRange(datetime(2024, 1, 1, tzinfo=UTC), None),
    },
    {
        "double": float("nan"),
        "numbers": [],
        "words": [],
        "integers": NumericRange(empty=True),
        "document": "null",
    },
]


@pytest.mark.django_db
@pytest.mark.parametrize("values", ROWS, ids=["all null", "typical", "odd"])
def test_c4_s60_row_of_every_field_class_equals_to_jsonb(values):
    Everything.objects.create(**values)
    table = Everything._meta.db_table
    with connection.cursor() as cursor:
        for name, value in VALUE_SETTINGS.items():
            cursor.execute("SELECT set_config(%s, %s, true)", [name, value])
        relation = relation_of(cursor, table)
        texts = ", ".join(
            f'CASE WHEN "{column.name}" IS NOT NULL THEN format(\'%s\', "{column.name}") END'
            for column in relation.columns
        )
        cursor.execute(f"SELECT to_jsonb({table})::text, {texts} FROM {table}")
        [[expected, *found]] = cursor.fetchall()
        row = tuple(None if text is None else text.encode() for text in found)
        change = compile_encoder(relation, ["id"], {}).encode(Insert(1, row))
        assert canonical(cursor, change.after) == expected
    assert {column.name for column in relation.columns} == {field.column for field in Everything._meta.fields}
