"""Which objects beside the one that a page is about this user may see: those that the site shows them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

from django.contrib.admin import ModelAdmin
from django.core.exceptions import ValidationError

from bemi_orm.admin.links import registered_admin
from bemi_orm.exceptions import HistoricInstanceError

if TYPE_CHECKING:
    from django.db.models import Field, Model, QuerySet
    from django.http import HttpRequest

    from bemi_orm.admin.viewer import Viewer
    from bemi_orm.models import Change

_PERMISSIONS: Final = ("has_view_or_change_permission", "has_view_permission", "has_change_permission")
"""Methods of an admin that decide who may view an object; Django's own do not look at it."""


def may_view_model(viewer: Viewer, model: type[Any]) -> bool:
    """Whether the user may view objects of a model: its admin on this site says so, else the permissions."""
    admin = registered_admin(viewer.site, model) if viewer.site else None
    if admin is not None:
        return admin.has_view_or_change_permission(viewer.request)
    options = model._meta
    names = (f"{options.app_label}.{verb}_{options.model_name}" for verb in ("view", "change"))
    return any(map(viewer.request.user.has_perm, names))


def visible_rows(viewer: Viewer, model: type[Any], name: str, keys: Iterable[object]) -> Iterator[Model]:
    """Give those live objects whose field has one of these values that the user may view; in one query.

    name: of the field. A value that the field cannot have by now is passed over.
    """
    if not may_view_model(viewer, model):
        return
    admin = registered_admin(viewer.site, model) if viewer.site else None
    rows = admin.get_queryset(viewer.request) if admin else model._default_manager.all()
    for row in rows.filter(**{f"{name}__in": list(_valid(model._meta.get_field(name), keys))}):
        if admin is None or admin.has_view_or_change_permission(viewer.request, row):
            yield row


def without_hidden(changes: Iterable[Change], viewer: Viewer) -> set[Change]:
    """Give those whose objects the user may see, by the admins of their models.

    Where `get_queryset()` narrows the rows, an object has to be there: to ask the past for each one costs too
    much. Links that Django made by itself are part of an object.
    """
    found: set[Change] = set()
    for _, group in groupby(sorted(changes, key=_table), key=_table):
        found |= _seen(list(group), viewer)
    return found


def is_whole(rows: QuerySet[Any]) -> bool:
    """Whether a queryset leaves out nothing of its table."""
    query = rows.query
    return not (query.where or query.is_sliced or query.combinator or query.is_empty())


def shows_all(admin: ModelAdmin[Any], request: HttpRequest) -> bool:
    """Whether an admin shows every row of its table to whoever may view any."""
    methods = ((getattr(admin, name), getattr(ModelAdmin, name)) for name in _PERMISSIONS)
    return is_whole(admin.get_queryset(request)) and all(
        getattr(method, "__func__", None) is plain for method, plain in methods
    )


def may_view(admin: Any, request: Any, row: Model) -> bool:
    """Whether the admin's permissions let the user view an object of the past; not, where it cannot tell."""
    try:
        return bool(admin.has_view_or_change_permission(request, row))
    except HistoricInstanceError:
        return False


def _seen(changes: list[Change], viewer: Viewer) -> set[Change]:
    model = changes[0].row_model
    admin = registered_admin(viewer.site, model) if viewer.site and model else None
    if model is None or admin is None:
        return set(changes)
    if is_whole(admin.get_queryset(viewer.request)):
        return {change for change in changes if _may_view_then(admin, viewer, change)}
    keys = {change.primary_key for change in changes}
    live = {str(row.pk) for row in visible_rows(viewer, model, model._meta.pk.name, keys)}
    return {change for change in changes if change.primary_key in live}


def _may_view_then(admin: Any, viewer: Viewer, change: Change) -> bool:
    row = change.instance
    return row is None or may_view(admin, viewer.request, row)


def _table(change: Change) -> tuple[str, str]:
    return change.schema, change.table


def _valid(field: Field[Any, Any], keys: Iterable[object]) -> Iterator[Any]:
    """The key may have had another type when the change was stored."""
    for key in keys:
        try:
            yield field.to_python(key)
        except (ValidationError, ValueError):
            continue
