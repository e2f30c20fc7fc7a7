"""Objects that are gone: the list of them, and the page that brings one back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import Model
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from bemi_orm.admin.companions import companions
from bemi_orm.admin.pages import HistoryAdmin, Visit, admin_url, name_of, render_page
from bemi_orm.admin.paging import read_page
from bemi_orm.admin.plans import obstacles, step_model, step_rows
from bemi_orm.admin.reverting import MisfitError, still_fits, take, turn_back
from bemi_orm.admin.rows import ChangeRow, change_rows
from bemi_orm.admin.subjects import Subject, ensure_seen, key_at, last_instance, may_see_gone
from bemi_orm.admin.viewer import Viewer, viewer_of
from bemi_orm.choices import Operation
from bemi_orm.exceptions import RevertConflict
from bemi_orm.models import Change
from bemi_orm.revert.moments import plan_restore
from bemi_orm.revert.plan import RevertPlan
from bemi_orm.revert.planning import plan_revert
from bemi_orm.revert.steps import Conflict, Effect, Step

if TYPE_CHECKING:
    from bemi_orm.revert.settling import MissingParents

MISSING_PARENTS: Final = (
    ("conflict", gettext_lazy("Restore nothing, and say what is missing")),
    ("null", gettext_lazy("Leave the field empty where that is allowed")),
    ("restore", gettext_lazy("Restore what it points to as well")),
)

_VERBS: Final = {Effect.INSERT: "add", Effect.UPDATE: "change", Effect.DELETE: "delete"}


@dataclass(frozen=True, slots=True)
class GoneRow:
    """A row that is gone, as it was last: what it was called, its pages, and its last change."""

    name: str
    url: str
    history_url: str
    row: ChangeRow

    @property
    def was_deleted(self) -> bool:
        """Whether the change itself ended the row; else a TRUNCATE did, or its key went to another row."""
        return self.row.change.operation == Operation.DELETE


class RestoreForm(forms.Form):
    """with_children: also the rows that went with it, see `bemi_orm.admin.companions`."""

    missing_parents = forms.ChoiceField(choices=MISSING_PARENTS, widget=forms.RadioSelect)
    with_children = forms.BooleanField(required=False)


def deleted_page(admin: HistoryAdmin, request: HttpRequest) -> HttpResponse:
    """List the objects that are gone, the last deleted first."""
    if not admin.has_view_or_change_permission(request):
        raise PermissionDenied
    viewer = viewer_of(request)
    gone = viewer.changes.for_model(admin.model).of_gone_rows()
    try:
        page = read_page(gone, request.GET.get("p", ""), admin.bemi_page_size)
    except ValueError:
        raise Http404 from None
    shown = [change for change in page.changes if may_see_gone(admin, request, change)]
    return render_page(
        admin,
        request,
        "deleted",
        _("Deleted %(names)s") % {"names": admin.opts.verbose_name_plural},
        rows=[_gone_row(admin, row, viewer) for row in change_rows(shown, viewer)],
        page=page,
        may_restore=admin.has_bemi_restore_permission(request),
    )


def restore_page(visit: Visit) -> HttpResponse:
    """Show an object as it was last and the plan to bring it back; carry it out on POST.

    A plan that meets a conflict is shown again, with status 409. What is there again has nothing to restore:
    somebody was faster, and its own page is shown.
    """
    request = visit.request
    ending = visit.subject.ending
    if ending is None:
        return HttpResponseRedirect(visit.url("change"))
    if not visit.admin.has_bemi_restore_permission(request):
        raise PermissionDenied
    asked = request.POST if request.method == "POST" else request.GET
    form = RestoreForm({"missing_parents": "conflict", **asked.dict()})
    if not form.is_valid():
        raise Http404
    with_it = companions(visit.subject, ending) if ending.operation == Operation.DELETE else []
    try:
        with still_fits():
            plan = _plan(visit.subject, ending, form.cleaned_data, with_it)
    except MisfitError as error:
        return turn_back(visit, str(error))
    _ensure_allowed(visit, plan)
    is_stale = request.method == "POST" and asked.get("ending", str(ending.pk)) != str(ending.pk)
    told = {"form": form, "plan": plan, "has_children": bool(with_it), "is_stale": is_stale}
    if is_stale:
        return _show(visit, told, plan.conflicts, status=409)
    if request.method != "POST" or "plan" in request.POST:  # other choices, to be looked at first
        return _show(visit, told, plan.conflicts)
    try:
        return _carry_out(visit, plan)
    except RevertConflict as error:
        return _show(visit, told, error.conflicts, status=409)


def _gone_row(admin: HistoryAdmin, row: ChangeRow, viewer: Viewer) -> GoneRow:
    key = key_at(admin.model, row.change.before or row.change.after)
    name = name_of(last_instance(admin.model, row.change, viewer.masks))
    return GoneRow(name, admin_url(admin, "restore", key), admin_url(admin, "history", key), row)


def _plan(subject: Subject, ending: Change, wanted: dict[str, Any], with_it: list[Change]) -> RevertPlan:
    missing_parents: MissingParents = wanted["missing_parents"]
    if wanted["with_children"] and with_it:
        own = subject.changes().in_transaction(ending).deleted()
        return plan_revert([*own, *with_it], missing_parents=missing_parents)
    model: Any = subject.parts[-1]
    try:
        return plan_restore(model, subject.instance.pk, missing_parents=missing_parents)
    except model.DoesNotExist:
        raise Http404 from None


def _ensure_allowed(visit: Visit, plan: RevertPlan) -> None:
    ensure_seen(visit.subject.viewer, set(plan.changes))
    for step in plan.steps:
        model = step_model(step)
        if model not in visit.subject.parts and not _may_take(visit.request, step, model):
            raise PermissionDenied(_("You may not restore rows of %(table)s.") % {"table": step.table})


def _may_take(request: HttpRequest, step: Step, model: type[Model] | None) -> bool:
    """Links that Django made by itself are part of the object."""
    if model is None:
        return bool(request.user.is_superuser)
    options = model._meta
    name = f"{options.app_label}.{_VERBS[step.effect]}_{options.model_name}"
    return bool(options.auto_created) or request.user.has_perm(name)


def _show(
    visit: Visit, told: dict[str, Any], conflicts: Sequence[Conflict], *, status: int = 200
) -> HttpResponse:
    viewer = visit.subject.viewer
    title = _("Restore %(name)s") % {"name": name_of(visit.subject.instance)}
    shown = {
        "rows": step_rows(told["plan"].steps, viewer),
        "obstacles": obstacles(conflicts, viewer),
        "was_refused": status == 409,
    }
    return visit.render("restore", title, status=status, **told, **shown)


def _carry_out(visit: Visit, plan: RevertPlan) -> HttpResponseRedirect:
    admin, key = visit.admin, visit.subject.instance.pk

    def log() -> None:
        restored = admin.model._base_manager.using(plan.using).get(pk=key)
        admin.log_addition(visit.request, restored, _("Restored as it was last."))

    take(plan, "raise", log)
    told = {"name": name_of(visit.subject.instance)}
    messages.success(visit.request, _("%(name)s is restored.") % told)
    return HttpResponseRedirect(visit.url("change"))
