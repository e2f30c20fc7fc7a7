"""The activity page: how many changes there were of late, where and by whom, and the newest as they come."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseNotModified
from django.template.response import TemplateResponse
from django.utils.formats import date_format
from django.utils.http import parse_etags, quote_etag
from django.utils.timezone import get_current_timezone
from django.utils.translation import gettext as _

from bemi_orm.admin.charts import Chart, stacked_chart
from bemi_orm.admin.filters import PERIODS
from bemi_orm.admin.lines import OPERATION_LABELS, OPERATION_SIGNS
from bemi_orm.admin.links import changes_url, page_url
from bemi_orm.admin.people import counts_by_key, people_of
from bemi_orm.admin.rows import change_rows
from bemi_orm.admin.timescale import TimeScale, time_scale
from bemi_orm.admin.viewer import Viewer, viewer_of
from bemi_orm.clock import local_now
from bemi_orm.facets import counts_by, counts_per

if TYPE_CHECKING:
    from bemi_orm.admin.changes import ChangeAdmin
    from bemi_orm.models import Change
    from bemi_orm.querysets import ChangeQuerySet

DEFAULT_PERIOD: Final = "24h"
TAIL_LENGTH: Final = 20
TOP_LENGTH: Final = 10
_FORMATS: Final = {
    "minute": ("TIME_FORMAT", "TIME_FORMAT"),
    "hour": ("TIME_FORMAT", "DATETIME_FORMAT"),
    "day": ("MONTH_DAY_FORMAT", "DATE_FORMAT"),
}
"""Of a slot's start at the axis, and where there is room."""


class Top(NamedTuple):
    """A line of a table of the most frequent; share: of the largest count, in percent."""

    label: str
    url: str
    changes: int
    share: int


def activity_response(admin: ChangeAdmin, request: HttpRequest) -> HttpResponse:
    """Show the page for the period that the address names; three queries give the numbers."""
    viewer = viewer_of(request)
    period, scale = _period(request)
    changes = viewer.changes.between(scale.start, scale.end)
    chart = activity_chart(viewer.changes, scale)
    context = admin.context_for(
        request,
        title=_("Activity"),
        period=period,
        periods=PERIODS.items(),
        scale=scale,
        chart=chart,
        legend=[(each.lower(), OPERATION_LABELS[each], OPERATION_SIGNS[each]) for each in chart.operations],
        tables=_top_tables(admin, changes),
        people=_top_people(admin, changes, viewer, period),
        changes_url=page_url(admin.admin_site, "changelist"),
        period_url=changes_url(admin.admin_site, last=period),
        **tail_context(admin, viewer),
    )
    return TemplateResponse(request, "admin/bemi_orm/change/activity.html", context)


def tail_response(admin: ChangeAdmin, request: HttpRequest) -> HttpResponse:
    """Give the newest changes as HTML; 304, after one query, where the caller has them (RFC 9110, 13.1.2)."""
    viewer = viewer_of(request)
    newest = viewer.changes.order_by("-id").values_list("id", flat=True).first()
    etag = quote_etag(str(newest or ""))
    known = parse_etags(request.headers.get("If-None-Match", ""))
    if etag in (each.removeprefix("W/") for each in known):  # compression makes it a weak one
        return HttpResponseNotModified(headers={"ETag": etag})
    context = tail_context(admin, viewer)
    return TemplateResponse(
        request, "admin/bemi_orm/change/_tail.html", context, headers={"ETag": context["tail_etag"]}
    )


def tail_context(admin: ChangeAdmin, viewer: Viewer) -> dict[str, Any]:
    """Give what `_tail.html` shows."""
    rows = change_rows(viewer.changes.order_by("-id")[:TAIL_LENGTH], viewer)
    return {
        "rows": rows,
        "tail_url": page_url(admin.admin_site, "tail"),
        "tail_etag": quote_etag(str(rows[0].change.pk) if rows else ""),
    }


def activity_chart(changes: ChangeQuerySet[Change], scale: TimeScale) -> Chart:
    """Count and lay out, in one query."""
    slots = scale.slots()
    short, long = _FORMATS[scale.unit]
    labels = [(date_format(slot, short), date_format(slot, long)) for slot in slots]
    buckets = counts_per(changes, scale.unit, scale.start, scale.end, get_current_timezone())
    return stacked_chart(slots, labels, buckets)


def _period(request: HttpRequest) -> tuple[str, TimeScale]:
    """A period that makes no sense is said to be wrong, and gives way to the usual one."""
    now = local_now()
    period = request.GET.get("last", DEFAULT_PERIOD)
    try:
        return period, time_scale(period, now)
    except ValueError as error:
        messages.error(request, str(error))
        return DEFAULT_PERIOD, time_scale(DEFAULT_PERIOD, now)


def _top_tables(admin: ChangeAdmin, changes: ChangeQuerySet[Change]) -> list[Top]:
    counts = counts_by(changes, "table", TOP_LENGTH)
    found = [
        (str(each.value), changes_url(admin.admin_site, table=str(each.value)), each.count) for each in counts
    ]
    return _with_shares(found)


def _top_people(
    admin: ChangeAdmin, changes: ChangeQuerySet[Change], viewer: Viewer, period: str
) -> list[Top] | None:
    """None where the user of a change is masked."""
    if viewer.user_path is None:
        return None
    counts = counts_by_key(changes, viewer.user_path, TOP_LENGTH)
    people = people_of((key for key, _count in counts), viewer)
    found = []
    for key, count in counts:
        url = changes_url(admin.admin_site, user=key, last=period) if key is not None else ""
        found.append((people[key].label if key is not None else _("no user named"), url, count))
    return _with_shares(found)


def _with_shares(found: list[tuple[str, str, int]]) -> list[Top]:
    largest = max((count for *_rest, count in found), default=1)
    return [Top(label, url, count, round(100 * count / largest)) for label, url, count in found]
