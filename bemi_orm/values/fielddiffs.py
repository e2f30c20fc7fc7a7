"""What a change did to the fields of its model, with their values as the model's fields hold them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db.models import Model

from bemi_orm.diffing import UNKNOWN, FieldChange, is_same
from bemi_orm.values.instances import values_from
from bemi_orm.values.renames import with_current_names

Image = Mapping[str, Any]


def read_row(model: type[Model] | None, image: Image) -> dict[str, Any]:
    """Give field to value in the model's order, then what the model has no field for, as decoded JSON.

    Without a model all is decoded JSON under the names of its columns.
    """
    if model is None:
        return dict(image)
    image = with_current_names(model, image)
    fields = {str(field.column): field.attname for field in model._meta.concrete_fields}
    values = values_from(model, image)
    known = {name: values.get(name, image[column]) for column, name in fields.items() if column in image}
    return known | {column: value for column, value in image.items() if column not in fields}


def diff_rows(
    model: type[Model] | None, before: Image | None, after: Image | None
) -> tuple[FieldChange, ...]:
    """Give the fields whose values differ, in the model's order.

    before, after: row images; None where there is no row on that side, and then every known field is given.
        An absent key is a value that is not known: UNKNOWN, unless both sides lack it.
    Values compare as the field holds them: 1.10 is 1.1, and one plain text in two encryptions is the same.
    """
    old, new = (None if image is None else read_row(model, image) for image in (before, after))
    names = {**(new or {}), **(old or {})}
    if model is not None:
        order = {field.attname: place for place, field in enumerate(model._meta.concrete_fields)}
        names = dict.fromkeys(sorted(names, key=lambda name: order.get(name, len(order))))
    changes = [FieldChange(name, _side(old, name), _side(new, name)) for name in names]
    if old is None or new is None:
        return tuple(changes)
    return tuple(change for change in changes if not is_same(change.old, change.new))


def _side(values: Mapping[str, Any] | None, name: str) -> Any:
    return None if values is None else values.get(name, UNKNOWN)
