"""Revert of chosen fields of an object: the plan first, then a POST that does what was shown, and no more."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import DatabaseError, DataError, connections, transaction
from django.http import Http404, HttpResponse, HttpResponseRedirect
from django.utils.text import get_text_list
from django.utils.translation import gettext as _

from bemi_orm.admin.drafts import Draft, RevertForm, draft_revert
from bemi_orm.admin.pages import Visit, name_of
from bemi_orm.admin.plans import obstacles
from bemi_orm.admin.points import Point, read_point
from bemi_orm.admin.subjects import change_by_id
from bemi_orm.conf import settings
from bemi_orm.exceptions import BemiError, RevertConflict
from bemi_orm.models import Change
from bemi_orm.revert.plan import RevertPlan
from bemi_orm.revert.refusals import is_refusal, refusal

if TYPE_CHECKING:
    from bemi_orm.revert.settling import OnConflict
    from bemi_orm.revert.steps import Conflict


def revert_page(visit: Visit) -> HttpResponse:
    """Show the plan to bring the object back to the moment `to` of the address; carry it out on POST.

    A plan that meets a conflict is shown again, with status 409.
    """
    subject, request = visit.subject, visit.request
    if subject.ending or not visit.admin.has_bemi_revert_permission(request, subject.instance):
        raise PermissionDenied
    try:
        point = read_point(request.GET.get("to", ""), subject.viewer)
        bound = point.resolve()
    except (BemiError, ValueError) as error:
        return turn_back(visit, str(error))
    last = _last_shown(visit)
    try:
        with still_fits():
            draft = draft_revert(visit, bound, last) if last else None
    except MisfitError as error:
        return turn_back(visit, str(error))
    if draft is None or not draft.plan or draft.is_of_whole_row:
        return turn_back(visit, _reason(draft))
    form = RevertForm(draft, request.POST if request.method == "POST" else None)
    told = {"point": point, "draft": draft, "form": form, "last": last}
    if not form.is_valid():
        return _show(visit, told, draft.plan.conflicts)
    try:
        return _carry_out(visit, point, draft, form)
    except RevertConflict as error:
        return _show(visit, told, error.conflicts, status=409)


class MisfitError(ValueError):
    """The values of then cannot be put into the table as it is now; trying again does not help."""


@contextmanager
def still_fits() -> Iterator[None]:
    """Raise MisfitError where a plan cannot be made as columns have another type by now."""
    try:
        with transaction.atomic(using=settings.SOURCE_DATABASE):
            yield
    except DataError as error:
        raise MisfitError(
            _("The table has changed: what the object was does not fit into it any more.")
        ) from error


def take(plan: RevertPlan, on_conflict: OnConflict, log: Callable[[], object]) -> None:
    """Apply a plan and write the admin's log in one transaction.

    Raises RevertConflict, also for what the database would refuse only at the end of the transaction.
    """
    try:
        with transaction.atomic(using=plan.using):
            plan.apply(on_conflict)
            log()
            connections[plan.using].check_constraints()
    except DatabaseError as error:
        if not is_refusal(error):
            raise
        raise RevertConflict([refusal(error, None, plan.steps, {})]) from error


def _last_shown(visit: Visit) -> Change | None:
    if visit.request.method != "POST":
        return visit.subject.viewer.changes.order_by("-id").first()
    change = change_by_id(visit.request.POST.get("until", ""), visit.subject.viewer)
    if change is None:
        raise Http404
    return change


def _reason(draft: Draft | None) -> str:
    if draft and draft.is_of_whole_row:
        return _("The object was not there at that moment, so there is nothing to go back to.")
    return _("There is nothing to revert: the object is as it was then.")


def turn_back(visit: Visit, reason: str) -> HttpResponseRedirect:
    """Lead back to the history, and say why."""
    messages.warning(visit.request, reason)
    return HttpResponseRedirect(visit.url("history"))


def _show(
    visit: Visit, told: dict[str, object], conflicts: Sequence[Conflict], *, status: int = 200
) -> HttpResponse:
    title = _("Revert %(name)s") % {"name": name_of(visit.subject.instance)}
    found = obstacles(conflicts, visit.subject.viewer)
    return visit.render("revert", title, status=status, obstacles=found, was_refused=status == 409, **told)


def _carry_out(visit: Visit, point: Point, draft: Draft, form: RevertForm) -> HttpResponseRedirect:
    admin, request, instance = visit.admin, visit.request, visit.subject.instance
    names: list[str] = form.cleaned_data["chosen"]
    told = {
        "fields": get_text_list([draft.lines[name].label for name in names], _("and")),
        "moment": point.words,
    }
    message = _("Reverted %(fields)s to %(moment)s.") % told
    plan, on_conflict = draft.plan_for(names), form.cleaned_data["on_conflict"]
    take(plan, on_conflict, lambda: admin.log_change(request, instance, message))
    soon = _("The history shows it in a moment.")
    messages.success(request, f"{message} {soon}")
    return HttpResponseRedirect(visit.url("change"))
