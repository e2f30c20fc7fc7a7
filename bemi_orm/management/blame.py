"""`manage.py bemi blame TABLE KEY`: for each field of a row, the change that last set it."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from collections.abc import Iterator, Sequence
from typing import Any

from django.core.management import CommandError
from django.db.models import Model
from django.utils import timezone

from bemi_orm.conf import settings
from bemi_orm.history.blame import Blame, blame_row
from bemi_orm.management.log import value_text
from bemi_orm.management.paging import Paint, paged, paint_for, printable, until_reader_leaves, write_all
from bemi_orm.management.selecting import add_table, changes_of, model_of
from bemi_orm.models import Change
from bemi_orm.values.rowjson import ExactEncoder

MAX_VALUE_WIDTH = 40


class _ValueEncoder(ExactEncoder):
    """Values of fields as in `bemi log --json`; what JSON has no form for is its text."""

    def default(self, o: Any) -> Any:
        try:
            return super().default(o)
        except TypeError:
            return str(o)


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of `bemi blame`."""
    add_table(parser)
    parser.add_argument(
        "key", metavar="KEY", nargs="+", help="the row's key; of several columns: all of them"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--no-pager", action="store_true", help="write straight to the terminal")


def show_blame(stdout: Any, options: dict[str, Any]) -> None:
    """Write a line for each field of the row; raise CommandError where nothing of it is stored."""
    found = _blame(options["table"], options["key"])
    if not found:
        raise CommandError(f"Nothing is stored of {options['table']} {' '.join(options['key'])}.")
    if options["json"]:
        with until_reader_leaves(stdout):
            write_all(stdout.write, map(as_json, found))
        return
    paint = paint_for(stdout, no_color=options["no_color"], force_color=options["force_color"])
    with paged(stdout, is_wanted=not options["no_pager"]) as write:
        write_all(write, as_lines(found, paint))


def as_json(blame: Blame) -> str:
    """Give a field's blame as a JSON object."""
    change = blame.change
    found = change and {
        "change": str(change.id),
        "operation": change.operation,
        "committed_at": change.committed_at.isoformat(),
        "context": change.context,
    }
    data = {"field": blame.field, "value": blame.value, "is_certain": blame.is_certain, **(found or {})}
    return json.dumps(data, cls=_ValueEncoder)


def as_lines(found: tuple[Blame, ...], paint: Paint) -> Iterator[str]:
    """Give aligned lines: change, who, when, field, value; a question mark where it is not certain."""
    heads = [_head(blame) for blame in found]
    head_width = max(map(len, heads))
    name_width = max(len(blame.field) for blame in found)
    for blame, head in zip(found, heads, strict=True):
        value = value_text(blame.value)[:MAX_VALUE_WIDTH]
        yield f"{paint('yellow', head.ljust(head_width))}  {blame.field.ljust(name_width)}  {value}"


def _blame(table: str, key: Sequence[str]) -> tuple[Blame, ...]:
    """As `bemi_blame()` does, give the fields of parent models' tables first, where the table is a model."""
    model = model_of(table)
    if model is None:
        return _blame_in(table, key)
    model = model._meta.concrete_model or model
    parts = _blame_parts(model, key)
    return tuple(blame for part in (*model._meta.get_parent_list(), model) for blame in parts.get(part, ()))


def _blame_parts(model: type[Model], key: Sequence[str]) -> dict[type[Model], tuple[Blame, ...]]:
    """Give the blames by table; a link to a parent that is not the key has its last stored value."""
    own = _blame_in(model, key)
    values = {blame.field: blame.value for blame in own}
    parts = {model: own}
    for parent, link in model._meta.parents.items():
        if link is None or link.model is not model:
            continue  # a parent's parent: reached from there
        value = values.get(link.attname)
        if link.primary_key:
            parts |= _blame_parts(parent, key)
        elif value is not None:
            parts |= _blame_parts(parent, [str(value)])
    return parts


def _blame_in(table: str | type[Model], key: Sequence[str]) -> tuple[Blame, ...]:
    return blame_row(changes_of(table, key).desc().iterator(chunk_size=200))


def _head(blame: Blame) -> str:
    if blame.change is None:
        return "(before the first stored change)"
    moment = timezone.localtime(blame.change.committed_at).strftime("%Y-%m-%d %H:%M:%S")
    doubt = "" if blame.is_certain else " ?"
    return f"{blame.change.id} {blame.change.operation} {moment} {_who(blame.change)}{doubt}".rstrip()


def _who(change: Change) -> str:
    """Say who it was and where, as far as the context tells."""
    names = (settings.USER_KEY, "method", "path")
    return " ".join(
        printable(str(change.context[name])) for name in names if change.context.get(name) is not None
    )
