"""Which changes a command is about: a table or model, a key, times, and parts of the context."""

from __future__ import annotations

import json
import re
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Sequence
from datetime import datetime
from difflib import get_close_matches
from functools import reduce
from operator import or_
from typing import Any, Final

from django.apps import apps
from django.core.management import CommandError
from django.db import connections
from django.db.models import Model, Q
from django.utils import timezone

from bemi_orm.conf import settings
from bemi_orm.history.keys import RowKey
from bemi_orm.history.locations import in_table_of
from bemi_orm.history.rowhistory import IsOfRow, key_is
from bemi_orm.models import Change
from bemi_orm.periods import parse_moment
from bemi_orm.querysets import ChangeQuerySet
from bemi_orm.rows import key_text

_INTEGER: Final = re.compile(r"-?\d{1,19}", re.ASCII)
_BIGINTS: Final = range(-(2**63), 2**63)
_IS_LIVE: Final = (
    "SELECT EXISTS (SELECT FROM pg_catalog.pg_class c "
    "JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
    "WHERE c.relkind IN ('r', 'p') AND c.relname = %s AND n.nspname = COALESCE(%s, n.nspname))"
)


def add_table(parser: ArgumentParser) -> None:
    """Declare TABLE."""
    parser.add_argument("table", metavar="TABLE", help="table, schema.table, or model such as todos.Todo")


def add_filters(parser: ArgumentParser) -> None:
    """Declare what narrows the changes."""
    when = '"2h", "2 days ago", "yesterday", "2026-01-31 18:00" (in TIME_ZONE unless it names one)'
    parser.add_argument("--since", type=read_moment, metavar="TIME", help=f"committed from then on: {when}")
    parser.add_argument("--until", type=read_moment, metavar="TIME", help="committed before then")
    parser.add_argument(
        "--context", action="append", default=[], type=read_context, metavar="KEY=VALUE",
        help="with this value in the context, such as user_id=7 or request.method=POST; may be repeated",
    )  # fmt: skip


def changes_of(table: str | type[Model], key: Sequence[str] = ()) -> ChangeQuerySet[Change]:
    """Give the changes of a table, or of one row of it under its former keys too.

    table: a model, or as the command takes it; a model's label goes before a table of that name. key: the
    texts of the key's columns.
    """
    condition = _in_table(table) if isinstance(table, str) else in_table_of(table)
    changes = Change.objects.filter(condition)
    text = key_text(list(key))
    if text is None:
        return changes
    row_key = RowKey(text, _integer(text) if len(key) == 1 else None)
    if row_key.number is not None and not changes.filter(key_is(row_key)).exists():
        row_key = RowKey(text, None)  # digits in a key of text
    return changes.filter(IsOfRow(condition, row_key))


def model_of(table: str) -> type[Model] | None:
    """Give the model whose label this is, if there is one."""
    try:
        return apps.get_model(table)
    except (LookupError, ValueError):
        return None


def require_known(table: str) -> None:
    """Raise CommandError for what is neither a model, nor in `changes`, nor a table of the source."""
    if model_of(table) or changes_of(table).exists() or _is_live(table):
        return
    models = apps.get_models(include_auto_created=True)
    names = [name for model in models for name in (model._meta.label, model._meta.db_table)]
    close = get_close_matches(table, names, n=1)
    hint = f" Did you mean {close[0]}?" if close else ""
    raise CommandError(f"{table} is no model, no table, and nothing is stored of it.{hint}")


def read_moment(text: str) -> datetime:
    """Give the moment that an argument means, in the time zone of the project; see `parse_moment`."""
    try:
        return parse_moment(text, datetime.now(timezone.get_default_timezone()))
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from None


def read_context(text: str) -> Q:
    """Give the condition for `key.key=value`; the value is JSON, or else a text."""
    path, equals, value = text.partition("=")
    if not path or not equals:
        raise ArgumentTypeError(f"{text!r} is not KEY=VALUE, such as user_id=7")
    keys = path.split(".")
    return reduce(or_, (Q(context__contains=_nest(keys, form)) for form in _forms(value)))


def read_count(text: str) -> int:
    """Give a number of changes."""
    if not (text.isascii() and text.isdecimal()):
        raise ArgumentTypeError(f"{text!r} is not a number of changes, such as 20")
    return int(text)


def _nest(keys: Sequence[str], value: Any) -> Any:
    return reduce(lambda inner, key: {key: inner}, reversed(keys), value)


def _forms(value: str) -> list[Any]:
    try:
        return [json.loads(value), value]
    except ValueError:
        return [value]


def _integer(text: str) -> int | None:
    if not _INTEGER.fullmatch(text):
        return None
    number = int(text)
    return number if number in _BIGINTS else None


def _in_table(name: str) -> Q:
    if model := model_of(name):
        return in_table_of(model)
    schema, dot, table = name.rpartition(".")
    return Q(table=table, schema=schema) if dot else Q(table=table)


def _is_live(name: str) -> bool:
    schema, _, table = name.rpartition(".")
    with connections[settings.SOURCE_DATABASE].cursor() as cursor:
        cursor.execute(_IS_LIVE, [table, schema or None])
        return bool(cursor.fetchone()[0])
