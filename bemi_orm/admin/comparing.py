"""What became of an object between any two moments."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from django.http import HttpResponse
from django.utils.translation import gettext as _

from bemi_orm.admin.lines import DiffLine, lines_of
from bemi_orm.admin.naming import with_names
from bemi_orm.admin.pages import Visit, name_of
from bemi_orm.admin.points import Point, read_point
from bemi_orm.admin.subjects import Subject
from bemi_orm.diffing import FieldChange
from bemi_orm.exceptions import BemiError
from bemi_orm.masking import MASKED, Masks
from bemi_orm.values.fielddiffs import diff_rows

if TYPE_CHECKING:
    from django.db.models import Model

    from bemi_orm.history.moments import Bound


def compare_page(visit: Visit) -> HttpResponse:
    """Show the fields that differ between the moments `from` and `to` of the address."""
    error, lines, points = "", None, list[Point]()
    try:
        texts = (visit.request.GET.get(name, "") for name in ("from", "to"))
        points = sorted((read_point(text, visit.subject.viewer) for text in texts), key=lambda p: p.time)
        lines = compare(visit.subject, *points)
    except (BemiError, ValueError) as failure:
        error = str(failure)
    title = _("Two moments of %(name)s") % {"name": name_of(visit.subject.instance)}
    status = 400 if error else 200
    return visit.render("compare", title, status=status, points=points, lines=lines, error=error)


def compare(subject: Subject, start: Point, end: Point) -> list[DiffLine]:
    """Give the fields that differ, parents' tables first, with what the user may not see masked.

    Raises HistoricInstanceError where nothing tells what the object was, NotCapturedError for a moment that
    is not stored yet, PermissionDenied for a state that is out of scope.
    """
    bounds = start.resolve(), end.resolve()
    for bound in bounds:
        subject.ensure_in_scope(to=bound)
    found = ((part, tuple(_part(subject, part, *bounds))) for part in subject.parts)
    return [line for lines in with_names(found, subject.viewer) for line in lines]


def masked_parts(
    model: type[Model],
    parts: Iterable[FieldChange],
    masks: Masks,
    *,
    has_old: bool = True,
    has_new: bool = True,
) -> Iterator[FieldChange]:
    """Give a diff of the model's table with its masked values replaced, on the sides that have a row."""
    fields = {field.attname: field for field in model._meta.concrete_fields}
    for part in parts:
        field = fields.get(part.field)
        is_hidden = masks.hides(field) if field else masks.names(part.field, model._meta.db_table)
        if is_hidden:
            yield FieldChange(part.field, MASKED if has_old else None, MASKED if has_new else None)
        else:
            yield part


def _part(subject: Subject, model: type[Model], start: Bound, end: Bound) -> Iterator[DiffLine]:
    before, after = (subject.image_at(model, bound) for bound in (start, end))
    if before is None and after is None:
        return
    sides = {"has_old": before is not None, "has_new": after is not None}
    parts = masked_parts(model, diff_rows(model, before, after), subject.viewer.masks, **sides)
    yield from lines_of(model, parts, **sides)
