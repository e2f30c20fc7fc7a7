"""What the pages of an object's history have in common: addresses in their site, and a frame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import urlencode

from django.contrib.admin.utils import quote
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.text import capfirst
from django.utils.translation import gettext as _

if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin
    from django.db.models import Model

    from bemi_orm.admin.history import BemiHistoryAdminMixin
    from bemi_orm.admin.subjects import Subject

HistoryAdmin: TypeAlias = "BemiHistoryAdminMixin"


@dataclass(frozen=True, slots=True)
class Visit:
    """A request for one of the pages of an object."""

    admin: HistoryAdmin
    request: HttpRequest
    subject: Subject

    def url(self, name: str, **query: object) -> str:
        """Give the address of a page of the object."""
        return admin_url(self.admin, name, self.subject.instance.pk, **query)

    def render(self, name: str, title: str, *, status: int = 200, **context: Any) -> TemplateResponse:
        """Give a page of the object; see `render_page`."""
        frame = {"subject": self.subject, "history_url": self.url("history")}
        return render_page(self.admin, self.request, name, title, status=status, **{**frame, **context})


def admin_url(admin: ModelAdmin[Any], name: str, *keys: object, **query: object) -> str:
    """Give the address of a page of this admin in its own site; name: as `history`; query: after the `?`."""
    options = admin.opts
    path = reverse(
        f"admin:{options.app_label}_{options.model_name}_{name}",
        args=[quote(str(key)) for key in keys],
        current_app=admin.admin_site.name,
    )
    return f"{path}?{urlencode(query)}" if query else path


def render_page(
    admin: ModelAdmin[Any], request: HttpRequest, name: str, title: str, *, status: int = 200, **context: Any
) -> TemplateResponse:
    """Give a page in the frame of the admin's site; name: of a template in `admin/bemi_orm/history/`."""
    request.current_app = admin.admin_site.name
    frame = {
        **admin.admin_site.each_context(request),
        "title": title,
        "subtitle": None,
        "opts": admin.opts,
        "module_name": capfirst(str(admin.opts.verbose_name_plural)),
        "deleted_url": admin_url(admin, "deleted"),
        "changelist_url": admin_url(admin, "changelist"),
    }
    template = f"admin/bemi_orm/history/{name}.html"
    return TemplateResponse(request, template, {**frame, **context}, status=status)


def name_of(instance: Model) -> str:
    """Give the text of an instance, of a past one too; its kind and key where its `__str__` needs more.

    `__str__` is the project's: a value that is masked or not known may make it fail in any way.
    """
    try:
        return str(instance) or "—"
    except Exception:
        name = capfirst(str(instance._meta.verbose_name))
        return _("%(name)s %(key)s") % {"name": name, "key": instance.pk}
