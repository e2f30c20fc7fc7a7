"""The object that a history page is about, which may be gone, and whether it is shown to this user."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import Model
from django.http import HttpRequest

from bemi_orm.admin.neighbours import is_whole, may_view, shows_all
from bemi_orm.admin.viewer import Viewer, viewer_of
from bemi_orm.choices import Operation
from bemi_orm.exceptions import TimeTravelError
from bemi_orm.history.keys import row_key
from bemi_orm.history.lives import shown_since
from bemi_orm.history.moments import Before, Bound
from bemi_orm.history.rowstates import until
from bemi_orm.history.spans import image_at
from bemi_orm.masking import Masks
from bemi_orm.models import Change
from bemi_orm.timetravel.travel import time_travel
from bemi_orm.values.instances import instance_from

if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin

    from bemi_orm.querysets import ChangeQuerySet
    from bemi_orm.values.fielddiffs import Image


@dataclass(frozen=True, slots=True)
class Subject:
    """An object and its history.

    instance: the live one, or the row as it was last. ending: the last change of a row that is gone.
    start: what the history begins with; None where it has all that is stored. What had the key before may be
        hidden, as it is another object.
    """

    instance: Model
    viewer: Viewer
    ending: Change | None = None
    start: Change | None = None

    @property
    def parts(self) -> list[type[Model]]:
        """The models in whose tables the object has a row: those of its parents, then its own."""
        own = self.instance._meta.concrete_model
        assert own is not None
        return [*own._meta.get_parent_list(), own]

    def changes(self) -> ChangeQuerySet[Change]:
        """Give the changes of its rows in these tables, in scope."""
        return reduce(or_, self._rows(self.viewer.changes.all()))

    def since_start(self, changes: ChangeQuerySet[Change]) -> ChangeQuerySet[Change]:
        """Leave out what was before the history begins."""
        return changes if self.start is None else changes.filter(pk__gte=self.start.pk)

    def image_at(self, part: type[Model], bound: Bound) -> Image | None:
        """Give the part of its state in a table of `parts`; None where it was not there, or its history not.

        Raises HistoricInstanceError where nothing tells it.
        """
        if self.start is not None and bound < (self.start.position, self.start.ordinal):
            return None
        return image_at(self.instance, part, bound)

    def ensure_in_scope(self, since: Bound | None = None, *, to: Bound | None = None) -> None:
        """Raise PermissionDenied where `Access.scope` hides what the object's state at `to` comes from.

        since: look at all changes after it instead, as an undo of these needs them all.
        """
        if self.viewer.sees_all:
            return
        rows = self._rows(Change.objects.all())
        if since is None:  # each of its tables holds a part of the state
            rows = [part.filter(until(to)).order_by("-position", "-ordinal")[:1] for part in rows]
        else:
            rows = [part.exclude(until(since)) for part in rows]
        ensure_seen(self.viewer, {change for part in rows for change in part.values_list("pk", flat=True)})

    def _rows(self, source: ChangeQuerySet[Change]) -> list[ChangeQuerySet[Change]]:
        return [self.since_start(source.for_row(self.instance, part)) for part in self.parts]


def find_subject(admin: ModelAdmin[Any], request: HttpRequest, key: str) -> Subject | None:
    """Find an object by its key, live or gone, that this user may see in this admin."""
    viewer = viewer_of(request)
    viewer.site = admin.admin_site
    instance = admin.get_object(request, key)
    if instance is not None:
        return Subject(instance, viewer, start=_start(admin, request, instance))
    ending = _ending(admin.model, key, viewer)
    if ending is None or not was_visible(admin, request, ending):
        return None
    last = last_instance(admin.model, ending, viewer.masks)
    return Subject(last, viewer, ending, _start(admin, request, last))


def may_view_subject(admin: ModelAdmin[Any], request: HttpRequest, subject: Subject) -> bool:
    """Whether the admin's permissions let the user view the object; one that is gone as it was last."""
    if subject.ending is None:
        return admin.has_view_or_change_permission(request, subject.instance)
    return may_view_gone(admin, request, subject.ending)


def may_view_gone(admin: ModelAdmin[Any], request: HttpRequest, ending: Change) -> bool:
    """Do so for a row that is gone. Nothing is masked: a rule of the project may depend on any value."""
    return may_view(admin, request, last_instance(admin.model, ending, Masks()))


def may_see_gone(admin: ModelAdmin[Any], request: HttpRequest, ending: Change) -> bool:
    """Whether the user may see a row that is gone: the permissions and the rows of the admin tell."""
    return may_view_gone(admin, request, ending) and was_visible(admin, request, ending)


def ensure_seen(viewer: Viewer, changes: set[UUID]) -> None:
    """Raise PermissionDenied where some of these changes, by their ids, are out of scope."""
    if viewer.sees_all:
        return
    if changes - set(viewer.changes.filter(pk__in=changes).values_list("pk", flat=True)):
        raise PermissionDenied


def last_instance(model: type[Model], ending: Change, masks: Masks) -> Model:
    """Give a row that is gone as it was last, with its masked values replaced."""
    image = ending.before if ending.operation == Operation.DELETE else ending.after
    shown = masks.image(ending.schema, ending.table, image)
    own = cast(type[Model], model._meta.concrete_model)
    return instance_from(own, shown, change=ending, is_complete=ending.operation != Operation.DELETE)


def was_visible(admin: ModelAdmin[Any], request: HttpRequest, ending: Change) -> bool:
    """Whether the admin would have shown the row right before its end; where the past cannot tell, not.

    The admin's own `get_queryset` answers, inside `time_travel`; if that narrows nothing, nobody is asked.
    """
    if is_whole(admin.get_queryset(request)):
        return True
    recall_permissions(request)
    moment = Before(ending) if ending.operation == Operation.DELETE else ending
    key = key_at(admin.model, ending.before or ending.after)
    try:
        with time_travel(moment):
            return admin.get_object(request, str(key)) is not None
    except TimeTravelError:
        return False


def key_at(model: type[Model], image: Any) -> Any:
    """Give the key that the row of an image has in its model."""
    return instance_from(cast(type[Model], model._meta.concrete_model), image).pk


def recall_permissions(request: HttpRequest) -> None:
    """Read who the user is, and what they may, before a journey: there these would be as they were then."""
    request.user.get_all_permissions()


def _start(admin: ModelAdmin[Any], request: HttpRequest, instance: Model) -> Change | None:
    if shows_all(admin, request):
        return None
    return shown_since(instance, lambda ending: may_see_gone(admin, request, ending))


def _ending(model: type[Model], key: str, viewer: Viewer) -> Change | None:
    own = cast(type[Model], model._meta.concrete_model)
    try:
        text = row_key(own(pk=own._meta.pk.to_python(key)), own)
    except (ValidationError, ValueError):
        return None
    gone = viewer.changes.for_model(own).of_gone_rows()
    return gone.filter(primary_key=text.text).order_by("-id").first() if text else None


def change_by_id(text: str, viewer: Viewer) -> Change | None:
    """Give a change in scope by its id; None for what is no id of one."""
    try:
        return viewer.changes.filter(pk=UUID(text)).first()
    except ValueError:
        return None
