"""What became of a row between two moments."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from django.db.models import Model

from bemi_orm.diffing import FieldChange
from bemi_orm.exceptions import HistoricInstanceError
from bemi_orm.history.rowstates import Presence, state_of_row
from bemi_orm.values.fielddiffs import diff_rows

if TYPE_CHECKING:
    from bemi_orm.history.moments import Bound, Moment
    from bemi_orm.values.fielddiffs import Image


def diff_between(instance: Model, start: Moment, end: Moment | None) -> tuple[FieldChange, ...]:
    """Give the fields of the instance's row that differ; see `BemiMixin.bemi_diff`."""
    from bemi_orm.history.moments import resolve

    bounds = resolve(start), None if end is None else resolve(end)
    models = (*type(instance)._meta.get_parent_list(), type(instance))
    return tuple(part for model in models for part in _parts(instance, model, bounds))


def _parts(instance: Model, model: type[Model], bounds: tuple[Bound, Bound | None]) -> Iterator[FieldChange]:
    before, after = (image_at(instance, model, bound) for bound in bounds)
    if before is not None or after is not None:
        yield from diff_rows(model, before, after)


def image_at(instance: Model, model: type[Model], bound: Bound | None) -> Image | None:
    """Give the part of the row in the table of `model`; None where there was no row."""
    from bemi_orm.models import Change

    row = Change.objects.for_row(instance, model)
    state = state_of_row(row, Change.objects.for_model(model).truncated(), bound)
    if state.presence is Presence.NOT_KNOWN:
        raise HistoricInstanceError(instance, f"the state at {bound or 'present'}")
    return state.image if state.presence is Presence.THERE else None
