"""Filters of the list of changes; what they offer comes from an index, or from the newest changes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from django.contrib import messages
from django.contrib.admin import SimpleListFilter
from django.db.models import Q
from django.http import HttpRequest
from django.utils.timezone import now
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from bemi_orm.admin.dates import parse_span
from bemi_orm.admin.lines import OPERATION_LABELS
from bemi_orm.admin.people import people_of
from bemi_orm.admin.tables import MAX_NAMES, changed_tables
from bemi_orm.admin.viewer import Viewer, viewer_of
from bemi_orm.facets import counts_by
from bemi_orm.models import Change
from bemi_orm.periods import parse_period

if TYPE_CHECKING:
    from bemi_orm.querysets import ChangeQuerySet

Changes = Any  # what Django hands to a filter; it is our queryset
Choices = Iterator[tuple[str, str]]

NUL: Final = "\0"
"""PostgreSQL has no text with this character, and its drivers refuse to ask for one."""

PERIODS: Final = {
    "1h": gettext_lazy("Last hour"),
    "24h": gettext_lazy("Last 24 hours"),
    "7d": gettext_lazy("Last 7 days"),
    "30d": gettext_lazy("Last 30 days"),
}


class ChangeFilter(SimpleListFilter):
    """A filter by one parameter of the address; a value that makes no sense gives nothing, and says so."""

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Give the choices, and the value that is in force where it is none of them."""
        viewer = viewer_of(request)
        choices = dict(self.offers(viewer))
        value = self.value()
        if value is not None and value not in choices:
            choices[value] = value if NUL in value else self.text_of(value, viewer)
        return list(choices.items())

    def queryset(self, request: HttpRequest, queryset: Changes) -> Changes:
        """Narrow the changes; none, and a message, for a value that makes no sense."""
        value = self.value()
        if value is None:
            return queryset
        try:
            if NUL in value:
                raise ValueError(_("There is a character in it that no value can have."))
            return self.narrow(queryset, value, request)
        except (ValueError, OverflowError) as error:
            messages.error(request, f"{self.title}: {error}")
            return queryset.none()

    def offers(self, viewer: Viewer) -> Choices:
        """Give values with their texts; none: the filter is only shown while it is in force."""
        yield from ()

    def text_of(self, value: str, viewer: Viewer) -> str:
        """Give the text of a value that is in force and not offered."""
        return value

    def narrow(self, changes: ChangeQuerySet[Change], value: str, request: HttpRequest) -> Changes:
        """Narrow the changes; raises ValueError for a value that makes no sense."""
        raise NotImplementedError


class TableFilter(ChangeFilter):
    """By table, by its name alone."""

    title = gettext_lazy("table")
    parameter_name = "table"

    def offers(self, viewer: Viewer) -> Choices:
        """Give all tables, in the order of their names; in a scope those that changed of late."""
        counts = () if viewer.sees_all else counts_by(viewer.recent, "table", MAX_NAMES)
        names = changed_tables() if viewer.sees_all else sorted(count.value for count in counts)
        yield from zip(names, names, strict=True)

    def narrow(self, changes: ChangeQuerySet[Change], value: str, request: HttpRequest) -> Changes:
        """Keep the changes of a table; in two halves, as each of the two indexes that serve it has one."""
        named = changes.for_table(value)
        return named.filter(Q(primary_key_int__isnull=False) | Q(primary_key_int__isnull=True))


class OperationFilter(ChangeFilter):
    """By what was done."""

    title = gettext_lazy("operation")
    parameter_name = "operation"

    def offers(self, viewer: Viewer) -> Choices:
        """Give all operations."""
        yield from ((str(operation), str(label)) for operation, label in OPERATION_LABELS.items())

    def narrow(self, changes: ChangeQuerySet[Change], value: str, request: HttpRequest) -> Changes:
        """Keep the changes of an operation."""
        if value not in Change.Operation:
            raise ValueError(_("There is no such operation."))
        return changes.filter(operation=value)


class UserFilter(ChangeFilter):
    """By the user in the context; offers those of the newest changes. Not there where the user is masked."""

    title = gettext_lazy("user")
    parameter_name = "user"

    def offers(self, viewer: Viewer) -> Choices:
        """Give the users that changed most of late, deleted ones too."""
        if viewer.user_path is None:
            return
        counts = counts_by(viewer.recent, f"context.{viewer.user_path}")
        people = people_of((count.value for count in counts), viewer)
        yield from (
            (person.key, person.label) for person in sorted(people.values(), key=lambda one: one.label)
        )

    def text_of(self, value: str, viewer: Viewer) -> str:
        """Give the user's name; in a scope only of one who changed something in it, else all are told."""
        if viewer.user_path is None or not (viewer.sees_all or viewer.changes.by_user(value).exists()):
            return value
        return people_of([value], viewer)[value].label

    def narrow(self, changes: ChangeQuerySet[Change], value: str, request: HttpRequest) -> Changes:
        """Keep the changes of a user, from the index of the context."""
        if viewer_of(request).user_path is None:
            raise ValueError(_("It is masked, and cannot be searched for."))
        return changes.by_user(value)


class PeriodFilter(ChangeFilter):
    """By how long ago; the address takes any span, such as `last=90m`."""

    title = gettext_lazy("period")
    parameter_name = "last"

    def offers(self, viewer: Viewer) -> Choices:
        """Give usual periods."""
        yield from ((period, str(label)) for period, label in PERIODS.items())

    def narrow(self, changes: ChangeQuerySet[Change], value: str, request: HttpRequest) -> Changes:
        """Keep the changes that were committed since."""
        span: timedelta = parse_period(value)
        return changes.filter(committed_at__gte=now() - span)


class DateFilter(ChangeFilter):
    """By year, month or day, in the current time zone; the line of dates above the list leads to it."""

    title = gettext_lazy("date")
    parameter_name = "date"

    def narrow(self, changes: ChangeQuerySet[Change], value: str, request: HttpRequest) -> Changes:
        """Keep what was committed then."""
        return changes.between(*parse_span(value).moments())


class KeyFilter(ChangeFilter):
    """By the key of a row, as the trail has it."""

    title = gettext_lazy("key")
    parameter_name = "key"

    def narrow(self, changes: ChangeQuerySet[Change], value: str, request: HttpRequest) -> Changes:
        """Keep the changes of rows with this key."""
        return changes.filter(primary_key=value)


class TransactionFilter(ChangeFilter):
    """By transaction: that of a change, which the address names."""

    title = gettext_lazy("transaction")
    parameter_name = "transaction"

    def narrow(self, changes: ChangeQuerySet[Change], value: str, request: HttpRequest) -> Changes:
        """Keep what was committed together with a change that the user may see."""
        change = viewer_of(request).changes.filter(id=UUID(value)).first()
        if change is None:
            raise ValueError(_("There is no such change."))
        return changes.in_transaction(change)


FILTERS: Final = (
    TableFilter, OperationFilter, UserFilter, PeriodFilter, DateFilter, KeyFilter, TransactionFilter,
)  # fmt: skip

PARAMETERS: Final = frozenset(each.parameter_name for each in FILTERS)
"""What the address of the list may narrow it by, beside what the search box holds."""
