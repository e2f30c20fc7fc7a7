"""The signals that the ORM sends around its writes, for rows that a revert writes by SQL of its own.

The SQL, as no detour over Python gives every value back exactly. The signals, as search indexes and caches
live on them. All rows are written between those before and those after, so that a receiver never looks at a
database that is half reverted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from django.db.models import Model
from django.db.models.signals import ModelSignal, post_delete, post_save, pre_delete, pre_save

from bemi_orm.revert.announcing import Announcement, Deletion, Saving
from bemi_orm.revert.linking import find_links
from bemi_orm.revert.steps import Effect, Image, Reference, Step, freeze
from bemi_orm.revert.tables import Table, Tables
from bemi_orm.values.instances import values_from


class Announcements:
    """What is told to receivers of signals about some steps; built before the first of them is taken.

    tables: those of the steps. steps: one for each row, in the order in which they are taken.
    live: the rows as they are, by step. alias: of their database.
    """

    def __init__(
        self, tables: Tables, steps: Iterable[Step], live: Mapping[Reference, Image | None], alias: str
    ) -> None:
        self._tables, self._live, self._alias = tables, live, alias
        self._steps = list(steps)
        self._by_row = {self._row(step): step for step in self._steps}
        self._instances: dict[Reference, Model] = {}
        self._told = [*self._rows(), *find_links(self, self._steps, alias)]

    def send_before(self) -> None:
        """Send pre_save, pre_delete, and m2m_changed with the action pre_add or pre_remove."""
        for announcement in self._told:
            announcement.before(self._alias)

    def send_after(self) -> None:
        """Send post_save, post_delete, and m2m_changed with the action post_add or post_remove."""
        for announcement in self._told:
            announcement.after(self._alias)

    def model_of(self, step: Step) -> type[Model] | None:
        """Give the model of the step's table; None if the project has none."""
        return self._tables[step.table].model

    def step_of(self, model: type[Model], key: Image) -> Step | None:
        """Give the step on a row of the model, by the key that the row has at the end."""
        return self._by_row.get((model, freeze(dict(key))))

    def instance_of(self, step: Step) -> Model:
        """Give the one instance that receivers get for a step; its row's parts in parents' tables included.

        It is an ordinary one: a column that is not known, or that Python has no form for, is deferred.
        """
        if step.reference not in self._instances:
            model = self.model_of(step)
            assert model is not None
            self._instances[step.reference] = self._load(model, step)
        return self._instances[step.reference]

    def image_of(self, step: Step) -> Image:
        """Give the row as the step leaves it, or as it was if it goes; nothing of generated columns."""
        live = self._live.get(step.reference) or {}
        if step.effect is Effect.DELETE:
            return live
        table, after = self._tables[step.table], {**live, **step.new_values}
        return {column: value for column, value in after.items() if table.writable(column)}

    def _rows(self) -> Iterator[Announcement]:
        told_with_child = {
            part.reference
            for step in self._steps
            if step.effect is not Effect.DELETE
            for part in self._parts(step)
            if part is not step
        }
        for step in self._steps:
            model = self.model_of(step)
            if model is None or model._meta.auto_created or step.reference in told_with_child:
                continue
            if step.effect is Effect.DELETE:
                if _heard(model, pre_delete, post_delete):
                    yield Deletion(model, self.instance_of(step))
            elif _heard(model, pre_save, post_save):
                yield from self._saving(model, step)

    def _saving(self, model: type[Model], step: Step) -> Iterator[Announcement]:
        if step.effect is Effect.INSERT:
            yield Saving(model, self.instance_of(step), None)
            return
        names = {name for part in self._parts(step) for name in _fields(self._tables[part.table], part)}
        if names:
            yield Saving(model, self.instance_of(step), frozenset(names))

    def _load(self, model: type[Model], step: Step) -> Model:
        parts = list(self._parts(step))
        image = {column: value for part in reversed(parts) for column, value in self.image_of(part).items()}
        values = values_from(model, image)
        names = [field.attname for field in model._meta.concrete_fields if field.attname in values]
        instance = model.from_db(self._alias, names, [values[name] for name in names])
        instance._state.adding = step.effect is Effect.INSERT
        return instance

    def _parts(self, step: Step) -> Iterator[Step]:
        """Give the step, and those that do the same to its row's parts in the tables of parent models."""
        yield step
        model, image = self.model_of(step), self.image_of(step)
        for parent, link in model._meta.parents.items() if model else ():
            if link is None or link.model is not model or link.column not in image:
                continue
            part = self.step_of(parent, {str(parent._meta.pk.column): image[str(link.column)]})
            if part is not None and part.effect is step.effect:
                yield from self._parts(part)

    def _row(self, step: Step) -> tuple[type[Model] | None, Any]:
        after = {} if step.effect is Effect.DELETE else step.new_values
        return self.model_of(step), freeze({c: after.get(c, value) for c, value in step.identity.items()})


def _heard(model: type[Model], *signals: ModelSignal) -> bool:
    return any(signal.has_listeners(model) for signal in signals)


def _fields(table: Table, step: Step) -> Iterator[str]:
    """Give the names of the fields that the step changes; a column that no field has is not told."""
    fields = table.model._meta.local_concrete_fields if table.model else ()
    return (field.name for field in fields if field.column in step.touched)
