"""The demo as a whole: start, act, show, and stop."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from typing import Final

import psycopg2
from django.core.management.base import CommandError
from django.db import DatabaseError

from bemi_orm.demo.interrupts import Interrupted, StopSignals
from bemi_orm.demo.processes import POLL_SECONDS
from bemi_orm.demo.sequel import KEEPER, go_on
from bemi_orm.demo.stage import USERS, Stage, open_stage
from bemi_orm.demo.story import Step, tell
from bemi_orm.demo.terminal import Terminal
from bemi_orm.exceptions import BemiError

EXPECTED_ERRORS: Final = (BemiError, CommandError, DatabaseError, psycopg2.Error)
"""Their texts say what to do; of all others the traceback is shown."""

NEXT_STEPS: Final = """\
  Click through it, with its admin:  python -m bemi_orm demo --serve

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
        terminal.title("Two users change data over HTTP, and someone with SQL")
        _act(terminal, stage, tell(stage.address, stage.database))
        _show(terminal)
        if serve:
            terminal.title("They go on for a while")
            _act(terminal, stage, go_on(stage.address, stage.database))
            _serve(terminal, stage, signals)
    terminal.say(f"All processes are stopped, all files removed ({time.monotonic() - started_at:.1f} s).")
    if not serve:
        terminal.title("Next")
        terminal.say(NEXT_STEPS)


def _act(terminal: Terminal, stage: Stage, steps: Iterator[Step]) -> None:
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
    terminal.say(
        f"  Log in as {KEEPER}, password {KEEPER}; {' and '.join(USERS)} may log in, but not to the admin."
    )
    terminal.say(f"  Database: {stage.database.label}")
    _show_the_way(terminal, stage.address)
    terminal.say("  Ctrl-C stops everything.\n")
    while signals.received is None:
        stage.check()
        time.sleep(POLL_SECONDS)
    terminal.say("\nStopping.")


def _show_the_way(terminal: Terminal, address: str) -> None:
    from bemi_orm.demo.site.guide import stops

    terminal.title("Where to click, in this order (the start page has the same links)")
    for number, stop in enumerate(stops(), start=1):
        terminal.say(f"  {number}. {terminal.paint('bold')(stop.title)}: {stop.hint}")
        terminal.say(f"     {terminal.paint('cyan')(address + stop.path)}")
    terminal.say()
