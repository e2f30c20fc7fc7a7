"""Objects that had the same key one after another, and which of them a history may tell of."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from bemi_orm.history.rowstates import NEWEST_FIRST

if TYPE_CHECKING:
    from django.db.models import Model

    from bemi_orm.models import Change


def shown_since(instance: Model, was_shown: Callable[[Change], bool]) -> Change | None:
    """Give the change that a history of the instance begins with; None where it tells of all with that key.

    Where an object was deleted, or its table emptied, and its key given again, what had the key before is
    another object. was_shown: whether the one that a change ended may be shown; the newest is asked about
    first, and what is older than one that may not be shown is not shown either.

    One query, and one more for each CREATE of the row.
    """
    from bemi_orm.models import Change

    model = cast("type[Model]", instance._meta.concrete_model)
    own = Change.objects.for_row(instance, model)
    for start in own.created().defer("before", "after", "context").order_by(*NEWEST_FIRST):
        end = own.filter(pk__lt=start.pk).order_by(*NEWEST_FIRST).first()
        if end is not None and not was_shown(end):
            return _with_parents(instance, model, start)
    return None


def _with_parents(instance: Model, model: type[Model], start: Change) -> Change:
    """The rows in parents' tables are made first, in the same transaction."""
    from bemi_orm.models import Change

    first = start
    for parent in model._meta.get_parent_list():
        made = Change.objects.for_row(instance, parent).created().filter(position=start.position)
        last = made.filter(pk__lt=start.pk).order_by(*NEWEST_FIRST).first()
        first = first if last is None else min(first, last, key=lambda change: change.pk)
    return first
