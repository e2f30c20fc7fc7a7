"""The page of one change: its whole diff, what stayed the same, its context, and where to go from it."""

from __future__ import annotations

from typing import Any

from django.contrib.admin import AdminSite
from django.http import HttpRequest

from bemi_orm.admin.lines import DiffLine, context_lines, diff_lines, lines_of
from bemi_orm.admin.links import changes_url, object_links, object_url, page_url
from bemi_orm.admin.rows import change_rows
from bemi_orm.admin.viewer import Viewer, viewer_of
from bemi_orm.choices import Operation
from bemi_orm.diffing import FieldChange
from bemi_orm.models import Change
from bemi_orm.values.fielddiffs import read_row


def detail_context(site: AdminSite, request: HttpRequest, change: Change) -> dict[str, Any]:
    """Give what the template of the page shows; two queries at most, and one of the object's own admin."""
    viewer = viewer_of(request)
    [row] = change_rows([change], viewer)
    return {
        "row": row,
        "change": change,
        "lines": diff_lines(change, viewer.masks),
        "unchanged": unchanged_lines(change, viewer),
        "context_lines": context_lines(change.context, viewer.masks),
        "search_url": page_url(site, "changelist"),
        **_links(site, request, change, row.person),
    }


def unchanged_lines(change: Change, viewer: Viewer) -> tuple[DiffLine, ...]:
    """Give the fields that an UPDATE left as they were; none for another operation."""
    if change.operation != Operation.UPDATE:
        return ()
    changed = {part.field for part in change.diff()}
    row = read_row(change.row_model, change.after)
    same = [FieldChange(name, value, value) for name, value in row.items() if name not in changed]
    return lines_of(change.row_model, viewer.masks.diff(change, same))


def _links(site: AdminSite, request: HttpRequest, change: Change, person: Any) -> dict[str, Any]:
    link, timeline_url = object_links(site, request, change) or (None, None)
    return {
        "object_link": link,
        "timeline_url": timeline_url,
        "row_url": changes_url(site, table=change.table, key=change.primary_key)
        if change.primary_key
        else None,
        "table_url": changes_url(site, table=change.table),
        "transaction_url": changes_url(site, transaction=str(change.pk)),
        "user_changes_url": changes_url(site, user=person.key) if person else None,
        "user_url": object_url(site, request, person.user) if person and person.user else None,
    }
