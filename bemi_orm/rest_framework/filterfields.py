"""Filters whose text a function reads; what it does not understand is an error."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

from django import forms
from django.apps import apps
from django.core.exceptions import ValidationError
from django.db.models import F, Func, JSONField, Model, Q, Value
from django.db.models.fields.json import DataContains, JSONExact
from django.db.models.functions import Cast
from django.db.models.lookups import Exact
from django_filters.filters import CharFilter

from bemi_orm.choices import Operation
from bemi_orm.fields import RowImageField
from bemi_orm.lookups import is_place
from bemi_orm.models import Change
from bemi_orm.querysets import ChangeQuerySet
from bemi_orm.rest_framework.moments import MAX_DEPTH, forms_of
from bemi_orm.values.renames import former_columns

Changes = ChangeQuerySet[Change]
_T = TypeVar("_T")

PREFIXES: Final = ("context.", "before.", "after.")
"""Of parameters that name a path: `context.user_id=1`, `after.meta.colour=red`."""

MAX_LENGTH: Final = 1_000


class _ParsedField(forms.CharField):
    """A text that a function reads, which raises ValueError for what it does not understand."""

    def __init__(self, *, parse: Callable[[str], Any], **options: Any) -> None:
        super().__init__(max_length=MAX_LENGTH, strip=False, **options)
        self._parse = parse

    def clean(self, value: Any) -> Any:
        text = super().clean(value)
        if text in self.empty_values:
            return None
        try:
            return self._parse(text)
        except ValueError as error:
            raise ValidationError(str(error)) from None


class _AtPath(Func):
    """The value at a path, where a number is a key or a place in a list, as PostgreSQL finds it."""

    function = "jsonb_extract_path"
    output_field = RowImageField()


class ParsedFilter(CharFilter):
    """A filter whose text is read by `parse`; the method gets what that gives."""

    field_class = _ParsedField


class PathFilter(ParsedFilter):
    """`context.user_id=1`: containment of a value under a path, as a number or as a text."""

    def __init__(self, name: str) -> None:
        column, *self.path = name.split(".")
        super().__init__(field_name=column, parse=forms_of)

    def filter(self, qs: Changes, value: list[Any] | None) -> Changes:
        """Narrow; by the GIN index where it is the context, and no part of the path is a number."""
        if value is None:
            return qs
        condition = Q()
        if any(map(is_place, self.path)):
            found = _AtPath(F(self.field_name), *map(Value, self.path))
            for form in value:
                if form is None:
                    condition |= Q(Exact(found, Cast(Value("null"), JSONField())))
                elif isinstance(form, dict | list):
                    condition |= Q(DataContains(found, form))
                else:  # `[1] @> 1`, but not `{"a": [1]} @> {"a": 1}`
                    condition |= Q(JSONExact(found, form))
            return qs.filter(condition)
        for form in value:
            nested = form
            for key in reversed(self.path):
                nested = {key: nested}
            condition |= Q(**{f"{self.field_name}__contains": nested})
        return qs.filter(condition)


def list_of(parse: Callable[[str], _T]) -> Callable[[str], list[_T]]:
    """Read texts with commas between them."""
    return lambda text: [parse(part) for part in text.split(",")]


def name_of(text: str) -> str:
    """Give the name of a table or field."""
    if not text:
        raise ValueError("A name is missing; names are separated by single commas.")
    return text


def operation_of(text: str) -> str:
    """Give the operation."""
    if text not in Operation.values:
        raise ValueError(f"{text!r} is no operation. There are: {', '.join(Operation.values)}.")
    return text


def boolean_of(text: str) -> bool:
    """Give the truth value."""
    if text not in ("true", "false"):
        raise ValueError(f"{text!r} is neither true nor false.")
    return text == "true"


def model_of(text: str) -> type[Model]:
    """Give the model of a label."""
    try:
        return apps.get_model(text)
    except (LookupError, ValueError):
        raise ValueError(f"There is no model {text!r}. A label is written as in auth.User.") from None


def is_path(name: str) -> bool:
    """Whether a parameter names a path in the context or an image."""
    kind, dot, path = name.partition(".")
    return f"{kind}{dot}" in PREFIXES and all(path.split("."))


def path_fault(name: str) -> str | None:
    """Say why a path cannot be in any JSON that is stored; None where it can."""
    if "\0" in name:
        return "Null characters are not allowed."
    return "The path is too deep." if name.count(".") > MAX_DEPTH else None


def column_fault(model: type[Model], name: str, *, is_field: bool) -> str | None:
    """Say why no change of the model's table can have this column; None where one can.

    is_field: the name of a field will do as well.
    """
    fields = model._meta.concrete_fields
    columns = {str(field.column) for field in fields}
    former = {old for field in fields for old in former_columns(field.model, str(field.column))}
    if name in columns | former:
        return None
    field = next((field for field in fields if name in (field.name, field.attname)), None)
    if field is not None:
        return None if is_field else f"{name} is no column of {model._meta.label}. Give {field.column}."
    link = next((link for link in model._meta.many_to_many if link.name == name), None)
    if link is not None:
        links = link.remote_field.through._meta.db_table  # type: ignore[union-attr]
        return f"{name} of {model._meta.label} is links, which have a table of their own: table={links}."
    kinds = "field or column" if is_field else "column"
    return f"{model._meta.label} has no {kinds} {name}. For a column that is not in the model, give table."
