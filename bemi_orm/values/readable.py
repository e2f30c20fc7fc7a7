"""A change in words: what a page, an e-mail or a terminal shows of a diff."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from django.core.exceptions import ObjectDoesNotExist
from django.db.models import Field, Model
from django.utils.encoding import force_str
from django.utils.text import Truncator, capfirst

from bemi_orm.diffing import UNKNOWN
from bemi_orm.exceptions import HistoricInstanceError

if TYPE_CHECKING:
    from bemi_orm.models import Change

UNKNOWN_TEXT: Final = "(not known)"
NOTHING_TEXT: Final = "—"


@dataclass(frozen=True, slots=True)
class ReadableChange:
    """One field of a change in words; `label` is the field's verbose name, or the column."""

    label: str
    old: str
    new: str

    def __str__(self) -> str:
        return f"{self.label}: {self.old} → {self.new}"


def read_aloud(change: Change, max_length: int) -> tuple[ReadableChange, ...]:
    """Give the diff of a change in words; see `Change.readable_diff`."""
    fields = _fields(change.row_model)
    past, present = change.before_instance, change.instance
    return tuple(
        ReadableChange(
            label_of(fields.get(part.field), part.field),
            _shorten(text_of(fields.get(part.field), part.old, past), max_length),
            _shorten(text_of(fields.get(part.field), part.new, present), max_length),
        )
        for part in change.diff()
    )


def label_of(field: Field[Any, Any] | None, name: str) -> str:
    """Give the field's verbose name, or the column's own where it has no field."""
    return name if field is None else force_str(capfirst(field.verbose_name))


def text_of(field: Field[Any, Any] | None, value: Any, row: Model | None) -> str:
    """Give a value in words: the label of a choice, the text of a related row as it was then.

    row: the historic row that holds the value. Where the related row is not known, the key stands for it.
    """
    if value is UNKNOWN:
        return UNKNOWN_TEXT
    if value is None:
        return NOTHING_TEXT
    if field is None:
        return str(value)
    if field.is_relation and row is not None:
        return _related_text(field, value, row)
    labels: dict[Any, Any] = dict(field.flatchoices) if field.choices else {}
    return force_str(labels.get(value, value) if isinstance(value, str | int) else value)


def _related_text(field: Field[Any, Any], value: Any, row: Model) -> str:
    try:
        return str(getattr(row, field.name))
    except (ObjectDoesNotExist, HistoricInstanceError):
        return str(value)


def _fields(model: type[Model] | None) -> Mapping[str, Field[Any, Any]]:
    return {} if model is None else {field.attname: field for field in model._meta.concrete_fields}


def _shorten(text: str, max_length: int) -> str:
    return Truncator(text).chars(max_length)
