"""Conditions on the images of a change, compared in the database as jsonb compares them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from django.contrib.postgres.fields import ArrayField
from django.db.models import BooleanField, Func, JSONField, Model, Q, TextField, Value

from bemi_orm.values.renames import former_columns

_IMAGES: Final = ("before", "after")
_TEXTS: Final = ArrayField(TextField())


class _IsDistinctFrom(Func):
    template = "(%(expressions)s)"
    arg_joiner = " IS DISTINCT FROM "
    output_field = BooleanField()


class _Without(Func):
    """An image without some of its keys."""

    template = "(%(expressions)s)"
    arg_joiner = " - "
    output_field = JSONField()


def column_differs(column: str) -> Q:
    """A column's value is not the same on both sides, or known on one side only."""
    old, new = (Func(image, Value(column), function="jsonb_extract_path") for image in _IMAGES)
    return Q(_IsDistinctFrom(old, new))


def images_differ(ignored_columns: Iterable[str]) -> Q:
    """The images are not the same, some columns left out."""
    ignored = Value(sorted(ignored_columns), _TEXTS)
    old, new = (_Without(image, ignored) for image in _IMAGES)
    return Q(_IsDistinctFrom(old, new))


def columns_of(model: type[Model] | None, name: str) -> tuple[str, ...]:
    """Give the columns that a field has and had; what is no field of the model is a column itself."""
    fields = () if model is None else model._meta.concrete_fields
    field = next((field for field in fields if name in {field.name, field.attname}), None)
    if field is None:
        return (name,)
    return (str(field.column), *former_columns(field.model, str(field.column)))
