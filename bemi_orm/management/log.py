"""`manage.py bemi log TABLE [KEY]`: changes with their diffs, the newest first, as in `git log -p`."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from collections.abc import Iterator
from typing import Any

from django.utils import timezone

from bemi_orm.choices import Operation
from bemi_orm.diffing import UNKNOWN, FieldChange, appeared, diff_images, disappeared
from bemi_orm.management.paging import Paint, paged, paint_for, printable, until_reader_leaves, write_all
from bemi_orm.management.selecting import add_filters, add_table, changes_of, read_count, require_known
from bemi_orm.models import Change
from bemi_orm.querysets import ChangeQuerySet
from bemi_orm.values.readable import NOTHING_TEXT, UNKNOWN_TEXT
from bemi_orm.values.rowjson import ExactEncoder

MAX_VALUE_LENGTH = 200


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of `bemi log`."""
    add_table(parser)
    parser.add_argument(
        "key", metavar="KEY", nargs="*", default=[], help="the row's key; of several columns: all of them"
    )
    add_filters(parser)
    parser.add_argument("-n", "--limit", type=read_count, metavar="COUNT", help="show no more than this many")
    parser.add_argument("--json", action="store_true", help="one JSON object a line, images and all")
    parser.add_argument("--no-pager", action="store_true", help="write straight to the terminal")


def show_log(stdout: Any, options: dict[str, Any]) -> None:
    """Write the changes that the options name, as they come from the database.

    Raises CommandError for a table that nobody knows.
    """
    require_known(options["table"])
    changes = _select(options).iterator(chunk_size=200)
    if options["json"]:
        with until_reader_leaves(stdout):
            write_all(stdout.write, map(as_json, changes))
        return
    paint = paint_for(stdout, no_color=options["no_color"], force_color=options["force_color"])
    with paged(stdout, is_wanted=not options["no_pager"]) as write:
        if not write_all(write, (as_text(change, paint) for change in changes)):
            write("No changes.")


def as_json(change: Change) -> str:
    """Give a change as a JSON object; in `diff` a value that is not known has no key."""
    names = (
        "id", "operation", "database", "schema", "table", "primary_key", "previous_primary_key",
        "committed_at", "transaction_id", "position", "ordinal", "context", "before", "after",
    )  # fmt: skip
    values = {name: getattr(change, name) for name in names}
    parts = [_json_part(part) for part in _stored_diff(change)]
    return json.dumps(values | {"diff": parts}, cls=ExactEncoder)


def as_text(change: Change, paint: Paint) -> str:
    """Give a change as a block of lines for people; its SQL is left out."""
    where = str(change)
    if change.previous_primary_key is not None:
        where += f" (was {change.previous_primary_key})"
    lines = [
        paint("yellow", f"change {change.id}"),
        paint("bold", printable(where)),
        f"Date:    {timezone.localtime(change.committed_at).isoformat(' ')}",
        *(f"Context: {line}" for line in _context_lines(change)),
        "",
        *_diff_lines(change, paint),
    ]
    return "\n".join(lines)


def _select(options: dict[str, Any]) -> ChangeQuerySet[Change]:
    changes = changes_of(options["table"], options["key"]).desc()
    for condition in options["context"]:
        changes = changes.filter(condition)
    if options["since"]:
        changes = changes.filter(committed_at__gte=options["since"])
    if options["until"]:
        changes = changes.filter(committed_at__lt=options["until"])
    return changes if options["limit"] is None else changes[: options["limit"]]


def _context_lines(change: Change) -> Iterator[str]:
    shown = {key: value for key, value in change.context.items() if key != "SQL"}
    if shown:
        yield printable(json.dumps(shown, ensure_ascii=False, sort_keys=True))


def _diff_lines(change: Change, paint: Paint) -> Iterator[str]:
    for part in change.diff():
        yield f"    {printable(part.field)}"
        if change.operation not in (Operation.CREATE, Operation.SNAPSHOT):
            yield paint("red", f"    - {value_text(part.old)}")
        if change.operation != Operation.DELETE:
            yield paint("green", f"    + {value_text(part.new)}")
    yield ""


def value_text(value: Any) -> str:
    """Give a value on one line, cut where it is long."""
    if value is UNKNOWN:
        return UNKNOWN_TEXT
    text = NOTHING_TEXT if value is None else printable(str(value))
    return text if len(text) <= MAX_VALUE_LENGTH else text[: MAX_VALUE_LENGTH - 1] + "…"


def _stored_diff(change: Change) -> tuple[FieldChange, ...]:
    match change.operation:
        case Operation.CREATE | Operation.SNAPSHOT:
            return appeared(change.after)
        case Operation.DELETE:
            return disappeared(change.before)
        case _:
            return diff_images(change.before, change.after)


def _json_part(part: FieldChange) -> dict[str, Any]:
    sides = {"old": part.old, "new": part.new}
    return {"column": part.field, **{side: value for side, value in sides.items() if value is not UNKNOWN}}
