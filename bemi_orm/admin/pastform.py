"""The admin's form of an object as it was: the same fieldsets and inlines, read-only, read in the past."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from django.contrib.admin.helpers import AdminForm
from django.contrib.admin.utils import flatten_fieldsets
from django.core.exceptions import FieldDoesNotExist
from django.db.models import ForeignKey, Model
from django.http import HttpRequest
from django.utils.text import capfirst

from bemi_orm.admin.hiding import hiding
from bemi_orm.admin.pages import Visit, name_of
from bemi_orm.admin.subjects import recall_permissions
from bemi_orm.admin.viewer import Viewer
from bemi_orm.history.rowstates import until
from bemi_orm.masking import MASKED, Masks
from bemi_orm.models import Change
from bemi_orm.timetravel.travel import time_travel

if TYPE_CHECKING:
    from bemi_orm.history.moments import Bound, Moment


@dataclass(frozen=True, slots=True)
class PastField:
    """A field as the form shows it; is_known: false where its value cannot be told or is not to be seen."""

    label: str
    text: str
    is_known: bool = True


@dataclass(frozen=True, slots=True)
class Section:
    """A fieldset of the form, or one row of an inline; title may be empty."""

    title: str
    fields: tuple[PastField, ...]


@dataclass(frozen=True, slots=True)
class PastForm:
    """An object as it was: what it was called, its fieldsets, and its inlines by their titles."""

    name: str
    sections: tuple[Section, ...]
    inlines: tuple[tuple[str, tuple[Section, ...]], ...]


def read_past_form(visit: Visit, key: object, moment: Moment, bound: Bound) -> PastForm | None:
    """Give the form of the object with this key; None where the admin shows this user no such object then.

    bound: the moment's place. Takes one query for the object, and those that its own form takes; in a scope
    one more for each inline. Raises what `time_travel` raises.
    """
    admin, request, viewer = visit.admin, visit.request, visit.subject.viewer
    recall_permissions(request)
    now = visit.subject.instance  # rules of the project are about what is there, not what was
    inlines = [part for part in admin.get_inline_instances(request, now) if _is_shown(part, request, now)]
    with time_travel(moment):
        instance = admin.get_object(request, str(key))
        if instance is None:
            return None
        form = admin.get_form(request, instance, change=True)(instance=instance)
        with hiding([instance], viewer.masks):
            return PastForm(
                name_of(instance),
                tuple(_sections(admin, form, admin.get_fieldsets(request, instance), viewer.masks)),
                tuple(_inline(inline, visit, instance, bound) for inline in inlines),
            )


def _is_shown(inline: Any, request: HttpRequest, instance: Model) -> bool:
    return bool(inline.has_view_or_change_permission(request, instance))


def _inline(inline: Any, visit: Visit, instance: Model, bound: Bound) -> tuple[str, tuple[Section, ...]]:
    request, viewer = visit.request, visit.subject.viewer
    fieldsets = inline.get_fieldsets(request, instance)
    rows = inline.get_queryset(request)
    if names := list(_foreign_keys(inline.model, fieldsets)):
        rows = rows.select_related(*names)
    formset = inline.get_formset(request, instance)(instance=instance, queryset=rows)
    shown = _in_scope([form.instance for form in formset.initial_forms], viewer, bound)
    return (
        capfirst(str(inline.verbose_name_plural)),
        tuple(
            _row(inline, form, fieldsets, viewer.masks)
            for form in formset.initial_forms
            if form.instance in shown
        ),
    )


def _in_scope(rows: list[Model], viewer: Viewer, bound: Bound) -> list[Model]:
    """Leave out rows whose state at the moment comes from a change that `Access.scope` hides."""
    if viewer.sees_all or not rows:
        return rows
    parts = [(row, part) for row in rows for part in (type(row), *type(row)._meta.get_parent_list())]
    seen = viewer.changes.filter(until(bound)).order_by()
    last = Change.objects.filter(until(bound)).order_by("-position", "-ordinal")
    hidden = [
        row
        for row, part in parts
        if not seen.filter(pk__in=last.for_row(row, part).values_list("pk")[:1]).exists()
    ]
    return [row for row in rows if row not in hidden]


def _row(inline: Any, form: Any, fieldsets: Any, masks: Masks) -> Section:
    sections = _sections(inline, form, fieldsets, masks)
    return Section(name_of(form.instance), tuple(field for section in sections for field in section.fields))


def _foreign_keys(model: type[Model], fieldsets: Any) -> Iterator[str]:
    """One query for all rows of an inline, not one for each row and key."""
    names = set(map(str, flatten_fieldsets(fieldsets)))
    yield from (f.name for f in model._meta.concrete_fields if isinstance(f, ForeignKey) and f.name in names)


def _sections(admin: Any, form: Any, fieldsets: Any, masks: Masks) -> Iterator[Section]:
    names = flatten_fieldsets(fieldsets)
    for fieldset in AdminForm(form, fieldsets, {}, names, model_admin=admin):
        fields = (field for line in fieldset for field in line)
        yield Section(str(cast(Any, fieldset).name or ""), tuple(_fields(form.instance, fields, masks)))


def _fields(instance: Model, fields: Iterable[Any], masks: Masks) -> Iterator[PastField]:
    for field in fields:
        label = capfirst(str(field.field["label"]))
        if _is_masked(instance, field.field["name"], masks):
            yield PastField(label, MASKED, is_known=False)
        elif not field.field["is_hidden"]:
            yield _past_field(label, field)


def _past_field(label: str, field: Any) -> PastField:
    """A method of the admin may ask for what the past does not know, and may then fail in any way."""
    try:
        return PastField(label, field.contents())
    except Exception:
        return PastField(label, "", is_known=False)


def _is_masked(instance: Model, name: str, masks: Masks) -> bool:
    try:
        field: Any = instance._meta.get_field(name)
    except FieldDoesNotExist:
        return False
    return bool(getattr(field, "column", None)) and masks.hides(field)
