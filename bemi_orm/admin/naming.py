"""Foreign keys in diffs by the names of what they point to, in one query for each table of these."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, TypeAlias

from django.db.models import Field, ForeignKey, Model

from bemi_orm.admin.hiding import hiding
from bemi_orm.admin.lines import DiffLine, Side
from bemi_orm.admin.neighbours import visible_rows
from bemi_orm.admin.pages import name_of
from bemi_orm.admin.viewer import Viewer

Lines: TypeAlias = "tuple[DiffLine, ...]"
Target: TypeAlias = "Field[Any, Any]"
"""The field that a foreign key points to; its model tells the table."""


def with_names(groups: Iterable[tuple[type[Model] | None, Lines]], viewer: Viewer) -> list[Lines]:
    """Give the lines of diffs, each with the model that they are of, with `name (key)` for keys of live rows.

    A row that is gone, and so has no name by now, is named by its key alone; so is one that the user may not
    view.
    """
    groups = list(groups)
    wanted = defaultdict[Target, set[str]](set)
    for model, lines in groups:
        for line, target in _pointing(model, lines):
            wanted[target] |= {side.text for side in (line.old, line.new) if side.state == "value"}
    names = {target: names_of(target, keys, viewer) for target, keys in wanted.items()}
    return [tuple(_named(model, lines, names)) for model, lines in groups]


def names_of(target: Target, keys: Iterable[object], viewer: Viewer) -> dict[str, str]:
    """Give the texts of the live rows with these keys that the user may view, by their keys."""
    rows = visible_rows(viewer, target.model, target.name, keys)
    found = {str(getattr(row, target.attname)): row for row in rows}
    with hiding(found.values(), viewer.masks):
        return {key: name_of(row) for key, row in found.items()}


def _pointing(model: type[Model] | None, lines: Lines) -> Iterator[tuple[DiffLine, Target]]:
    fields = () if model is None else model._meta.concrete_fields
    targets = {field.attname: field.target_field for field in fields if isinstance(field, ForeignKey)}
    return ((line, targets[line.field]) for line in lines if line.field in targets)


def _named(
    model: type[Model] | None, lines: Lines, names: Mapping[Target, Mapping[str, str]]
) -> Iterator[DiffLine]:
    targets = {line.field: target for line, target in _pointing(model, lines)}
    for line in lines:
        known = names[targets[line.field]] if line.field in targets else {}
        yield replace(line, old=_side(line.old, known), new=_side(line.new, known))


def _side(side: Side, known: Mapping[str, str]) -> Side:
    if side.state != "value" or side.text not in known:
        return side
    return replace(side, text=f"{known[side.text]} ({side.text})")
