"""The recorded changes as a table, and queries that are run as they are shown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from bemi_orm import Change
from bemi_orm.demo.describe import ABSENT, Described, describe
from bemi_orm.demo.site.models import Todo
from bemi_orm.demo.table import Column, render_table
from bemi_orm.demo.terminal import Terminal

_COLOURS: Final = {"CREATE": "green", "UPDATE": "yellow", "DELETE": "red"}

EXAMPLES: Final = (
    (
        "One row's history, whoever wrote to it:",
        'todo = Todo.objects.get(task="Buy 500 stamps")',
        'for change in todo.bemi_history():\n    print(change.operation, "by", change.context.get("user"))',
    ),
    (
        "What a change changed:",
        "change = todo.bemi_history().updated().first()",
        "change.diff()",
    ),
    (
        "All that user 1 deleted, by context:",
        "for c in Change.objects.filter(context__user_id=1).deleted():\n    print(c, c.before)",
    ),
)
"""Each a heading and its statements."""


def show_changes(terminal: Terminal, changes: Iterable[Change]) -> None:
    """Write the changes as a table."""
    columns = (
        Column("table"),
        Column("primary_key"),
        Column("operation", paint=lambda text: _coloured(terminal, text)),
        Column("what changed", 20),
        Column("who"),
        Column("where", 10),
        Column("committed_at"),
    )
    for line in render_table(columns, [_cells(describe(change)) for change in changes], terminal.width):
        terminal.say(line)
    terminal.say(
        f"\n{ABSENT}: written past the application, so nobody said who; the change is there all the same."
    )


def show_examples(terminal: Terminal) -> None:
    """Run each example, and write its lines as a Python prompt would."""
    namespace: dict[str, Any] = {"Change": Change, "Todo": Todo}
    for heading, *statements in EXAMPLES:
        terminal.say(heading)
        for statement in statements:
            _run(terminal, statement, namespace)
        terminal.say()


def _run(terminal: Terminal, statement: str, namespace: dict[str, Any]) -> None:
    for number, line in enumerate(statement.splitlines()):
        terminal.say(terminal.paint("cyan")(f"{'... ' if number else '>>> '}{line}"))
    # "single" prints an expression's value; what is shown is what runs, so it cannot be out of date.
    exec(compile(statement + "\n", "<demo>", "single"), namespace)  # noqa: S102 - the constants above


def _cells(change: Described) -> Sequence[str]:
    return (
        change.table,
        change.primary_key,
        change.operation,
        ", ".join(change.fields),
        change.who,
        change.where,
        f"{change.committed_at:%H:%M:%S.%f}"[:-3],
    )


def _coloured(terminal: Terminal, text: str) -> str:
    colour = _COLOURS.get(text.strip())
    return terminal.paint(colour)(text) if colour else text
