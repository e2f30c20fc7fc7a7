"""Back to a moment: every change of a row or a table that came after it is undone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING
from uuid import UUID

from django.db import connections
from django.db.models import Model, Q

from bemi_orm.conf import settings
from bemi_orm.exceptions import BemiError
from bemi_orm.history.captured import Wait, ensure_lsn_captured
from bemi_orm.history.keys import row_key
from bemi_orm.history.moments import Moment, resolve
from bemi_orm.history.states import NOW, LastOfGone, find_shared_keys
from bemi_orm.revert.events import events_of
from bemi_orm.revert.folding import RowEvent
from bemi_orm.revert.plan import RevertPlan
from bemi_orm.revert.planning import plan_events, plan_revert
from bemi_orm.revert.settling import MissingParents
from bemi_orm.rows import MAX_ORDINAL, change_id_bytes

if TYPE_CHECKING:
    from bemi_orm.models import Change
    from bemi_orm.querysets import ChangeQuerySet


def plan_instance(
    instance: Model, to: Moment, *, missing_parents: MissingParents = "conflict", wait: Wait = False
) -> RevertPlan:
    """Plan to bring an instance's row back to a moment, with the parts that parents' tables hold of it.

    to: a datetime, a change (the moment after it), or what else `bemi_orm.history.moments.resolve` takes.
    wait: seconds to wait for the worker to store all that is committed now; True for a minute. Without it, a
        change that is not stored yet is not undone; where it touched the row, `apply()` finds a conflict.
    """
    from bemi_orm.models import Change

    after = _after(to, wait)
    changes: list[Change] = []
    for model in _concrete_models(type(instance)):
        changes += Change.objects.for_row(instance, model).filter(after)
    return plan_revert(changes, missing_parents=missing_parents, exact=True)


def plan_to_moment(
    changes: ChangeQuerySet[Change],
    to: Moment,
    *,
    missing_parents: MissingParents = "conflict",
    wait: Wait = False,
) -> RevertPlan:
    """Plan to undo those of the changes that came after a moment, as of `for_model(Todo)` a whole table."""
    return plan_revert(changes.filter(_after(to, wait)), missing_parents=missing_parents, exact=True)


def restore(model: type[Model], key: object) -> Model:
    """Bring back the row that a delete took, under its key, with its parents' parts; give the instance.

    Raises the model's DoesNotExist where no such delete is captured, RevertConflict where it cannot be.
    """
    plan_restore(model, key).apply()
    return model._base_manager.using(settings.SOURCE_DATABASE).get(pk=key)


def plan_restore(
    model: type[Model], key: object, *, missing_parents: MissingParents = "conflict"
) -> RevertPlan:
    """Plan what `restore` does. Raises the model's DoesNotExist where no end of such a row is captured."""
    instance = model(pk=key)
    for parent, link in model._meta.parents.items():
        if link is not None:
            setattr(instance, parent._meta.pk.attname, getattr(instance, link.attname))
    events = [event for part in _concrete_models(model) for event in _ending(instance, part)]
    if not events:
        raise model.DoesNotExist(  # type: ignore[attr-defined]
            f"No captured change ended {model._meta.label} {key}, or it is there again."
        )
    ids = tuple(event.change for event in events)
    return plan_events(events, ids, missing_parents=missing_parents)


def _ending(instance: Model, part: type[Model]) -> Iterator[RowEvent]:
    """Give the end of the instance's row in a table of its own; a TRUNCATE is named by the change before."""
    from bemi_orm.models import Change

    key = row_key(instance, part)
    gone = LastOfGone(NOW, part, find_shared_keys())
    changes = Change.objects.for_model(part).filter(gone, primary_key=key.text if key else None)
    for last in changes.order_by("-id")[:1]:
        (event,) = events_of([last])
        image = event.before if event.after is None else event.after
        yield event._replace(key_before=last.primary_key, key_after=None, before=image, after=None)


def _after(to: Moment, wait: Wait) -> Q:
    if wait:
        ensure_lsn_captured(_lsn_now(), wait)
    bound = resolve(to, wait=wait)
    # By the id, which sorts in the same order and is the key.
    is_end = bound.ordinal == MAX_ORDINAL
    place = (bound.position + 1, 0) if is_end else (bound.position, bound.ordinal + 1)
    return Q(id__gte=UUID(bytes=change_id_bytes(*place, 0)))


def _lsn_now() -> int:
    with connections[settings.SOURCE_DATABASE].cursor() as cursor:
        cursor.execute("SELECT (pg_catalog.pg_current_wal_insert_lsn() - '0/0')::bigint")
        return int(cursor.fetchone()[0])


def _concrete_models(model: type[Model]) -> list[type[Model]]:
    """Give the model and those of its parents that have tables of their own."""
    own = model._meta.concrete_model
    if own is None:
        raise BemiError(f"{model.__name__} has no table.")
    return [own, *own._meta.get_parent_list()]
