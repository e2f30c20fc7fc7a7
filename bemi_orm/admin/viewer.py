"""What one user of the admin may see: the changes in scope, and what of them is masked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from django.utils.functional import cached_property

from bemi_orm.access import access
from bemi_orm.conf import settings
from bemi_orm.models import Change

if TYPE_CHECKING:
    from django.contrib.admin import AdminSite
    from django.http import HttpRequest

    from bemi_orm.querysets import ChangeQuerySet

RECENT: Final = 5_000
"""So many of the newest changes tell which tables and users a filter offers."""

_ATTRIBUTE: Final = "_bemi_viewer"


class Viewer:
    """A user, with the rules of `BEMI_ACCESS` and `BEMI_MASKED` as they hold for this request.

    site: whose pages they look at, where other objects are shown beside the one that a page is about.
    sees_all: whether the scope leaves out nothing.
    user_path: where the context names the user, as `request.user`; None where that is masked.
    """

    site: AdminSite | None = None

    def __init__(self, request: HttpRequest) -> None:
        rules, user = access(), request.user
        self.request = request
        self.masks = rules.masked(user)
        self.changes: ChangeQuerySet[Change] = rules.scope(user, Change.objects.desc())
        self.sees_all = not self.changes.query.where
        path = settings.USER_KEY.replace("__", ".")
        self.user_path = None if self.masks.names_key(path) else path

    @cached_property
    def recent(self) -> ChangeQuerySet[Change]:
        """Those in scope of the `RECENT` newest changes of all, so that no scope makes this a scan.

        The oldest of them is asked for at once: as a sub-query it would be of an id that the planner does not
        know, and so look like a third of the table.
        """
        ids = Change.objects.order_by("-id").values_list("id", flat=True)[RECENT - 1 : RECENT]
        return self.changes.filter(id__gte=oldest) if (oldest := next(iter(ids), None)) else self.changes


def viewer_of(request: HttpRequest) -> Viewer:
    """Give the viewer that a request has; the rules are asked once."""
    viewer = getattr(request, _ATTRIBUTE, None)
    if viewer is None:
        viewer = Viewer(request)
        setattr(request, _ATTRIBUTE, viewer)
    return cast(Viewer, viewer)
