"""Masked values taken out of instances, so that no text or method made from these gives them away."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from typing import Any, Final, TypeAlias

from django.db.models import Model, QuerySet
from django.db.models.signals import post_init

from bemi_orm.masking import MASKED, Masks

_HIDDEN: Final = ContextVar[Masks | None]("bemi_hidden", default=None)

_Kept: TypeAlias = "tuple[Model, dict[str, Any], dict[str, Any]]"
"""An instance, its attributes, and what it has at hand by its foreign keys."""


@contextmanager
def hiding(instances: Iterable[Model], masks: Masks) -> Iterator[None]:
    """Take the masked values out of instances, and out of all others that are loaded meanwhile.

    So too out of the relations that the instances have at hand. All these are as before in the end: one may
    be the user of the request, and be saved later. What is no instance, such as the rows of `values()` and
    aggregates, is not masked.
    """
    _watch_instances()
    kept: list[_Kept] = []
    for instance in _at_hand(instances) if masks else ():
        kept.append((instance, dict(vars(instance)), dict(instance._state.fields_cache)))
        _hide(instance, masks)
    token = _HIDDEN.set(masks)
    try:
        yield
    finally:
        _HIDDEN.reset(token)
        for each in kept:
            _give_back(*each)


class _Relations(dict[str, Any]):
    """What an instance has at hand by its foreign keys; a join does not bring one back that is masked."""

    def __init__(self, kept: dict[str, Any], hidden: frozenset[str]) -> None:
        super().__init__((name, value) for name, value in kept.items() if name not in hidden)
        self._hidden = hidden

    def __setitem__(self, name: str, value: Any) -> None:
        if name not in self._hidden:
            super().__setitem__(name, value)


def _hide(instance: Model, masks: Masks) -> None:
    hidden = [field for field in instance._meta.concrete_fields if masks.hides(field)]
    for field in hidden:
        setattr(instance, field.attname, None if field.is_relation else MASKED)
    if names := frozenset(field.name for field in hidden if field.is_relation):
        instance._state.fields_cache = _Relations(instance._state.fields_cache, names)


def _give_back(instance: Model, values: dict[str, Any], relations: dict[str, Any]) -> None:
    vars(instance).clear()
    vars(instance).update(values)
    instance._state.fields_cache = relations


def _at_hand(values: Iterable[object]) -> Iterator[Model]:
    """Give instances, and those that they keep: of foreign keys, prefetched, or in lists of their own."""
    rest, seen = list(values), set[int]()
    while rest:
        value: Any = rest.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        if issubclass(type(value), Model):  # a lazy object only says that it is one
            yield value
            rest += (*vars(value).values(), *value._state.fields_cache.values())
        elif isinstance(value, dict):
            rest += value.values()
        elif isinstance(value, list | tuple):
            rest += value
        elif isinstance(value, QuerySet):
            rest += value._result_cache or ()


@lru_cache(maxsize=1)
def _watch_instances() -> None:
    """A project whose pages nobody looks at pays nothing."""
    post_init.connect(_hide_loaded, dispatch_uid="bemi_orm.admin.hiding")


def _hide_loaded(sender: type[Model], instance: Model, **kwargs: object) -> None:
    if masks := _HIDDEN.get():
        _hide(instance, masks)
