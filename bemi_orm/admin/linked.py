"""Many-to-many fields in a plan: links that an object gained and lost, in tables that Django made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias, cast
from uuid import UUID

from django.db.models import ManyToManyField, Model, Q
from django.utils.text import capfirst

from bemi_orm.admin.lines import DiffLine, Side
from bemi_orm.admin.naming import names_of
from bemi_orm.admin.plans import step_model
from bemi_orm.admin.subjects import Subject
from bemi_orm.admin.viewer import Viewer
from bemi_orm.history.keys import stored_value
from bemi_orm.history.moments import Bound
from bemi_orm.revert.steps import Effect, Step
from bemi_orm.rows import change_id_bytes

if TYPE_CHECKING:
    from bemi_orm.models import Change
    from bemi_orm.querysets import ChangeQuerySet

LinkField: TypeAlias = "ManyToManyField[Any, Any]"


def link_fields(instance: Model, allowed: set[str]) -> dict[type[Model], LinkField]:
    """Give the fields of these names by the models of their links; not those with a model of their own."""
    fields = (field for field in instance._meta.many_to_many if field.name in allowed)
    found = {cast(Any, field).remote_field.through: field for field in fields}
    return {through: field for through, field in found.items() if through._meta.auto_created}


def link_changes(subject: Subject, field: LinkField, *, since: Bound) -> ChangeQuerySet[Change]:
    """Give the changes of the object's links, in scope, by looking through all changes since then."""
    through = cast(Any, field).remote_field.through
    key = through._meta.get_field(field.m2m_field_name())
    image = {key.column: stored_value(key.target_field, subject.instance)}
    changes = subject.since_start(subject.viewer.changes.for_model(through))
    first = UUID(bytes=change_id_bytes(since.position, 0, 0))
    return changes.filter(Q(after__contains=image) | Q(before__contains=image), pk__gte=first)


def link_lines(
    steps: Iterable[Step], fields: Mapping[type[Model], LinkField], viewer: Viewer
) -> dict[str, DiffLine]:
    """Give a line for each field: the objects whose links would go, and those whose would come back."""
    steps = list(steps)
    return {
        field.name: _line(field, mine, viewer)
        for through, field in fields.items()
        if (mine := [step for step in steps if step_model(step) is through])
    }


def _line(field: LinkField, steps: list[Step], viewer: Viewer) -> DiffLine:
    target = cast(Any, field).remote_field.through._meta.get_field(field.m2m_reverse_field_name())
    gone = [_key(step.expected, target) for step in steps if step.effect is Effect.DELETE]
    back = [_key(step.target, target) for step in steps if step.effect is Effect.INSERT]
    keys = [key for key in (*gone, *back) if key is not None]
    names = names_of(target.target_field, keys, viewer)
    sides = (Side("value", ", ".join(names.get(str(key), str(key)) for key in part)) for part in (gone, back))
    return DiffLine(field.name, capfirst(str(field.verbose_name)), *sides)


def _key(image: Mapping[str, Any] | None, target: Any) -> Any:
    return (image or {}).get(target.column)
