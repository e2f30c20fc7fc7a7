"""A change in words that fit a line: for the terminal and for the page."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from bemi_orm import Change
from bemi_orm.diffing import UNKNOWN, FieldChange

MAX_VALUE_LENGTH: Final = 40
ABSENT: Final = "-"
"""Stands for who and where of a change that did not come from the application."""

_PAST: Final = {"CREATE": "added", "UPDATE": "changed", "DELETE": "deleted"}


@dataclass(frozen=True, slots=True)
class Described:
    """What a reader wants to know of a change.

    row: table and key; verb: added, changed or deleted; fields: `name: old -> new` of each changed column;
    who, where: `ABSENT` for a change that came from outside of the application.
    """

    row: str
    table: str
    primary_key: str
    operation: str
    verb: str
    fields: tuple[str, ...]
    who: str
    where: str
    committed_at: datetime

    @property
    def is_from_outside(self) -> bool:
        """Whether something else than the application made the change."""
        return self.who == ABSENT


def describe(change: Change) -> Described:
    """Put a change into words."""
    key = change.primary_key or ABSENT
    return Described(
        row=f"{change.table} {key}",
        table=change.table,
        primary_key=key,
        operation=change.operation,
        verb=_PAST.get(change.operation, change.operation.lower()),
        fields=tuple(_field(change.operation, field) for field in change.diff() if field.field != "id"),
        who=_who(change.context),
        where=_where(change.context),
        committed_at=change.committed_at,
    )


def _field(operation: str, change: FieldChange) -> str:
    if operation == Change.Operation.UPDATE:
        return f"{change.field}: {_value(change.old)} -> {_value(change.new)}"
    return f"{change.field}: {_value(change.old if operation == Change.Operation.DELETE else change.new)}"


def _value(value: Any) -> str:
    if value is UNKNOWN:
        return "unknown"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= MAX_VALUE_LENGTH else text[: MAX_VALUE_LENGTH - 3] + "..."


def _who(context: Mapping[str, Any]) -> str:
    return f"{context['user']} ({context.get('user_id')})" if "user" in context else ABSENT


def _where(context: Mapping[str, Any]) -> str:
    return f"{context.get('method', '')} {context['path']}".lstrip() if "path" in context else ABSENT
