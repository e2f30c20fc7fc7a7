"""Masked values taken out of instances, before these are asked for texts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from django.db.models import ForeignKey, Model, prefetch_related_objects

from bemi_orm.masking import MASKED, Masks


def hide(instances: Sequence[Model], masks: Masks) -> None:
    """Take the masked values out of instances of one model, so that no text or method gives them away.

    So too out of what they point to by a foreign key; one query for each key whose target has masked fields.
    """
    for field in instances[0]._meta.concrete_fields if instances else ():
        if isinstance(field, ForeignKey) and not masks.hides(field) and any(_masked(field, masks)):
            prefetch_related_objects(instances, field.name)
            _hide_own(filter(None, (getattr(row, field.name, None) for row in instances)), masks)
    _hide_own(instances, masks)


def hide_links(instance: Model, names: Iterable[Any], masks: Masks) -> None:
    """Do so for the objects in the many-to-many fields of these names, which it then has at hand."""
    names = set(names)
    for field in instance._meta.many_to_many if masks else ():
        if field.name in names:
            prefetch_related_objects([instance], field.name)
            hide(getattr(instance, field.name).all(), masks)


def _masked(key: ForeignKey[Any, Any], masks: Masks) -> Iterator[Any]:
    return filter(masks.hides, key.related_model._meta.concrete_fields)


def _hide_own(instances: Iterable[Model], masks: Masks) -> None:
    for instance in instances:
        for field in filter(masks.hides, instance._meta.concrete_fields):
            setattr(instance, field.attname, None if field.is_relation else MASKED)
