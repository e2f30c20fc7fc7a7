"""A change in lines that a template can show: one per field of its diff, one per value of its context."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from django.core.serializers.json import DjangoJSONEncoder
from django.db.models import Field, Model
from django.utils.translation import gettext_lazy as _

from bemi_orm.access import MASKED
from bemi_orm.choices import Operation
from bemi_orm.diffing import UNKNOWN, FieldChange
from bemi_orm.values.readable import label_of, text_of

if TYPE_CHECKING:
    from bemi_orm.access import Masks
    from bemi_orm.models import Change

MAX_TEXT_LENGTH: Final = 10_000
"""Characters of a value that a page shows; a row may hold a gigabyte."""

MAX_SEARCH_LENGTH: Final = 500
"""Characters of a value that an address has room for."""

State: TypeAlias = Literal["value", "null", "unknown", "masked", "none"]


@dataclass(frozen=True, slots=True)
class Side:
    """A value before or after a change, as a page shows it.

    state: "null" is SQL NULL, "unknown" what the WAL did not carry, "none" that there is no row on this side.
    more: how many characters of the text are left out at its end.
    """

    state: State
    text: str = ""
    more: int = 0


NO_ROW: Final = Side("none")


@dataclass(frozen=True, slots=True)
class DiffLine:
    """One field of a diff; field: its attribute or column, label: its verbose name."""

    field: str
    label: str
    old: Side
    new: Side


@dataclass(frozen=True, slots=True)
class ContextLine:
    """One value of a context; path: `request.method`, search: what the search box takes to find its like."""

    path: str
    text: str
    search: str = ""
    is_masked: bool = False


OPERATION_LABELS: Final = {
    Operation.CREATE: _("Added"),
    Operation.UPDATE: _("Changed"),
    Operation.DELETE: _("Deleted"),
    Operation.TRUNCATE: _("Table emptied"),
    Operation.SNAPSHOT: _("Found at the start"),
}

OPERATION_SIGNS: Final = {
    Operation.CREATE: "+",
    Operation.UPDATE: "±",
    Operation.DELETE: "\N{MINUS SIGN}",
    Operation.TRUNCATE: "∅",
    Operation.SNAPSHOT: "=",
}


def diff_lines(change: Change, masks: Masks) -> tuple[DiffLine, ...]:
    """Give the diff of a change, with what this user may not see masked; no query is made."""
    has_old = change.operation in (Operation.UPDATE, Operation.DELETE)
    has_new = change.operation in (Operation.CREATE, Operation.UPDATE, Operation.SNAPSHOT)
    parts = masks.diff(change, change.diff())
    return lines_of(change.row_model, parts, has_old=has_old, has_new=has_new)


def lines_of(
    model: type[Model] | None, parts: Iterable[FieldChange], *, has_old: bool = True, has_new: bool = True
) -> tuple[DiffLine, ...]:
    """Give lines for any diff, such as one between two moments.

    model: whose fields they are; None for columns of a table without one.
    parts: masked already, see `Masks`. has_old, has_new: whether there is a row on that side.
    """
    fields = {} if model is None else {field.attname: field for field in model._meta.concrete_fields}
    return tuple(
        DiffLine(
            part.field,
            label_of(fields.get(part.field), part.field),
            _side(fields.get(part.field), part.old) if has_old else NO_ROW,
            _side(fields.get(part.field), part.new) if has_new else NO_ROW,
        )
        for part in parts
    )


def context_lines(context: Mapping[str, Any], masks: Masks) -> tuple[ContextLine, ...]:
    """Give every value of a context by its path, with what this user may not see masked."""
    return tuple(_context_line(keys, value) for keys, value in _flat(masks.context(context), ()))


def value_text(value: Any) -> str:
    """Give a decoded JSON value as a text: a string as it is, all else as JSON."""
    return value if isinstance(value, str) else _json(value)


def _side(field: Field[Any, Any] | None, value: Any) -> Side:
    if value is UNKNOWN:
        return Side("unknown")
    if value is None:
        return Side("null")
    if value == MASKED:
        return Side("masked", MASKED)
    text = _json(value, indent=2) if isinstance(value, dict | list | bool) else text_of(field, value, None)
    return Side("value", text[:MAX_TEXT_LENGTH], max(0, len(text) - MAX_TEXT_LENGTH))


def _flat(value: Any, keys: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    if not isinstance(value, dict) or (keys and not value):
        yield keys, value
        return
    for key, part in value.items():
        yield from _flat(part, (*keys, key))


def _context_line(keys: tuple[str, ...], value: Any) -> ContextLine:
    path = ".".join(keys)
    if value == MASKED:
        return ContextLine(path, MASKED, is_masked=True)
    text = value_text(value)
    return ContextLine(
        path, text[:MAX_TEXT_LENGTH], f"{path}={text}" if _can_search(keys, value, text) else ""
    )


def _can_search(keys: tuple[str, ...], value: Any, text: str) -> bool:
    """Whether the search box would find just this value again; see `bemi_orm.admin.searching`."""
    is_plain = isinstance(value, str | int) and text == text.strip() and len(text) <= MAX_SEARCH_LENGTH
    return is_plain and all(key == key.strip() and key and not {".", "="} & set(key) for key in keys)


def _json(value: Any, indent: int | None = None) -> str:
    return json.dumps(value, cls=DjangoJSONEncoder, ensure_ascii=False, indent=indent)
