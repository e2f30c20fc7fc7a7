"""What went together with an object: the deletes of its transaction that lead back to it by foreign keys."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from django.db.models import ForeignKey

if TYPE_CHECKING:
    from django.db.models import Model

    from bemi_orm.admin.subjects import Subject
    from bemi_orm.models import Change

MAX_DELETES: Final = 5_000
"""A transaction that deleted more rows is not looked through; its objects come back one by one."""

Place: TypeAlias = "tuple[type[Model] | None, str, Any]"
"""A value in a column of a model's own table."""


def companions(subject: Subject, ending: Change) -> list[Change]:
    """Give the deletes, in scope, of the rows that pointed to the object, and to those, and so on.

    Those of the object itself are not among them. Rows of a table without a model are not found.
    """
    deletes = subject.viewer.changes.in_transaction(ending).deleted().order_by("id")
    rest = list(deletes[: MAX_DELETES + 1])
    if len(rest) > MAX_DELETES:
        return []
    own = set(subject.changes().in_transaction(ending).values_list("pk", flat=True))
    wave = [change for change in rest if change.pk in own]
    found: list[Change] = []
    while wave:
        taken = {change.pk for change in wave}
        rest = [change for change in rest if change.pk not in taken]
        there = {place for change in wave for place in _places(change)}
        needed = {place for change in wave for place in _pointed(change, parents_only=True)}
        wave = [change for change in rest if _belongs(change, there, needed)]
        found += wave
    return found


def _belongs(change: Change, there: set[Place], needed: set[Place]) -> bool:
    """A row that points to one that comes back belongs to it; so does the part of it in a parent's table."""
    return not there.isdisjoint(_pointed(change)) or not needed.isdisjoint(_places(change))


def _places(change: Change) -> Iterator[Place]:
    for column, value in change.before.items():
        if not isinstance(value, list | dict | None):
            yield change.row_model, column, value


def _pointed(change: Change, *, parents_only: bool = False) -> Iterator[Place]:
    model = change.row_model
    for field in model._meta.local_concrete_fields if model else ():
        value = change.before.get(str(field.column))
        if not isinstance(field, ForeignKey) or value is None:
            continue
        if field.remote_field.parent_link or not parents_only:
            yield field.target_field.model, str(field.target_field.column), value
