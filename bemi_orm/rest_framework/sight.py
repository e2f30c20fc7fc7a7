"""What a viewset shows: now, and of rows that are gone, as it would have shown them before they went."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final, cast

from django.core.exceptions import FieldDoesNotExist, ValidationError
from django.db.models import Field, Model, Q
from django.http import Http404
from rest_framework.exceptions import NotAuthenticated, PermissionDenied
from rest_framework.generics import get_object_or_404

from bemi_orm.access import access, sources_of_state
from bemi_orm.choices import Operation
from bemi_orm.conf import settings
from bemi_orm.history.keys import row_key, stored_form
from bemi_orm.history.lives import shown_since
from bemi_orm.history.moments import After, Before, Moment, resolve
from bemi_orm.masking import MASKED, Masks
from bemi_orm.models import Change
from bemi_orm.querysets import ChangeQuerySet
from bemi_orm.revert.steps import Conflict, ConflictKind
from bemi_orm.timetravel.travel import time_travel
from bemi_orm.values.renames import former_columns

Changes = ChangeQuerySet[Change]

_NAMING_OTHERS: Final = (ConflictKind.UNIQUE_TAKEN, ConflictKind.CHILDREN_EXIST, ConflictKind.ROW_GONE)


@dataclass(frozen=True, slots=True)
class OnlyColumns(Masks):
    """Hides all but some columns, beside what is masked."""

    shown: frozenset[str] = frozenset()

    def hides_column(self, schema: str | None, table: str, column: str) -> bool:
        """Whether the column is none of these, or masked."""
        return column not in self.shown or Masks.hides_column(self, schema, table, column)

    def conflict(self, conflict: Conflict) -> Conflict:
        """Do without the keys of other rows, which may be nobody's business here."""
        shown = Masks.conflict(self, conflict)
        return replace(shown, detail="") if conflict.kind in _NAMING_OTHERS else shown


def history_of(view: Any, instance: Model) -> Changes:
    """Give the changes of the instance's row, in the tables of its parents too, that the user may see.

    What had the key before is another object: from where the viewset would not have shown it, nothing is.
    """
    changes = Change.objects.for_instance(instance)
    for parent in type(instance)._meta.get_parent_list():
        changes |= Change.objects.for_row(instance, parent)
    start = shown_since(instance, partial(_was_shown, view))
    if start is not None:
        changes = changes.filter(pk__gte=start.pk)
    return access().scope(view.request.user, changes)


def ensure_in_scope(view: Any, instance: Model, moment: Moment) -> None:
    """Raise PermissionDenied where the scope hides what the object's state at a moment comes from."""
    sources = sources_of_state(instance, resolve(moment))
    seen = access().scope(view.request.user, Change.objects.filter(pk__in=sources))
    if sources - set(seen.values_list("pk", flat=True)):
        raise PermissionDenied("The object was then as changes left it that you may not see.")


def last_of_gone(view: Any) -> Change | None:
    """Give the last change of the row that the URL names, if it is gone; one may be there that is hidden."""
    model = view.get_queryset().model
    value = view.kwargs[view.lookup_url_kwarg or view.lookup_field]
    condition = _names_row(model, view.lookup_field, value)
    if condition is None:
        return None
    gone = access().scope(view.request.user, Change.objects.for_model(model).of_gone_rows())
    end = gone.filter(condition).desc().first()
    return None if end is None or live_keys(model, [end]) else end


def live_keys(model: type[Model], ends: list[Change]) -> set[Any]:
    """Give the keys of rows that are there again, which may not be stored yet."""
    keys = [end.instance.pk for end in ends if end.instance is not None]
    rows = model._base_manager.using(settings.SOURCE_DATABASE).filter(pk__in=keys)
    return set(rows.values_list("pk", flat=True))


def moment_before(end: Change) -> Moment:
    """Give the last moment at which anybody could see the row that is gone since a change.

    The transaction that deleted it may have deleted first what a viewset's filter looks at, such as links; so
    it is the moment before all of it. A TRUNCATE is named by the row's change before it.
    """
    if end.operation == Operation.DELETE:
        return Before(Change(position=end.position, ordinal=0))
    return After(end)


@contextmanager
def looking_at(moment: Moment, user: Any) -> Iterator[None]:
    """Travel in time, with the user as they are now: what they may do is not looked up in the past."""
    if hasattr(user, "get_all_permissions"):
        user.get_all_permissions()
    with time_travel(moment):
        yield


def seen_in(view: Any, key: object) -> Model:
    """Give the row that the viewset's filters and permissions show; else raise as `get_object` does."""
    instance: Model = get_object_or_404(view.filter_queryset(view.get_queryset()), pk=key)
    view.check_object_permissions(view.request, instance)
    return instance


def seen_object(view: Any) -> Model:
    """Give the object of the URL, which may be gone; raises Http404 where the viewset does not show it."""
    try:
        found: Model = view.get_object()
    except Http404:
        end = last_of_gone(view)
        if end is None or end.instance is None:
            raise
        with looking_at(moment_before(end), view.request.user):
            return seen_in(view, end.instance.pk)
    return found


def _was_shown(view: Any, end: Change) -> bool:
    if end.instance is None:
        return False
    try:
        with looking_at(moment_before(end), view.request.user):
            seen_in(view, end.instance.pk)
    except (Http404, NotAuthenticated, PermissionDenied):
        return False
    return True


def shown_columns(view: Any) -> frozenset[str]:
    """Give the columns that the viewset's serializer shows, under former names too, and those of the key."""
    model = view.get_queryset().model
    fields = {field for field, part in _model_fields(view, model) if not part.write_only}
    for part in (model, *model._meta.get_parent_list()):
        fields.update(part._meta.pk_fields)
    names = ((str(field.column), *former_columns(field.model, str(field.column))) for field in fields)
    return frozenset(name for columns in names for name in columns)


def writable_fields(view: Any) -> list[str]:
    """Give the names of the model's fields that the viewset's serializer lets be written."""
    found = _model_fields(view, view.get_queryset().model)
    return sorted({field.name for field, part in found if not part.read_only})


def represented(view: Any, instance: Model, masks: Masks) -> dict[str, Any]:
    """Give the viewset's own representation of a row of the past, with masked fields replaced."""
    data = dict(view.get_serializer(instance).data)
    hidden = {part.field_name for field, part in _model_fields(view, type(instance)) if masks.hides(field)}
    return {name: MASKED if name in hidden else value for name, value in data.items()}


def _model_fields(view: Any, model: type[Model]) -> Iterator[tuple[Field[Any, Any], Any]]:
    """A nested source, or one that a method computes, is of no field."""
    fields = {name: field for field in model._meta.concrete_fields for name in (field.name, field.attname)}
    for part in view.get_serializer().fields.values():
        name = model._meta.pk.name if part.source == "pk" else part.source
        if name in fields:
            yield fields[name], part


def _names_row(model: type[Model], lookup: str, value: str) -> Q | None:
    """Look a row up by its key, or by a column in its image."""
    try:
        field = model._meta.pk if lookup == "pk" else model._meta.get_field(lookup)
        stored = cast(Any, field).to_python(value)
    except (FieldDoesNotExist, ValidationError, AttributeError):
        return None
    assert isinstance(field, Field)  # others cannot read a value
    if field.primary_key:
        key = row_key(model(pk=stored), model)
        return None if key is None else Q(primary_key=key.text)
    image = {str(field.column): stored_form(field, stored)}
    return Q(before__contains=image) | Q(after__contains=image)
