"""Addresses of what a change is about, in the admin site that shows it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlencode

from django.contrib.admin import AdminSite, ModelAdmin
from django.contrib.admin.utils import quote
from django.core.exceptions import ValidationError
from django.db.models import Model
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse

from bemi_orm.admin.hiding import hiding
from bemi_orm.admin.pages import name_of
from bemi_orm.admin.viewer import viewer_of

if TYPE_CHECKING:
    from bemi_orm.models import Change


class Link(NamedTuple):
    """An address, and the text to click on."""

    url: str
    text: str


def page_url(site: AdminSite, name: str, *args: str) -> str:
    """Give the address of a page of the changes' admin: `changelist`, `change`, `activity` or `tail`."""
    return reverse(f"admin:bemi_orm_change_{name}", args=args, current_app=site.name)


def changes_url(site: AdminSite, **filters: str | None) -> str:
    """Give the address of the list of changes, narrowed by these parameters of its filters."""
    wanted = {name: value for name, value in filters.items() if value is not None}
    return f"{page_url(site, 'changelist')}?{urlencode(wanted)}"


def change_url(site: AdminSite, change: Change) -> str:
    """Give the address of the page of one change."""
    return page_url(site, "change", str(change.pk))


def object_links(site: AdminSite, request: HttpRequest, change: Change) -> tuple[Link, str] | None:
    """Give the row's own page, and the address of its history page there; in one query.

    None where the row is gone, or this site has no admin for its model, or this user may not see it there.
    """
    model = change.row_model
    admin = None if model is None else registered_admin(site, model)
    row = None if admin is None else _find_row(admin, request, change.primary_key)
    if row is None or admin is None:
        return None
    with hiding([row], viewer_of(request).masks):
        return _links_of(admin, row)


def object_url(site: AdminSite, request: HttpRequest, row: Model) -> str | None:
    """Give the address of an object's own page, without a query; None where this user has none."""
    admin = registered_admin(site, type(row))
    if admin is None or not admin.has_view_or_change_permission(request, row):
        return None
    links = _links_of(admin, row)
    return links[0].url if links else None


def registered_admin(site: AdminSite, model: type[Model]) -> ModelAdmin[Any] | None:
    """Give the admin of a model on this site, if it has one."""
    return site.get_model_admin(model) if site.is_registered(model) else None


def _find_row(admin: ModelAdmin[Any], request: HttpRequest, key: str | None) -> Model | None:
    if key is None or not admin.has_view_or_change_permission(request):
        return None
    try:
        row: Model | None = admin.get_queryset(request).filter(pk=key).first()
    except (ValueError, ValidationError):  # the model's key has another type by now
        return None
    return row if row is not None and admin.has_view_or_change_permission(request, row) else None


def _links_of(admin: ModelAdmin[Any], row: Model) -> tuple[Link, str] | None:
    name, key = f"admin:{row._meta.app_label}_{row._meta.model_name}", quote(row.pk)
    try:
        url, history = (
            reverse(f"{name}_{page}", args=[key], current_app=admin.admin_site.name)
            for page in ("change", "history")
        )
    except NoReverseMatch:  # an admin with addresses of its own
        return None
    return Link(url, name_of(row)), history
