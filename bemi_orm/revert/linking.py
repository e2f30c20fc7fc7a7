"""Links that a ManyToManyField made by itself: rows without signals of their own, told by m2m_changed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast

from django.db.models import Field, ManyToManyField, Model
from django.db.models.signals import m2m_changed

from bemi_orm.revert.announcing import Linking
from bemi_orm.revert.steps import Effect, Step
from bemi_orm.values.instances import values_from

if TYPE_CHECKING:
    from bemi_orm.revert.signalling import Announcements


def find_links(told: Announcements, steps: list[Step], alias: str) -> Iterator[Linking]:
    """Give what m2m_changed tells, one for each instance and way, as if its `add` or `remove` were called."""
    groups: dict[tuple[type[Model], Effect, Any], tuple[_Link, set[Any]]] = {}
    for step in steps:
        through = told.model_of(step)
        if through is None or not through._meta.auto_created or not m2m_changed.has_listeners(through):
            continue
        link = _Link(told, step, through, alias)
        if step.effect is not Effect.UPDATE and not link.goes_with_an_end():
            values = values_from(through, told.image_of(step))
            group = groups.setdefault((through, step.effect, values[link.source.attname]), (link, set()))
            group[1].add(values[link.target.attname])
    for (through, effect, key), (link, targets) in groups.items():
        instance = link.find_source(key)
        if instance is not None:
            verb = "add" if effect is Effect.INSERT else "remove"
            yield Linking(through, _concrete(link.target), instance, verb, targets)


class _Link:
    """One link that comes or goes: source is its foreign key to the model that declares the field."""

    def __init__(self, told: Announcements, step: Step, through: type[Model], alias: str) -> None:
        self._told, self._step, self._alias = told, step, alias
        field = _declared(through)
        ends = {end.name: end for end in through._meta.local_concrete_fields}
        self.source, self.target = ends[field.m2m_field_name()], ends[field.m2m_reverse_field_name()]

    def goes_with_an_end(self) -> bool:
        """Whether the row at one of its ends is deleted too; the ORM's delete() tells nothing then."""
        ends = (self._end(self.source), self._end(self.target))
        return any(end is not None and end.effect is Effect.DELETE for end in ends)

    def find_source(self, key: Any) -> Model | None:
        """Give the instance that has the links: that of its own step, or the live row; None without a row."""
        step = self._end(self.source)
        if step is not None:
            return self._told.instance_of(step)
        return _concrete(self.source)._base_manager.using(self._alias).filter(pk=key).first()

    def _end(self, end: Field[Any, Any]) -> Step | None:
        image, model = self._told.image_of(self._step), _concrete(end)
        return self._told.step_of(model, {str(model._meta.pk.column): image[str(end.column)]})


def _declared(through: type[Model]) -> ManyToManyField[Any, Any]:
    declaring = cast("type[Model]", through._meta.auto_created)  # which is what Django keeps there
    fields = declaring._meta.local_many_to_many
    return next(field for field in fields if field.remote_field.through is through)


def _concrete(end: Field[Any, Any]) -> type[Model]:
    model = end.related_model
    assert isinstance(model, type)
    return model._meta.concrete_model or model
