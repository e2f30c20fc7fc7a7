"""All that the demo needs around it: database, web process, worker process."""

from __future__ import annotations

import os
import signal
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import django
from django.core.management import call_command
from django.db import connections

from bemi_orm.demo.databases import DemoDatabase, connect, database_on, embedded_database
from bemi_orm.demo.interrupts import Check
from bemi_orm.demo.postgres import free_port
from bemi_orm.demo.processes import Manage, wait_until
from bemi_orm.demo.terminal import Terminal

USERS: Final = ("alice", "bob")


@dataclass(frozen=True, slots=True)
class Stage:
    """A site that is up, with its capture.

    address: of the site, without a slash at its end.
    """

    address: str
    database: DemoDatabase
    web: Manage
    worker: Manage
    check_signals: Check

    def check(self) -> None:
        """Raise Interrupted after a stop signal, BemiError if one of the processes has ended."""
        self.check_signals()
        self.web.check()
        self.worker.check()

    def wait_until_stored(self) -> None:
        """Wait until `changes` has all that was committed so far; raises as `check`, or BemiError."""
        with closing(connect(self.database)) as connection, connection.cursor() as cursor:
            # A message to come by behind it all, as an idle stream does not move the checkpoint.
            cursor.execute("SELECT pg_logical_emit_message(true, '_bemi_heartbeat', '')")
            lsn = cursor.fetchone()

            def is_stored() -> bool:
                cursor.execute("SELECT bool_and(confirmed_lsn > %s) FROM bemi_checkpoint", lsn)
                return cursor.fetchone() == (True,)

            wait_until(is_stored, self.check, "the worker has stored all changes")


@contextmanager
def open_stage(terminal: Terminal, check_signals: Check, dsn: str | None) -> Iterator[Stage]:
    """Start everything, and stop it in the opposite order.

    dsn: an existing server, None for the embedded one.
    """
    with ExitStack() as stack:
        with terminal.step("Start PostgreSQL 18, embedded" if dsn is None else "Make a database"):
            database = stack.enter_context(embedded_database() if dsn is None else database_on(dsn))
        check_signals()
        _configure_django(database)
        stack.callback(connections.close_all)
        for text, prepare in PREPARATIONS:
            with terminal.step(text):
                prepare()
            check_signals()
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bemi-demo-")))
        with terminal.step("Start the web process and the capture worker"):
            stage = _start_processes(stack, folder, database, check_signals)
            wait_until(lambda: _answers(stage.address), stage.check, "the site answers")
        yield stage


def _configure_django(database: DemoDatabase) -> None:
    """For this process, and through the environment for its children."""
    os.environ |= {
        "DJANGO_SETTINGS_MODULE": "bemi_orm.demo.settings",
        "BEMI_DEMO_DSN": database.dsn,
        "BEMI_DEMO_SLOT": database.slot,
    }
    django.setup()


def _migrate() -> None:
    call_command("migrate", verbosity=0)


def _add_users() -> None:
    from django.contrib.auth.models import User

    for name in USERS:
        User.objects.create_user(name, password=name)


def _set_up_capture() -> None:
    call_command("bemi", "setup", verbosity=0)


PREPARATIONS: Final = (
    ("manage.py migrate", _migrate),
    ("manage.py bemi setup", _set_up_capture),
    ("Add the users alice and bob", _add_users),
)


def _start_processes(stack: ExitStack, folder: Path, database: DemoDatabase, check_signals: Check) -> Stage:
    """Without system checks, which would load the web side into the worker."""
    host = f"127.0.0.1:{free_port()}"
    worker = stack.enter_context(Manage("worker", ["bemi", "--skip-checks", "worker"], folder))
    # runserver ends cleanly on Ctrl-C only
    words = ["runserver", "--noreload", "--skip-checks", host]
    web = stack.enter_context(Manage("web", words, folder, stop_signal=signal.SIGINT))
    return Stage(f"http://{host}", database, web, worker, check_signals)


def _answers(address: str) -> bool:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{address}/login/", timeout=5):
            return True
    except OSError:
        return False
