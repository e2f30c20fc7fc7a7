"""The mixin that gives an admin of the project a history, comparison, look back, revert and restore."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from django.contrib import messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.loader import select_template
from django.template.response import TemplateResponse
from django.urls import URLPattern, path

from bemi_orm.access import access
from bemi_orm.admin.comparing import compare_page
from bemi_orm.admin.drafts import editable_fields
from bemi_orm.admin.lookback import as_of_page
from bemi_orm.admin.pages import Visit, admin_url
from bemi_orm.admin.restoring import deleted_page, restore_page
from bemi_orm.admin.reverting import revert_page
from bemi_orm.admin.subjects import find_subject, may_view_subject
from bemi_orm.admin.timeline import timeline_page
from bemi_orm.exceptions import TimeTravelError
from bemi_orm.history.realkeys import fields_of_key, require_key

if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin
    from django.db.models import Model

    _Admin: TypeAlias = ModelAdmin[Any]
else:
    _Admin = object

Page: TypeAlias = Callable[[Visit], HttpResponse]


class BemiHistoryAdminMixin(_Admin):
    """Put it before the class of the admin: `class TodoAdmin(BemiHistoryAdminMixin, admin.ModelAdmin)`.

    The button History of an object then leads to its timeline from the audit trail, and the list has a link
    to what was deleted. Who may view the object may see its history. To revert takes
    `bemi_orm.view_change`, `bemi_orm.revert_change` and the permission to change the object; to restore, that
    to add one instead of the last. Models with a composite key cannot be registered with Django's admin.

    bemi_page_size: changes on a page. bemi_related: whether the timeline has links and children at first.
    """

    bemi_page_size = 25
    bemi_related = False

    def get_urls(self) -> list[URLPattern]:
        """Give the pages of the history before those of the admin.

        `_deleted` cannot be an object: the admin's addresses quote `_` of a key.
        """
        pages: dict[str, tuple[str, Callable[..., HttpResponse]]] = {
            "<path:object_id>/history/compare/": ("history_compare", self._page(compare_page)),
            "<path:object_id>/history/as-of/": ("history_as_of", self._page(as_of_page)),
            "<path:object_id>/history/revert/": ("history_revert", self._page(revert_page)),
            "<path:object_id>/history/log/": ("history_log", self._log_view),
            "_deleted/<path:object_id>/": ("restore", self._page(restore_page)),
            "_deleted/": ("deleted", self._deleted_view),
        }
        prefix = f"{self.opts.app_label}_{self.opts.model_name}"
        own = [
            path(route, self.admin_site.admin_view(view), name=f"{prefix}_{name}")
            for route, (name, view) in pages.items()
        ]
        return [*own, *super().get_urls()]

    def has_bemi_revert_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Whether the user may revert fields of the object."""
        return access().may_revert(request.user) and self.has_change_permission(request, obj)

    def has_bemi_restore_permission(self, request: HttpRequest) -> bool:
        """Whether the user may bring back objects that are gone."""
        return access().may_revert(request.user) and self.has_add_permission(request)

    def get_bemi_revert_fields(self, request: HttpRequest, obj: Model) -> set[str]:
        """Give the fields that the user may revert: those that the form lets them edit.

        So a field that the admin makes read-only for somebody cannot be changed by way of its past.
        """
        return editable_fields(self, request, obj)

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show the timeline of an object, in place of Django's page of the admin's log."""
        if reason := self._reason_for_none(request):
            messages.warning(request, reason)
        elif visit := self._visit(request, object_id):
            return timeline_page(visit, extra_context or {})
        return super().history_view(request, object_id, extra_context)

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Add the link to what was deleted, whatever template the list has."""
        response = super().changelist_view(request, extra_context)
        if isinstance(response, TemplateResponse) and response.context_data is not None:
            names = response.template_name
            parent = select_template([names] if isinstance(names, str) else cast("list[str]", names))
            response.context_data |= {"bemi_parent": parent, "bemi_deleted_url": admin_url(self, "deleted")}
            response.template_name = "admin/bemi_orm/history/change_list.html"
        return response

    def _log_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Show Django's own page."""
        return super().history_view(request, object_id)

    def _deleted_view(self, request: HttpRequest) -> HttpResponse:
        return self._refused(request) or deleted_page(self, request)

    def _refused(self, request: HttpRequest) -> HttpResponse | None:
        reason = self._reason_for_none(request)
        if not reason:
            return None
        messages.error(request, reason)
        return HttpResponseRedirect(admin_url(self, "changelist"))

    def _reason_for_none(self, request: HttpRequest) -> str:
        """Say why objects have no history, to one who may see them; empty where they have."""
        try:
            for model in (self.model, *self.opts.get_parent_list()):
                if key := require_key(model):
                    fields_of_key(model, key)
        except TimeTravelError as error:
            if not self.has_view_or_change_permission(request):
                raise PermissionDenied from None
            return str(error)
        return ""

    def _page(self, page: Page) -> Callable[..., HttpResponse]:
        def view(request: HttpRequest, object_id: str) -> HttpResponse:
            if refused := self._refused(request):
                return refused
            visit = self._visit(request, object_id)
            if visit is None:
                raise Http404
            return page(visit)

        return view

    def _visit(self, request: HttpRequest, object_id: str) -> Visit | None:
        if "\0" in (key := unquote(object_id)):  # which no text of PostgreSQL has
            raise Http404
        subject = find_subject(self, request, key)
        if subject and not may_view_subject(self, request, subject):
            raise PermissionDenied
        return Visit(self, request, subject) if subject else None
