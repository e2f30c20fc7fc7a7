"""How long questions to the past take, through the ORM, on a history that is made by SQL.

    python -m tests.benchmarks.time_travel [ROWS] [--pg-bin DIR]

ROWS rows of `todos_todo` are created, then half of them changed twice: two changes a row, over four months.
2,000,000 rows are the full size; 20,000 the default.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import django
from django.core.management import call_command

from bemi_orm.demo.postgres import EmbeddedPostgres

DATABASE = "travel_benchmark"
RUNS = 5
"""At least; quick questions are asked as often as `SECONDS` allow, as a young process is slower."""
SECONDS = 1.0
PARTITIONS = """
CREATE TABLE changes_2026_{month:02} PARTITION OF changes
FOR VALUES FROM ('2026-{month:02}-01') TO ('2026-{next:02}-01')
"""
# The low 16 bits of the positions are 0, so that an id is easily written: see bemi_orm.rows.change_id_bytes.
FILL = """
INSERT INTO changes (id, database, schema, "table", primary_key, primary_key_int, operation, before, after,
                     context, committed_at, queued_at, transaction_id, position, ordinal)
SELECT (lpad(to_hex(n), 12, '0') || '80008000000000000000')::uuid, current_database(), 'public', 'todos_todo',
    key::text, key, CASE WHEN n <= {rows} THEN 'CREATE' ELSE 'UPDATE' END,
    CASE WHEN n <= {rows} THEN '{{}}' ELSE image || '{{"is_completed": true}}' END, image,
    jsonb_build_object('user_id', n % 5000, 'SQL', 'UPDATE "todos_todo" SET "task" = %s WHERE "id" = %s'),
    moment, moment, n, n << 16, 0
FROM (
    SELECT n, CASE WHEN n <= {rows} THEN n ELSE 1 + (n * 7919) % ({rows} / 2) * 2 END AS key,
        '2026-01-01'::timestamptz + n * (interval '110 days' / (2 * {rows})) AS moment
    FROM generate_series(1::bigint, 2 * {rows}) n
) AS numbers
CROSS JOIN LATERAL (SELECT jsonb_build_object(
    'id', key, 'list_id', 1 + key % 1000, 'task', 'Buy some milk ' || n, 'is_completed', false, 'price', 1.10,
    'meta', '{{"a": 1}}'::jsonb, 'updated_at', to_jsonb(moment)) AS image) AS images
"""
LISTS = """
INSERT INTO changes (id, database, schema, "table", primary_key, primary_key_int, operation, after,
                     committed_at, queued_at, transaction_id, position, ordinal)
SELECT ('00000000000080008' || lpad(to_hex(n), 15, '0'))::uuid, current_database(), 'public',
    'todos_todolist', n::text, n, 'CREATE', jsonb_build_object('id', n, 'name', 'List ' || n),
    '2026-01-01', '2026-01-01', 1, 1, n
FROM generate_series(1, 1000) n
"""


def make_history(rows: int) -> None:
    from django.db import connection

    from bemi_orm.timetravel.setup import plan_views

    call_command("migrate", run_syncdb=True, verbosity=0)
    plan_views(lambda schema, table: True).apply()
    with connection.cursor() as cursor:
        for month in range(1, 5):
            cursor.execute(PARTITIONS.format(month=month, next=month + 1))
        cursor.execute(LISTS)
        cursor.execute(FILL.format(rows=rows))
        cursor.execute("VACUUM ANALYZE changes")
        cursor.execute("CHECKPOINT")


def report(name: str, ask: Callable[[], object]) -> float:
    """Print and give the median of some runs, in milliseconds, after one that warms up."""
    ask()
    taken: list[float] = []
    while len(taken) < RUNS or sum(taken) < SECONDS * 1_000:
        start = time.perf_counter()
        ask()
        taken.append((time.perf_counter() - start) * 1_000)
    median = statistics.median(taken)
    print(f"{name:60} {median:10.2f} ms   ({min(taken):.2f} to {max(taken):.2f})", flush=True)
    return median


def measure(rows: int) -> None:
    from django.db.models import Count

    from bemi_orm import Change, time_travel
    from tests.todos.models import Todo, TodoList

    todo = Todo(pk=rows // 2 + 1)
    todo._state.adding = False
    page = Change.objects.filter(context__user_id=77).desc()[:20]
    report("history of one object", lambda: list(Change.objects.for_instance(todo)))
    report("first page of filter(context__user_id=...)", lambda: list(page.all()))
    report("newest page of everything", lambda: list(Change.objects.desc()[:20]))
    newest = Change.objects.desc()[0]
    middle = Change.objects.get(position=(rows * 3 // 2) << 16)
    for name, moment in (("now", newest), ("then", middle), ("then, as a time", middle.committed_at)):

        def travel(ask: Callable[[], object], moment: object = moment) -> Callable[[], object]:
            def asked() -> object:
                with time_travel(moment):
                    return ask()

            return asked

        print(f"-- time_travel: {name}")
        report("entering and leaving", travel(lambda: None))
        report("one row by key", travel(lambda: Todo.objects.get(pk=todo.pk)))
        report("one row with its parent", travel(lambda: Todo.objects.select_related("list").get(pk=todo.pk)))
        report("first page by key", travel(lambda: list(Todo.objects.order_by("pk")[:20])))
        report("first page by key with parents", travel(
            lambda: list(Todo.objects.select_related("list").order_by("pk")[:20])))  # fmt: skip
        report("20 rows by key", travel(lambda: list(Todo.objects.filter(pk__in=range(1, 40, 2)))))
        counted = report("count(*) of the whole table", travel(Todo.objects.count))
        with time_travel(moment):
            live = Todo.objects.count()
        print(f"   {live / counted * 1_000:,.0f} rows of the result a second")
        report("top lists by number of todos", travel(
            lambda: list(TodoList.objects.annotate(n=Count("todos")).order_by("-n")[:5])))  # fmt: skip
    report("as_of: 20 changes", lambda: list(Change.objects.for_model(Todo).as_of(middle)[:20]))
    report("as_of: count", lambda: Change.objects.for_model(Todo).as_of(middle).count())


def run(usage: str | None, measure: Callable[[int], None]) -> None:
    """Make a history of the size that the command line says, and measure."""
    parser = argparse.ArgumentParser(description=usage, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", type=int, nargs="?", default=20_000)
    parser.add_argument("--pg-bin", type=Path)
    options = parser.parse_args()
    with EmbeddedPostgres(options.pg_bin) as server:
        server.create_database(DATABASE)
        os.environ["BEMI_TEST_DSN"] = f"postgresql://postgres@127.0.0.1:{server.port}/postgres"
        os.environ["BEMI_TEST_DATABASE"] = DATABASE
        os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
        django.setup()
        make_history(options.rows)
        measure(options.rows)


if __name__ == "__main__":
    run(__doc__, measure)
