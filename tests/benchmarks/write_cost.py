"""What a write of Django's costs when it sends a context, against the same write without us, interleaved.

    python -m tests.benchmarks.write_cost [WRITES] [--pg-bin DIR] [--no-fsync]

Two databases of one server: one as Django makes it, and one with REPLICA IDENTITY FULL and a new context
around each write. Short blocks of writes go to one or the other by chance, so that both see the same
machine; Python's garbage collector runs, as it does in a server. Given are the medians of the time of one
write, and their ratio; a mixed one is a transaction of seven writes, a bulk one has 400 rows.
BEMI_TEST_DRIVER=psycopg2 chooses the driver.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import django
from django.core.management import call_command

from bemi_orm.demo.postgres import EmbeddedPostgres

PLAIN, TRACKED = "other", "default"
BLOCK = 5
ROWS = 400
MALLOC = {"MALLOC_TRIM_THRESHOLD_": str(1 << 28), "MALLOC_MMAP_THRESHOLD_": str(1 << 25)}
"""Whether glibc gives memory back after a large statement depends on what a server process did before, which
made bulk statements a tenth slower in one database or the other. So: never."""
CONTEXT = {
    "user_id": 187234,
    "method": "POST",
    "path": "/todo",
    "request_id": "b7f1f3c2-6f0a-4b8e-9c59-8f3c6d1c0a11",
}

Write = Callable[[str], None]


def writes() -> dict[str, tuple[Write, int]]:
    """Give each write of a row or of many by name, and how many times fewer of it are enough."""
    from django.db import transaction

    from tests.todos.models import Todo

    saved = {alias: Todo.objects.using(alias).create(task="saved") for alias in (PLAIN, TRACKED)}
    for alias in saved:
        Todo.objects.using(alias).bulk_create(Todo(task="many") for _ in range(ROWS))

    def create(alias: str) -> None:
        Todo.objects.using(alias).create(task="Buy some milk", meta={"a": 1})

    def save(alias: str) -> None:
        saved[alias].is_completed = not saved[alias].is_completed
        saved[alias].save()

    def mixed(alias: str) -> None:
        with transaction.atomic(using=alias):
            todo = Todo.objects.using(alias).create(task="mixed", meta={"a": 1})
            for step in range(4):
                todo.price = step
                todo.save()
            todo.delete()

    def bulk_create(alias: str) -> None:
        Todo.objects.using(alias).bulk_create(Todo(task="x", meta={"a": 1}) for _ in range(ROWS))

    def update_many(alias: str) -> None:
        Todo.objects.using(alias).filter(task="many").update(is_completed=True)

    return {
        "create": (create, 1),
        "save": (save, 1),
        "mixed": (mixed, 4),
        "bulk_create": (bulk_create, 20),
        "update_many": (update_many, 20),
    }


def measure(write: Write, runs: int) -> tuple[float, float]:
    """Give the median seconds of a write, plain and tracked, after some that warm up."""
    from bemi_orm import context

    taken: dict[str, list[float]] = {PLAIN: [], TRACKED: []}
    for _ in range(runs // BLOCK):
        for alias in random.sample(sorted(taken), 2):
            for _ in range(BLOCK):
                start = time.perf_counter()
                with context(**CONTEXT) if alias == TRACKED else nullcontext():
                    write(alias)
                taken[alias].append(time.perf_counter() - start)
    plain, tracked = (statistics.median(taken[alias][2 * BLOCK :]) for alias in (PLAIN, TRACKED))
    return plain, tracked


def prepare() -> None:
    """Make both databases."""
    from django.db import connections

    for alias in (PLAIN, TRACKED):
        call_command("migrate", run_syncdb=True, verbosity=0, database=alias)
    connections[PLAIN].execute_wrappers.clear()
    with connections[TRACKED].cursor() as cursor:
        cursor.execute("ALTER TABLE todos_todo REPLICA IDENTITY FULL")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("writes", nargs="?", type=int, default=4_000)
    parser.add_argument("--pg-bin", type=Path)
    parser.add_argument("--no-fsync", action="store_true", help="leave out the disk: what our code costs")
    options = parser.parse_args()
    os.environ.update(MALLOC)
    with EmbeddedPostgres(options.pg_bin, {"fsync": "off" if options.no_fsync else "on"}) as server:
        server.create_database("bemi")
        server.create_database("bemi_other")
        os.environ["BEMI_TEST_DSN"] = f"postgresql://postgres@127.0.0.1:{server.port}/postgres"
        os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
        django.setup()
        prepare()
        print(f"{'write':12} {'plain':>10} {'tracked':>10} {'ratio':>6}")
        for name, (write, fewer) in writes().items():
            plain, tracked = measure(write, options.writes // fewer)
            print(
                f"{name:12} {plain * 1e6:7.0f} µs {tracked * 1e6:7.0f} µs {tracked / plain:6.2f}", flush=True
            )


if __name__ == "__main__":
    main()
