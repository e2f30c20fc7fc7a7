"""The demo as a whole: start, act, show, and stop."""

from __future__ import annotations

import os
import sys
import time
from typing import Final

import psycopg2
from django.core.management.base import CommandError
from django.db import DatabaseError

from bemi_orm.demo.interrupts import Interrupted, StopSignals
from bemi_orm.demo.processes import POLL_SECONDS
from bemi_orm.demo.stage import USERS, Stage, open_stage
from bemi_orm.demo.story import tell
from bemi_orm.demo.terminal import Terminal
from bemi_orm.exceptions import BemiError

EXPECTED_ERRORS: Final = (BemiError, CommandError, DatabaseError, psycopg2.Error)
"""Their texts say what to do; of all others the traceback is shown."""

NEXT_STEPS: Final = """\
  Click through the site yourself:   python -m bemi_orm demo --serve

  In your own project:               INSTALLED_APPS += ["bemi_orm"]
                                     MIDDLEWARE += ["bemi_orm.BemiMiddleware"]
                                     DATABASE_ROUTERS = ["bemi_orm.BemiDatabaseRouter"]

  on PostgreSQL with                 wal_level = logical
  and then:                          python manage.py migrate
                                     python manage.py bemi setup
                                     python manage.py bemi worker\
"""


def run_demo(*, dsn: str | None = None, serve: bool = False) -> int:
    """Run the demo; whatever happens, all that it started is stopped and removed when this returns.

    dsn: an existing server for it, None for the embedded one. serve: leave the site up until Ctrl-C.
    Gives the exit status: 0, 1 after an error, 128 + signal number when it was cut short.
    """
    terminal = Terminal(sys.stdout)
    with StopSignals() as signals:
        try:
            _run(terminal, signals, dsn, serve)
        except BrokenPipeError:  # as in `... | head`
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 1
        except (Interrupted, *EXPECTED_ERRORS) as error:
            if signals.received is not None:  # an error may come of being stopped, too
                terminal.say("\nInterrupted. All processes are stopped, all files removed.")
                return 128 + signals.received
            print(f"\nThe demo cannot go on. {str(error).strip()}", file=sys.stderr)
            return 1
    return 0


def _run(terminal: Terminal, signals: StopSignals, dsn: str | None, serve: bool) -> None:
    started_at = time.monotonic()
    terminal.title("bemi_orm: every committed change, with who made it")
    with open_stage(terminal, signals.check, dsn) as stage:
        _act(terminal, stage)
        _show(terminal)
        if serve:
            _serve(terminal, stage, signals)
    terminal.say(f"All processes are stopped, all files removed ({time.monotonic() - started_at:.1f} s).")
    if not serve:
        terminal.title("Next")
        terminal.say(NEXT_STEPS)


def _act(terminal: Terminal, stage: Stage) -> None:
    terminal.title("Two users change data over HTTP, and someone with SQL")
    steps = tell(stage.address, stage.database)
    step = next(steps, None)
    while step is not None:
        stage.check()
        with terminal.step(f"{step.who:<7} {step.request:<21} {step.meaning}"):
            step = next(steps, None)
    with terminal.step("Wait until the worker has stored it all"):
        stage.wait_until_stored()


def _show(terminal: Terminal) -> None:
    # models can be imported only now, as Django has been set up
    from bemi_orm import Change
    from bemi_orm.demo.report import show_changes, show_examples

    terminal.title("What the table changes has recorded")
    show_changes(terminal, Change.objects.asc())
    terminal.title("Ask it, in Python")
    show_examples(terminal)


def _serve(terminal: Terminal, stage: Stage, signals: StopSignals) -> None:
    terminal.title("The site is up")
    terminal.say(f"  {stage.address}/")
    terminal.say("  Log in as " + " or ".join(f"{name}, password {name}" for name in USERS) + ".")
    terminal.say(f"  Database: {stage.database.label}")
    terminal.say("  Ctrl-C stops everything.\n")
    while signals.received is None:
        stage.check()
        time.sleep(POLL_SECONDS)
    terminal.say("\nStopping.")
