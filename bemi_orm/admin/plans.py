"""A plan of a revert as pages show it: what each step does, and what stands in the way, in words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _

from bemi_orm.admin.comparing import masked_parts
from bemi_orm.admin.lines import DiffLine, lines_of
from bemi_orm.admin.naming import with_names
from bemi_orm.admin.people import people_of, user_key
from bemi_orm.admin.viewer import Viewer
from bemi_orm.clock import aware
from bemi_orm.history.tracked import model_of_table
from bemi_orm.revert.steps import Conflict, ConflictKind, Effect, Step
from bemi_orm.values.fielddiffs import diff_rows

if TYPE_CHECKING:
    from django.db.models import Model

EFFECTS: Final = {
    Effect.INSERT: _("Bring back"),
    Effect.UPDATE: _("Change"),
    Effect.DELETE: _("Delete"),
}

EXPLANATIONS: Final = {
    ConflictKind.ROW_CHANGED: _("It was changed since, by somebody else or by something not stored yet."),
    ConflictKind.CHANGED_BETWEEN: _("Another change came in between."),
    ConflictKind.ROW_GONE: _("It was deleted meanwhile, or has another key now."),
    ConflictKind.ROW_EXISTS: _("It is there again."),
    ConflictKind.UNIQUE_TAKEN: _(
        "Another object has taken this value, which must be unique. Change that one first."
    ),
    ConflictKind.PARENT_GONE: _(
        "The object that it points to is gone. Restore that one first, or leave this out."
    ),
    ConflictKind.CHILDREN_EXIST: _("Other objects point to it. Change or delete them first."),
    ConflictKind.COLUMN_GONE: _("The table has no such column any more."),
    ConflictKind.TABLE_GONE: _("The table is not there any more."),
    ConflictKind.PARTIAL_IMAGE: _(
        "Its former values are not stored: the table has no REPLICA IDENTITY FULL."
    ),
    ConflictKind.NO_KEY: _("The table has no primary key."),
    ConflictKind.REFUSED: _(
        "The database refuses it: a constraint, a trigger or the type of a column stands in the way."
    ),
    ConflictKind.CYCLE: _("No order of the steps satisfies the constraints."),
}


@dataclass(frozen=True, slots=True)
class StepRow:
    """A step; label: of its table, key: of its row."""

    step: Step
    effect: Any
    label: str
    lines: tuple[DiffLine, ...]


@dataclass(frozen=True, slots=True)
class Obstacle:
    """A conflict in words; by: who caused it, and when, as far as it is known."""

    conflict: Conflict
    label: str
    explanation: Any
    fields: str
    by: tuple[tuple[str, datetime], ...]


def step_rows(steps: Iterable[Step], viewer: Viewer) -> list[StepRow]:
    """Give the steps in their order, without those that only make room for others."""
    rows = [_step_row(step, viewer) for step in steps if not step.is_detour]
    diffs = with_names(((step_model(row.step), row.lines) for row in rows), viewer)
    return [replace(row, lines=lines) for row, lines in zip(rows, diffs, strict=True)]


def step_model(step: Step) -> type[Model] | None:
    """Give the model of a step's table, None without one."""
    return model_of_table(step.table.schema, step.table.table)


def obstacles(conflicts: Iterable[Conflict], viewer: Viewer) -> list[Obstacle]:
    """Give conflicts in words, in two queries at most for the names of those who caused them."""
    masked = [viewer.masks.conflict(conflict) for conflict in conflicts]
    contexts = [culprit.context for conflict in masked for culprit in conflict.by]
    people = people_of(filter(None, (user_key(context, viewer) for context in contexts)), viewer, contexts)
    names = {key: person.label for key, person in people.items()}
    return [_obstacle(conflict, names, viewer) for conflict in masked]


def _step_row(step: Step, viewer: Viewer) -> StepRow:
    model = step_model(step)
    sides = {"has_old": step.effect is not Effect.INSERT, "has_new": step.effect is not Effect.DELETE}
    old = step.old_values if sides["has_old"] else None
    new = step.new_values if sides["has_new"] else None
    parts = diff_rows(model, old, new)
    if model is not None:
        parts = tuple(masked_parts(model, parts, viewer.masks, **sides))
    return StepRow(
        step, EFFECTS[step.effect], _label(model, step.table.table), lines_of(model, parts, **sides)
    )


def _label(model: type[Model] | None, table: str) -> str:
    return table if model is None else capfirst(str(model._meta.verbose_name))


def _obstacle(conflict: Conflict, names: dict[str, str], viewer: Viewer) -> Obstacle:
    model = model_of_table(*conflict.table)
    labels = {str(f.column): str(f.verbose_name) for f in model._meta.local_concrete_fields} if model else {}
    return Obstacle(
        conflict,
        _label(model, conflict.table.table),
        EXPLANATIONS[conflict.kind],
        ", ".join(labels.get(column, column) for column in conflict.columns),
        tuple(_culprits(conflict, names, viewer)),
    )


def _culprits(conflict: Conflict, names: dict[str, str], viewer: Viewer) -> Iterator[tuple[str, datetime]]:
    for culprit in conflict.by:
        key = user_key(culprit.context, viewer)
        yield names.get(key, "") if key else "", aware(culprit.committed_at)
