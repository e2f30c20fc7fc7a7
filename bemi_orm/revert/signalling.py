"""The signals that the ORM sends around a write, for writes that the ORM does not make."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db.models import Model
from django.db.models.signals import ModelSignal, post_delete, post_save, pre_delete, pre_save

from bemi_orm.revert.steps import Effect, Image, Step
from bemi_orm.revert.tables import Table
from bemi_orm.values.instances import instance_from


@contextmanager
def announced(table: Table, step: Step, live: Image | None, alias: str) -> Iterator[None]:
    """Send the model's signals before and after the block, as loaddata does: `raw=True`, this row alone.

    Receivers that go by `raw` do not touch other rows, which are on their way to a former state as well.
    As with the ORM, links that a ManyToManyField made by itself have no signals. Nor have steps that only
    make room.
    """
    model = table.model
    before, after = (pre_delete, post_delete) if step.effect is Effect.DELETE else (pre_save, post_save)
    if model is None or model._meta.auto_created or step.is_detour or not _heard(model, before, after):
        yield
        return
    instance = _instance(model, {**(live or {}), **step.new_values}, alias)
    details = _details(instance, table, step)
    before.send(sender=model, instance=instance, using=alias, **details)
    yield
    if step.effect is Effect.INSERT or step.effect is Effect.UPDATE:
        details["created"] = step.effect is Effect.INSERT
        instance._state.adding = False
    after.send(sender=model, instance=instance, using=alias, **details)


def _heard(model: type[Model], *signals: ModelSignal) -> bool:
    return any(signal.has_listeners(model) for signal in signals)


def _instance(model: type[Model], image: Image, alias: str) -> Model:
    instance = instance_from(model, image)
    instance._state.db = alias
    return instance


def _details(instance: Model, table: Table, step: Step) -> dict[str, Any]:
    if step.effect is Effect.DELETE:
        instance._state.adding = False
        return {"origin": instance}
    if step.effect is Effect.INSERT:
        return {"raw": True, "update_fields": None}
    instance._state.adding = False
    return {"raw": True, "update_fields": frozenset(map(table.field_name, step.touched))}
