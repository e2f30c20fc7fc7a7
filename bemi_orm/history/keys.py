"""The key of a model's instance, in the text that the worker stores for its row."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from django.db.models import Field, Model

from bemi_orm.rows import key_text
from bemi_orm.values.pgtext import postgres_text


class RowKey(NamedTuple):
    """What `primary_key` and `primary_key_int` of a row's changes hold."""

    text: str
    number: int | None


def row_key(instance: Model, model: type[Model]) -> RowKey | None:
    """Give the key of the instance's row in the table of `model`; None where a part of it is not set.

    model: the instance's own class or a parent whose table holds a part of it.
    """
    return key_of_values([stored_value(field, instance) for field in model._meta.pk_fields])


def key_of_values(values: Sequence[Any]) -> RowKey | None:
    """Give the key of a row from the stored values of its key columns; None where one is not set."""
    if any(value is None for value in values):
        return None
    number = values[0] if len(values) == 1 and _is_integer(values[0]) else None
    text = key_text([postgres_text(value) for value in values])
    return None if text is None else RowKey(text, number)


def stored_value(field: Field[Any, Any], instance: Model) -> Any:
    """Give what is stored for a field of the instance."""
    return stored_form(field, getattr(instance, field.attname))


def stored_form(field: Field[Any, Any], value: Any) -> Any:
    """Give what is stored for this value of a field; a relation stores what the field it points to does."""
    target = _target(field)
    stored = target.get_prep_value(value)
    if isinstance(stored, Decimal) and stored.is_finite():
        return _scaled(stored, getattr(target, "decimal_places", None))
    return stored


def _target(field: Field[Any, Any]) -> Field[Any, Any]:
    return field if field.remote_field is None else _target(field.target_field)  # type: ignore[attr-defined]


def _scaled(value: Decimal, places: int | None) -> Decimal:
    """`numeric(10, 2)` gives 1.1 back as 1.10."""
    return value if places is None else Decimal(f"{value:.{places}f}")


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
