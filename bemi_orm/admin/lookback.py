"""The page of an object as of a moment."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from django.http import HttpResponse
from django.utils.translation import gettext as _

from bemi_orm.admin.pages import Visit, name_of
from bemi_orm.admin.pastform import PastForm, read_past_form
from bemi_orm.admin.points import Point, read_point
from bemi_orm.admin.subjects import Subject, key_at
from bemi_orm.admin.timeline import stops_of
from bemi_orm.choices import Operation
from bemi_orm.clock import aware
from bemi_orm.exceptions import BemiError


def as_of_page(visit: Visit) -> HttpResponse:
    """Show the object's form as it was at the moment `at` of the address; by default at the newest stored."""
    subject = visit.subject
    stops = stops_of(subject)
    text = visit.request.GET.get("at") or _newest(subject)
    error, point, form = "", None, None
    try:
        point = read_point(text, subject.viewer)
        form = _form_at(visit, point)
    except (BemiError, ValueError) as failure:
        error = str(failure)
    return visit.render(
        "as_of",
        _("%(name)s as it was") % {"name": form.name if form else name_of(subject.instance)},
        status=400 if error else 200,
        revert_url=visit.url("history_revert", to=text),
        may_revert=not subject.ending
        and visit.admin.has_bemi_revert_permission(visit.request, subject.instance),
        stops=[(str(key), aware(time)) for key, time in stops],
        stop=_stop_at(stops, text, point),
        point=point,
        form=form,
        error=error,
    )


def _newest(subject: Subject) -> str:
    """What belongs to the object may have changed after it did; one that is gone was last there before."""
    own = subject.changes().exclude(operation=Operation.DELETE)
    changes = own if subject.ending else subject.viewer.changes
    newest = changes.order_by("-id").values_list("pk", flat=True).first()
    return "now" if newest is None else str(newest)


def _stop_at(stops: list[tuple[UUID, datetime]], text: str, point: Point | None) -> str:
    """Give the stop that was asked for, or else the last one before the moment."""
    keys = [str(key) for key, time in stops if point is None or aware(time) <= point.time]
    return text if text in keys else (keys or [""])[-1]


def _form_at(visit: Visit, point: Point) -> PastForm | None:
    """The key may have been another one then, so the object's own history is asked first."""
    subject, bound = visit.subject, point.resolve()
    subject.ensure_in_scope(to=bound)
    own = subject.parts[-1]
    image = subject.image_at(own, bound)
    if image is None:
        return None
    key = key_at(own, image)
    return read_past_form(visit, key, point.moment, bound)
