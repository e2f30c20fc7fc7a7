"""Changes of the rows that hang together with a row: links, children, and its parts in parents' tables."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

from django.db.models import Field, ForeignKey, Model, Q

from bemi_orm.history.keys import row_key, stored_value
from bemi_orm.history.locations import in_table_of
from bemi_orm.history.rowhistory import Holder, IsOfRow


def row_of(instance: Model, model: type[Model], alias: str) -> Q | None:
    """Give the condition that a change is of the instance's row in the table of `model`; None: no key."""
    key = row_key(instance, model)
    if key is None:
        return None
    table = in_table_of(model, alias)
    return table & Q(IsOfRow(table, key, Holder(instance, model, alias)))


def link_rows(instance: Model, alias: str) -> Iterator[Q]:
    """Give a condition for each link table of a many-to-many relation, declared on either side."""
    for through in {_through(field): None for field in _fields(type(instance)) if field.many_to_many}:
        for field in through._meta.concrete_fields:
            if isinstance(field, ForeignKey) and _concrete(field.related_model) in _family(type(instance)):
                yield from _rows_with(instance, field, alias)


def child_rows(instance: Model, alias: str) -> Iterator[Q]:
    """Give a condition for each foreign key that points to this row; those of link tables left out."""
    for relation in _fields(type(instance)):
        points_here = relation.auto_created and not relation.concrete and not relation.many_to_many
        if points_here and not relation.related_model._meta.auto_created:
            yield from _rows_with(instance, relation.field, alias)


def parent_rows(instance: Model, alias: str) -> Iterator[Q]:
    """Give a condition for the instance's row in the table of each parent (multi-table inheritance)."""
    for parent in type(instance)._meta.get_parent_list():
        condition = row_of(instance, parent, alias)
        if condition is not None:
            yield condition


def _rows_with(instance: Model, foreign_key: ForeignKey[Any, Any], alias: str) -> Iterator[Q]:
    """A row counts if it pointed here before the change or does after it.

    Either form of key is asked for apart, which says nothing, but lets the indexes by table and key find the
    table's changes: each of them holds one form. Else all of `changes` is read.
    """
    target: Field[Any, Any] = foreign_key.target_field
    value = stored_value(target, instance)
    if value is not None:
        image = {foreign_key.column: value}
        points_here = Q(after__contains=image) | Q(before__contains=image)
        for has_text_key in (False, True):
            form = Q(primary_key_int__isnull=has_text_key)
            yield in_table_of(foreign_key.model, alias) & form & points_here


def _fields(model: type[Model]) -> list[Any]:
    """Relations with a `related_name` of "+" are hidden, but are there."""
    return cast(list[Any], model._meta.get_fields(include_hidden=True))


def _through(field: Any) -> type[Model]:
    through = field.through if field.auto_created else field.remote_field.through
    return cast(type[Model], through)


def _family(model: type[Model]) -> set[type[Model]]:
    return {_concrete(member) for member in (model, *model._meta.get_parent_list())}


def _concrete(model: Any) -> type[Model]:
    return cast(type[Model], model._meta.concrete_model)
