"""`python -m bemi_orm demo`: try the whole of it on an embedded PostgreSQL, without any set-up."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and give the exit status: 0, 1 after an error, 128 + signal when interrupted.

    arguments: the words after the program's name; those of the process by default.
    """
    options = _parser().parse_args(arguments)
    from bemi_orm.demo.run import run_demo

    return run_demo(dsn=options.dsn, serve=options.serve)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bemi_orm", description=__doc__)
    subcommands = parser.add_subparsers(required=True, metavar="command")
    demo = subcommands.add_parser(
        "demo",
        help="run a small site with capture, change its data as two users, and show the audit trail",
        description="Start a PostgreSQL server, a small todo site and a capture worker; change data as two "
        "users over HTTP; show what was recorded. Everything is stopped and removed at the end.",
    )
    demo.add_argument("--serve", action="store_true", help="leave the site running until Ctrl-C")
    demo.add_argument(
        "--dsn",
        metavar="DSN",
        help="use this PostgreSQL server (wal_level=logical, a superuser) instead of the embedded one; "
        "the demo makes a database of its own there and drops it at the end",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
