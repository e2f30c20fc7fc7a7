"""The timeline of an object: its changes by transaction, with what the admin's log says of each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import reduce
from itertools import groupby
from operator import or_
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from django.contrib.admin.models import LogEntry
from django.contrib.admin.options import get_content_type_for_model
from django.db.models import ManyToManyRel, Q
from django.http import Http404, HttpResponse
from django.utils.translation import gettext as _

from bemi_orm.admin.lines import ContextLine, DiffLine, context_lines, diff_lines
from bemi_orm.admin.naming import with_names
from bemi_orm.admin.neighbours import may_view_model, without_hidden
from bemi_orm.admin.pages import Visit, name_of
from bemi_orm.admin.rows import ChangeRow, change_rows
from bemi_orm.admin.subjects import Subject
from bemi_orm.history.locations import locate
from bemi_orm.history.moments import Bound
from bemi_orm.history.rowstates import until
from bemi_orm.models import Change
from bemi_orm.rows import MAX_ORDINAL, MAX_SOURCE_HASH, change_id_bytes
from bemi_orm.values.instances import instance_from

if TYPE_CHECKING:
    from bemi_orm.querysets import ChangeQuerySet

STOPS: Final = 200
"""So many of the newest moments of an object a slider has."""


@dataclass(frozen=True, slots=True)
class Item:
    """One change of an entry; is_own: of the object itself, not of a row beside it."""

    row: ChangeRow
    lines: tuple[DiffLine, ...]
    context: tuple[ContextLine, ...]
    is_own: bool


@dataclass(frozen=True, slots=True)
class Entry:
    """What one transaction did, or the part of it on this page; messages: of the admin's log."""

    items: tuple[Item, ...]
    messages: tuple[str, ...]

    @property
    def row(self) -> ChangeRow:
        """The last change of it, which stands for all: who, when, and where."""
        return self.items[0].row


@dataclass(frozen=True, slots=True)
class Timeline:
    """A page of entries, the newest first; older: what `read_timeline` takes for the next, if any."""

    entries: tuple[Entry, ...]
    older: str
    is_newest: bool


def timeline_page(visit: Visit, extra: dict[str, Any]) -> HttpResponse:
    """Show a page of the history; `related` and `older` of the address are as for `read_timeline`."""
    asked, subject = visit.request.GET, visit.subject
    related = asked.get("related", str(int(visit.admin.bemi_related))) == "1"
    timeline = read_timeline(visit, place=asked.get("older", ""), related=related)
    names = {"compare": "history_compare", "as_of": "history_as_of", "revert": "history_revert"}
    names |= {"restore": "restore"} if subject.ending else {"change": "change", "log": "history_log"}
    rights = {
        "may_revert": not subject.ending
        and visit.admin.has_bemi_revert_permission(visit.request, subject.instance),
        "may_restore": subject.ending and visit.admin.has_bemi_restore_permission(visit.request),
    }
    urls = {f"{name}_url": visit.url(page) for name, page in names.items()}
    context = {"timeline": timeline, "related": related, "history_url": "", **urls, **rights, **extra}
    title = _("History of %(name)s") % {"name": name_of(subject.instance)}
    return visit.render("timeline", title, here=_("History"), **context)


def read_timeline(visit: Visit, *, place: str = "", related: bool = False) -> Timeline:
    """Give a page of the object's history, in a number of queries that does not grow with it.

    place: empty for the newest page, else `older` of another one. related: with links to other objects, and
        with rows that point to it, of models that the user may see.
    Raises Http404 for a place that is none.
    """
    subject, size = visit.subject, visit.admin.bemi_page_size
    changes = related_changes(subject) if related else subject.changes()
    found = list(changes.filter(_read_place(place)).order_by("-position", "-ordinal")[: size + 1])
    page = found[:size]
    older = f"{page[-1].position}.{page[-1].ordinal}" if len(found) > size else ""
    own = {locate(part).table for part in subject.parts}
    seen = without_hidden((change for change in page if change.table not in own), subject.viewer)
    page = [change for change in page if change.table in own or change in seen]
    messages = _log_messages(subject, page)
    by_transaction = groupby(_items(subject, page), lambda item: item.row.change.position)
    entries = (Entry(tuple(items), messages.get(position, ())) for position, items in by_transaction)
    return Timeline(tuple(entries), older, not place)


def related_changes(subject: Subject) -> ChangeQuerySet[Change]:
    """Give the object's changes, and those of links and children whose models the user may see."""
    changes = subject.viewer.changes.for_instance(subject.instance, m2m=True, related=True)
    hidden = [locate(model).table for model in _hidden_models(subject)]
    return subject.changes() | subject.since_start(changes.exclude(table__in=hidden))


def stops_of(subject: Subject) -> list[tuple[UUID, datetime]]:
    """Give the newest moments at which the object changed, the oldest first, for a slider."""
    changes = subject.changes().order_by("-position", "-ordinal")
    return list(changes.values_list("pk", "committed_at")[:STOPS])[::-1]


def _read_place(place: str) -> Q:
    """Go by position and ordinal, as the index of a row's changes does; the order is that of ids."""
    if not place:
        return Q()
    try:
        position, ordinal = map(int, place.split("."))
    except ValueError:
        raise Http404 from None
    return Q(position__lte=position) & until(Bound(position, ordinal - 1))


def _items(subject: Subject, page: list[Change]) -> Iterator[Item]:
    masks = subject.viewer.masks
    own = {locate(part).table for part in subject.parts}
    rows = change_rows(page, subject.viewer)
    diffs = with_names(
        ((row.change.row_model, diff_lines(row.change, masks)) for row in rows), subject.viewer
    )
    for row, lines in zip(rows, diffs, strict=True):
        yield Item(row, lines, context_lines(row.change.context, masks), row.change.table in own)


def _hidden_models(subject: Subject) -> Iterator[type[Any]]:
    """Rows of other models ask for a permission; so do links that are a field of another model's form."""
    for relation in type(subject.instance)._meta.get_fields(include_hidden=True):
        model: Any = getattr(relation, "through", None) or (relation.auto_created and relation.related_model)
        if not isinstance(model, type) or model in subject.parts:
            continue
        shown: Any = relation.related_model if isinstance(relation, ManyToManyRel) else model
        if shown._meta.auto_created or may_view_model(subject.viewer, shown):
            continue
        yield model


def _log_messages(subject: Subject, page: list[Change]) -> dict[int, tuple[str, ...]]:
    """Find entries of the admin's log by the transaction, as the admin writes them in that of the change."""
    if not page:
        return {}
    content_type = get_content_type_for_model(subject.instance)
    image = {"content_type_id": content_type.pk, "object_id": str(subject.instance.pk)}
    positions = {change.position for change in page}
    entries = subject.viewer.changes.for_model(LogEntry).filter(
        reduce(or_, map(_ids_at, positions)), after__contains=image
    )
    found = defaultdict[int, list[str]](list)
    for entry in entries.order_by("id"):
        shown = subject.viewer.masks.image(entry.schema, entry.table, entry.after)
        found[entry.position].append(instance_from(LogEntry, shown).get_change_message())
    return {position: tuple(filter(None, texts)) for position, texts in found.items()}


def _ids_at(position: int) -> Q:
    first, last = (position, 0, 0), (position, MAX_ORDINAL, MAX_SOURCE_HASH)
    return Q(id__range=(UUID(bytes=change_id_bytes(*first)), UUID(bytes=change_id_bytes(*last))))
