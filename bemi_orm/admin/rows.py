"""Rows of a list of changes: all that one page shows of each, in a number of queries that does not grow."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.utils.text import capfirst

from bemi_orm.access import MASKED
from bemi_orm.admin.lines import OPERATION_LABELS, OPERATION_SIGNS, DiffLine, diff_lines, value_text
from bemi_orm.admin.people import Person, people_of, user_key
from bemi_orm.admin.viewer import Viewer
from bemi_orm.choices import Operation
from bemi_orm.models import Change

LIST_LINES: Final = 4
"""Fields of a diff that a list shows; the page of the change shows all."""


@dataclass(frozen=True, slots=True)
class ChangeRow:
    """A change as a list shows it; lines: without the key; more: how many of them are left out."""

    change: Change
    label: str
    sign: str
    table: str
    lines: tuple[DiffLine, ...]
    more: int
    person: Person | None
    where: str

    @property
    def kind(self) -> str:
        """The operation in lower case, for style sheets."""
        return self.change.operation.lower()


def change_rows(changes: Iterable[Change], viewer: Viewer) -> list[ChangeRow]:
    """Give the rows of a page, with two queries at most for the users in it."""
    changes = list(changes)
    contexts = [viewer.masks.context(change.context) for change in changes]
    keys = [user_key(context, viewer) for context in contexts]
    people = people_of(filter(None, keys), viewer, contexts)
    return [
        _row(change, viewer, people.get(key) if key else None, context)
        for change, key, context in zip(changes, keys, contexts, strict=True)
    ]


def table_label(change: Change) -> str:
    """Give the verbose name of the table's model, or the table's own name where it has none."""
    model = change.row_model
    return change.table if model is None else capfirst(str(model._meta.verbose_name))


def where_of(context: Mapping[str, Any]) -> str:
    """Give what the application was doing: `POST /todos/7/`, or the name of a command or a task.

    context: masked.
    """
    request = [context.get(key) for key in ("method", "path")]
    outside = [context.get(key) for key in ("command", "task_name")]
    words = request if request[1] else outside
    return " ".join(value_text(word) for word in words if word and word != MASKED)


def _row(change: Change, viewer: Viewer, person: Person | None, context: Mapping[str, Any]) -> ChangeRow:
    operation = Operation(change.operation)
    keys = {field.attname for field in change.row_model._meta.pk_fields} if change.row_model else set()
    lines = tuple(line for line in diff_lines(change, viewer.masks) if line.field not in keys)
    return ChangeRow(
        change,
        str(OPERATION_LABELS[operation]),
        OPERATION_SIGNS[operation],
        table_label(change),
        lines[:LIST_LINES],
        max(0, len(lines) - LIST_LINES),
        person,
        where_of(context),
    )
