"""The admin of the trail: a list of changes, a page for each, and the activity page; nobody can write."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.contrib.admin.options import ShowFacets
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext

from bemi_orm.access import access
from bemi_orm.admin.activity import activity_response, tail_response
from bemi_orm.admin.changelist import ChangesList
from bemi_orm.admin.detail import detail_context
from bemi_orm.admin.filters import FILTERS, PARAMETERS
from bemi_orm.admin.links import page_url
from bemi_orm.admin.searching import SearchError, search
from bemi_orm.admin.viewer import viewer_of
from bemi_orm.models import Change

if TYPE_CHECKING:
    _ModelAdmin = admin.ModelAdmin[Change]
else:
    _ModelAdmin = admin.ModelAdmin


@admin.register(Change)
class ChangeAdmin(_ModelAdmin):
    """What is stored, for users whom `Access.may_view` lets in; read-only for every one of them.

    To have it on a site of your own: `site.register(Change, ChangeAdmin)`.
    """

    actions = None
    list_display = ("__str__",)
    list_filter = FILTERS
    list_per_page = 50
    search_fields = ("primary_key",)
    search_help_text = gettext_lazy(
        "The key of a row, a value of the context, or where in the context it is: request_id=0b7f, user_id=7."
    )
    show_facets = ShowFacets.NEVER
    show_full_result_count = False
    sortable_by = ()
    change_list_template = "admin/bemi_orm/change/change_list.html"
    change_form_template = "admin/bemi_orm/change/detail.html"

    class Media:
        """One style sheet; the tail of the activity page has the only script."""

        css = {"all": ["bemi_orm/bemi.css"]}

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Show the app to those who may see changes."""
        return access().may_view(request.user)

    def has_view_permission(self, request: HttpRequest, obj: Change | None = None) -> bool:
        """Let in those who may see changes; which ones is up to the scope."""
        return access().may_view(request.user)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Refuse: only the worker writes."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Change | None = None) -> bool:
        """Refuse: only the worker writes."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Change | None = None) -> bool:
        """Refuse: only the worker writes."""
        return False

    def get_queryset(self, request: HttpRequest) -> Any:
        """Give the changes in the user's scope."""
        return viewer_of(request).changes

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangesList]:
        """Give the list that pages by id."""
        return ChangesList

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        """Allow the filters' own parameters: others could ask for masked values, or scan the table."""
        return lookup in PARAMETERS

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show the list."""
        title = capfirst(self.opts.verbose_name_plural)
        return super().changelist_view(request, {"title": title, **(extra_context or {})})

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        """Search as `bemi_orm.admin.searching` says."""
        try:
            return search(queryset, search_term, viewer_of(request)), False
        except SearchError as error:
            messages.error(request, str(error))
            return queryset.none(), False

    def get_urls(self) -> list[URLPattern]:
        """Add the activity page and its tail to Django's own addresses."""
        view = self.admin_site.admin_view
        return [
            path("activity/", view(self.activity_view), name="bemi_orm_change_activity"),
            path("activity/tail/", view(self.tail_view), name="bemi_orm_change_tail"),
            *super().get_urls(),
        ]

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Show one change."""
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET", "HEAD"])
        self._refuse_strangers(request)
        change = self.get_object(request, unquote(object_id))
        if change is None:
            return self._missing(request)
        context = {
            **self.context_for(request, title=pgettext("noun", "Change"), subtitle=str(change)),
            **detail_context(self.admin_site, request, change),
            **(extra_context or {}),
        }
        return TemplateResponse(request, self.change_form_template, context)

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Lead to the change itself: it has no history of its own."""
        return HttpResponseRedirect(page_url(self.admin_site, "change", object_id))

    def activity_view(self, request: HttpRequest) -> HttpResponse:
        """Show what goes on."""
        self._refuse_strangers(request)
        return activity_response(self, request)

    def tail_view(self, request: HttpRequest) -> HttpResponse:
        """Give the newest changes as a part of a page."""
        self._refuse_strangers(request)
        return tail_response(self, request)

    def context_for(self, request: HttpRequest, **values: Any) -> dict[str, Any]:
        """Give what every page of the admin needs, and these values."""
        return {**self.admin_site.each_context(request), "opts": self.opts, "media": self.media, **values}

    def _missing(self, request: HttpRequest) -> HttpResponse:
        messages.warning(request, _("There is no such change, or you may not see it."))
        return HttpResponseRedirect(page_url(self.admin_site, "changelist"))

    def _refuse_strangers(self, request: HttpRequest) -> None:
        if not self.has_view_permission(request):
            raise PermissionDenied
