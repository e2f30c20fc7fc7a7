"""`manage.py bemi SUBCOMMAND`; here alone the parts are put together."""

from __future__ import annotations

import logging
import sys
from argparse import SUPPRESS
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import OperationalError

from bemi_orm.conf import settings
from bemi_orm.exceptions import BemiError
from bemi_orm.management import blame, log
from bemi_orm.management.capture import open_source, open_writer, tracking_for
from bemi_orm.management.setting_up import set_up
from bemi_orm.worker.loop import Worker
from bemi_orm.worker.signals import StopRequest


class Command(BaseCommand):
    """Capture of row changes: set it up, and run the worker."""

    help = "Capture every committed row change of the tracked database into the table changes."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the subcommands."""
        subcommands = parser.add_subparsers(dest="subcommand", required=True, parser_class=CommandParser)
        base = self._base_parser()
        setup = subcommands.add_parser(
            "setup", parents=[base], help="make publication, slot, replica identities and checkpoint"
        )
        setup.add_argument("--dry-run", action="store_true", help="print the plan and change nothing")
        setup.add_argument(
            "--accept-gap", action="store_true",
            help="note that changes were lost between checkpoint and slot, and go on behind them",
        )  # fmt: skip
        worker = subcommands.add_parser(
            "worker", parents=[base], help="store changes until SIGTERM or Ctrl-C"
        )
        worker.add_argument(
            "--drain", action="store_true", help="store all that was committed before the call, then exit"
        )
        log.add_arguments(
            subcommands.add_parser("log", parents=[base], help="show changes with their diffs, newest first")
        )
        blame.add_arguments(
            subcommands.add_parser("blame", parents=[base], help="show which change last set each field")
        )

    def handle(self, *args: Any, subcommand: str, **options: Any) -> None:
        """Run a subcommand; what cannot be done becomes a CommandError that says what to do."""
        try:
            getattr(self, f"_{subcommand}")(**options)
        except BemiError as error:
            raise CommandError(str(error)) from error
        except OperationalError as error:
            raise CommandError(f"The database does not answer: {error}".strip()) from error

    @staticmethod
    def _base_parser() -> CommandParser:
        """What every Django command takes, such as -v, for the subcommands: it may come before or after them.

        Without defaults, as those of the subcommand would override what was given before it.
        """
        parser = BaseCommand().create_parser("", "", add_help=False)
        for action in parser._actions:
            action.default = SUPPRESS
        return parser

    def _setup(self, *, dry_run: bool, accept_gap: bool, verbosity: int, **options: Any) -> None:
        set_up(
            dry_run=dry_run,
            accept_gap=accept_gap,
            report=self.stdout.write if verbosity else lambda line: None,
            warn=lambda line: self.stderr.write(self.style.WARNING(line)),
        )

    def _log(self, **options: Any) -> None:
        log.show_log(self.stdout, options)

    def _blame(self, **options: Any) -> None:
        blame.show_blame(self.stdout, options)

    def _worker(self, *, drain: bool, verbosity: int, **options: Any) -> None:
        _log_to_stderr(verbosity)
        source, writer = open_source(), open_writer()
        with StopRequest() as stop_request:
            worker = Worker(source, writer, tracking_for=tracking_for, should_stop=stop_request, drain=drain)
            worker.run()
        if verbosity:
            self.stdout.write(f"Stored {worker.stored_changes} changes from slot {settings.SLOT}.")


def _log_to_stderr(verbosity: int) -> None:
    """Show the worker's log where the project has not said where it goes."""
    logger = logging.getLogger("bemi_orm")
    if logger.hasHandlers() or verbosity == 0:
        return
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logger.addHandler(handler)
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.DEBUG if verbosity > 1 else logging.INFO)
