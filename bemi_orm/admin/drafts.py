"""What it takes to bring one object back to a moment, and which of it this user may ask for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, cast

from django import forms
from django.db.models import Model
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from bemi_orm.admin.lines import DiffLine
from bemi_orm.admin.linked import LinkField, link_changes, link_fields, link_lines
from bemi_orm.admin.pages import HistoryAdmin, Visit
from bemi_orm.admin.plans import StepRow, step_model, step_rows
from bemi_orm.admin.subjects import Subject
from bemi_orm.history.moments import Bound
from bemi_orm.history.rowstates import until
from bemi_orm.models import Change
from bemi_orm.revert.drafting import restrict
from bemi_orm.revert.plan import RevertPlan
from bemi_orm.revert.planning import plan_revert
from bemi_orm.revert.steps import Effect, Step

ON_CONFLICT: Final = (
    ("raise", _("Change nothing, and say what stands in the way")),
    ("overwrite", _("Revert the chosen fields all the same")),
)


@dataclass(frozen=True, slots=True)
class Draft:
    """A plan for one object.

    lines: what it does, by each field that this user may revert. kept: labels of fields that stay as they
    are, as this user may not edit or see them. links: the fields whose links are part of it.
    """

    plan: RevertPlan
    lines: Mapping[str, DiffLine]
    kept: tuple[str, ...]
    links: Mapping[type[Model], LinkField]

    @property
    def is_of_whole_row(self) -> bool:
        """Whether the object was not there at the moment, so that it has no fields to go back to."""
        own = (step for step in self.plan.steps if step_model(step) not in self.links)
        return any(step.effect is not Effect.UPDATE for step in own)

    def plan_for(self, names: Iterable[str]) -> RevertPlan:
        """Give the plan for these fields alone, by the names that `lines` has for them."""
        found = (self._narrow(step, set(names)) for step in self.plan.drafts)
        drafts = tuple(step for step in found if step is not None)
        tables = {step.table for step in drafts}
        known = (finding for finding in self.plan.known if finding.conflict.table in tables)
        return replace(self.plan, drafts=drafts, known=tuple(known))

    def _narrow(self, step: Step, names: set[str]) -> Step | None:
        model = step_model(step)
        if model is None:
            return None
        if model in self.links:
            return step if self.links[model].name in names else None
        fields = model._meta.concrete_fields
        return restrict(step, {str(field.column) for field in fields if field.attname in names})


class RevertForm(forms.Form):
    """Which fields to revert, and how; until: the newest change that the plan on the page undoes."""

    chosen = forms.MultipleChoiceField(error_messages={"required": _("Choose at least one field.")})
    on_conflict = forms.ChoiceField(choices=ON_CONFLICT, initial="raise", widget=forms.RadioSelect)
    until = forms.UUIDField()

    def __init__(self, draft: Draft, data: Any = None) -> None:
        super().__init__(data)
        choices = [(name, line.label) for name, line in draft.lines.items()]
        cast(forms.MultipleChoiceField, self.fields["chosen"]).choices = choices
        self.selected: list[str] = list(draft.lines) if data is None else data.getlist("chosen")


def draft_revert(visit: Visit, to: Bound, last: Change) -> Draft:
    """Plan to undo the object's changes after a moment, up to the last one that the user was shown.

    What came later is not undone unseen: where it is in the way, the plan has a conflict.
    Raises PermissionDenied where some of the changes are out of scope.
    """
    subject = visit.subject
    subject.ensure_in_scope(since=to)
    allowed = visit.admin.get_bemi_revert_fields(visit.request, subject.instance)
    links = link_fields(subject.instance, allowed)
    sources = [subject.changes(), *(link_changes(subject, field, since=to) for field in links.values())]
    found = (source.exclude(until(to)).filter(pk__lte=last.pk) for source in sources)
    plan = plan_revert([change for changes in found for change in changes])
    rows = step_rows((step for step in plan.steps if step_model(step) not in links), subject.viewer)
    lines: dict[str, DiffLine] = {}
    kept: list[str] = []
    for row in rows:
        names = _allowed_names(row, allowed, subject)
        lines |= {line.field: line for line in row.lines if line.field in names}
        kept += [line.label for line in row.lines if line.field not in names]
    return Draft(plan, lines | link_lines(plan.steps, links, subject.viewer), tuple(kept), links)


def editable_fields(admin: HistoryAdmin, request: HttpRequest, instance: Any) -> set[str]:
    """Give the names of the fields that the admin's form lets this user edit."""
    form = admin.get_form(request, instance, change=True)
    return {name for name, field in form.base_fields.items() if not field.disabled}


def _allowed_names(row: StepRow, allowed: set[str], subject: Subject) -> set[str]:
    """What is masked cannot be reverted either: the user would bring back a value that they may not know."""
    model = step_model(row.step)
    fields = () if model is None else model._meta.concrete_fields
    return {f.attname for f in fields if f.name in allowed and not subject.viewer.masks.hides(f)}
