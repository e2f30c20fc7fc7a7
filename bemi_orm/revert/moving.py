"""Rows that left their key for another one after the changes to be reverted, as far as that is captured."""

from __future__ import annotations

from django.db.models import Q

from bemi_orm.choices import Operation
from bemi_orm.history.locations import ServerName
from bemi_orm.revert.steps import Step


def moved_to(step: Step, alias: str) -> str | None:
    """Give the key that the step's row has by now; None where it was deleted, or no move is known."""
    from bemi_orm.models import Change

    key, after, is_ended = step.key, max(step.changes, default=None), Q(operation=Operation.TRUNCATE)
    changes = Change.objects.filter(
        database=ServerName(alias, "database"), schema=step.table.schema, table=step.table.table
    )
    while after is not None:
        gone = is_ended | Q(operation=Operation.DELETE, primary_key=key)
        later = changes.filter(gone | Q(previous_primary_key=key), id__gt=after)
        end = later.order_by("id").first()
        if end is None:
            break
        if end.previous_primary_key != key:
            return None
        key, after = end.primary_key, end.pk
    return None if key == step.key else key
