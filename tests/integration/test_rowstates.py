"""The state of a row with a long history: one change of it is read, whichever moment is asked for."""

import re
from datetime import UTC, datetime

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from bemi_orm import Before, Change
from bemi_orm.history.commits import FIRST_ID
from tests.todos.models import Document, Todo

pytestmark = pytest.mark.django_db

PARTITION = "CREATE TABLE {name} PARTITION OF changes FOR VALUES FROM ('{start}') TO ('{end}')"
LONG_HISTORY = f"""
INSERT INTO changes (id, database, schema, "table", primary_key, primary_key_int, operation, before, after,
                     committed_at, queued_at, transaction_id, position, ordinal)
SELECT {FIRST_ID.format(position="n")}, current_database(), 'public', %(table)s, %(key)s, %(number)s,
    'UPDATE', jsonb_build_object('id', %(key)s, %(column)s, n - 1),
    jsonb_build_object('id', %(key)s, %(column)s, n),
    timestamptz '2101-01-01 00:00Z' + n * interval '1 hour', now(), n, n, 0
FROM generate_series(1, 2000) n
"""
ROWS = {
    "integer key": (Todo(pk=5), "task", 5),
    "text key": (Document(pk="6f2b1f0e-0000-0000-0000-000000000001"), "title", None),
}


@pytest.fixture(params=ROWS.values(), ids=ROWS)
def row(request):
    """A row that was changed 2,000 times, in three partitions and the default one."""
    instance, column, number = request.param
    instance._state.adding = False
    with connection.cursor() as cursor:
        for month in (1, 2, 3):
            start, end = (datetime(2101, month + step, 1, tzinfo=UTC) for step in (0, 1))
            cursor.execute(PARTITION.format(name=f"changes_2101_{month:02}", start=start, end=end))
        cursor.execute(
            LONG_HISTORY,
            {
                "table": instance._meta.db_table, "key": str(instance.pk), "number": number, "column": column,
            },
        )  # fmt: skip
        cursor.execute("ANALYZE changes")
    return instance, column


@pytest.mark.parametrize("position", [1, 744, 1000, 2000])
def test_p17_one_change_of_a_long_history_is_read(row, position):
    instance, column = row
    moment = Change.objects.get(position=position)
    with CaptureQueriesContext(
        connection,
    ) as queries:
        past = instance.bemi_as_of(moment)
    assert getattr(past, column) == position
    (asked,) = [query["sql"] for query in queries if 'ORDER BY "changes"."position" DESC' in query["sql"]]
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, TIMING OFF) {asked}")
        plan = "\n".join(line for (line,) in cursor.fetchall())
    assert "Sort Key: changes.id" not in plan
    read = [
        float(rows) for rows in re.findall(r"Index Scan using changes\w*? on .*actual rows=([\d.]+)", plan)
    ]
    assert read, plan
    assert sum(read) <= len(read)


def test_p17_before_the_first_stored_change_the_row_is_what_it_found(row):
    instance, column = row
    past = instance.bemi_as_of(Before(Change.objects.get(position=1)))
    assert getattr(past, column) == 0
