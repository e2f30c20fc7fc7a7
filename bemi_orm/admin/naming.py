"""Foreign keys in diffs by the names of what they point to, in one query for each table of these."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, TypeAlias

from django.core.exceptions import ValidationError
from django.db.models import Field, ForeignKey, Model

from bemi_orm.admin.lines import DiffLine, Side
from bemi_orm.admin.pages import name_of
from bemi_orm.masking import MASKED, Masks

Lines: TypeAlias = "tuple[DiffLine, ...]"
Target: TypeAlias = "Field[Any, Any]"
"""The field that a foreign key points to; its model tells the table."""


def with_names(groups: Iterable[tuple[type[Model] | None, Lines]], masks: Masks) -> list[Lines]:
    """Give the lines of diffs, each with the model that they are of, with `name (key)` for keys of live rows.

    A row that is gone, and so has no name by now, is named by its key alone.
    """
    groups = list(groups)
    wanted = defaultdict[Target, set[str]](set)
    for model, lines in groups:
        for line, target in _pointing(model, lines):
            wanted[target] |= {side.text for side in (line.old, line.new) if side.state == "value"}
    names = {target: _names(target, keys, masks) for target, keys in wanted.items()}
    return [tuple(_named(model, lines, names)) for model, lines in groups]


def hide(instance: Model, masks: Masks) -> None:
    """Take the masked values out of an instance, so that no text or method of it gives them away."""
    for field in instance._meta.concrete_fields:
        if masks.hides(field):
            setattr(instance, field.attname, None if field.is_relation else MASKED)


def _pointing(model: type[Model] | None, lines: Lines) -> Iterator[tuple[DiffLine, Target]]:
    fields = () if model is None else model._meta.concrete_fields
    targets = {field.attname: field.target_field for field in fields if isinstance(field, ForeignKey)}
    return ((line, targets[line.field]) for line in lines if line.field in targets)


def _names(target: Target, keys: set[str], masks: Masks) -> dict[str, str]:
    rows = target.model._default_manager.filter(**{f"{target.name}__in": _valid(target, keys)})
    found = {}
    for row in rows:
        key = str(getattr(row, target.attname))
        hide(row, masks)
        found[key] = f"{name_of(row)} ({key})"
    return found


def _valid(target: Target, keys: set[str]) -> Iterator[Any]:
    """The key may have had another type when the change was stored."""
    for key in keys:
        try:
            yield target.to_python(key)
        except ValidationError:
            continue


def _named(
    model: type[Model] | None, lines: Lines, names: Mapping[Target, Mapping[str, str]]
) -> Iterator[DiffLine]:
    targets = {line.field: target for line, target in _pointing(model, lines)}
    for line in lines:
        known = names[targets[line.field]] if line.field in targets else {}
        yield replace(line, old=_side(line.old, known), new=_side(line.new, known))


def _side(side: Side, known: Mapping[str, str]) -> Side:
    return replace(side, text=known.get(side.text, side.text)) if side.state == "value" else side
