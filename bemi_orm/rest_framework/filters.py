"""The filters of changes as query parameters; what they do not understand is an error that names it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any, Final, cast

from django import forms
from django.apps import apps
from django.db.models import Model
from django_filters.filters import CharFilter, NumberFilter, UUIDFilter
from django_filters.rest_framework import DjangoFilterBackend, FilterSet
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.views import APIView

from bemi_orm.access import access
from bemi_orm.choices import Operation
from bemi_orm.clock import local_now
from bemi_orm.conf import settings
from bemi_orm.history.conditions import columns_of, images_differ
from bemi_orm.history.tracked import split_table
from bemi_orm.masking import Masks
from bemi_orm.models import Change
from bemi_orm.rest_framework.filterfields import (
    MAX_LENGTH,
    Changes,
    ParsedFilter,
    PathFilter,
    boolean_of,
    column_fault,
    is_path,
    list_of,
    model_of,
    name_of,
    operation_of,
    path_fault,
)
from bemi_orm.rest_framework.moments import moment_of, start_of
from bemi_orm.rest_framework.searching import holds_text
from bemi_orm.transport.tracing import TRACE_ID_KEY
from bemi_orm.values.renames import former_tables

BIGINT: Final = 2**63 - 1


class ChangeFilterSet(FilterSet):
    """All filters of changes: those declared here, and any `context.`, `before.` or `after.` with a path."""

    model = ParsedFilter(
        method="by_model", parse=model_of, help_text="Label of a model, such as `auth.User`."
    )
    schema = CharFilter(max_length=MAX_LENGTH, strip=False, help_text="Schema of the table.")
    table = ParsedFilter(
        method="by_names", parse=list_of(name_of), help_text="Name of a table, or several, with commas."
    )
    primary_key = CharFilter(
        max_length=MAX_LENGTH,
        strip=False,
        help_text="Key of the row; of several columns: their texts as a JSON array.",
    )
    operation = ParsedFilter(
        method="by_names",
        parse=list_of(operation_of),
        help_text="One of CREATE, UPDATE, DELETE, TRUNCATE, SNAPSHOT, or several, with commas.",
    )
    since = ParsedFilter(
        method="by_since",
        parse=moment_of,
        help_text="Committed from then on: ISO 8601, or as `2 days ago`, `yesterday 14:00`.",
    )
    until = ParsedFilter(method="by_until", parse=moment_of, help_text="Committed before then.")
    last = ParsedFilter(
        method="by_since", parse=start_of, help_text="Committed in a period up to now, such as `24h` or `7d`."
    )
    changed = ParsedFilter(
        method="by_changed",
        parse=list_of(name_of),
        help_text="Whose diff names this field (with `model`) or column; one of several, with commas.",
    )
    effective = ParsedFilter(
        method="by_effective",
        parse=boolean_of,
        help_text="`true` leaves out updates that changed nothing, `false` all others.",
    )
    user = CharFilter(
        method="by_user",
        max_length=MAX_LENGTH,
        strip=False,
        help_text="Made by the user with this key (`BEMI_USER_KEY`).",
    )
    trace_id = CharFilter(
        method="by_trace_id", max_length=MAX_LENGTH, strip=False, help_text="Trace id in the context."
    )
    transaction = UUIDFilter(
        method="by_transaction", help_text="In the transaction of the change with this id."
    )
    transaction_id = NumberFilter(
        min_value=0,
        max_value=BIGINT,
        decimal_places=0,
        help_text="PostgreSQL's transaction id; give a time as well.",
    )
    search = CharFilter(
        method="by_search",
        max_length=200,
        strip=False,
        help_text="Text in the key, a value of the row or the context. Needs `last` or `since`, of 31 days.",
    )

    search_limit = timedelta(days=31)
    """The longest time that `search` looks through."""

    class Meta:
        """Every filter is declared."""

        model = Change
        fields: tuple[str, ...] = ()

    def __init__(self, data: Any = None, queryset: Any = None, **options: Any) -> None:
        super().__init__(data, queryset, **options)
        for name in filter(is_path, data or ()):
            self.filters[name] = PathFilter(name)
            self.filters[name].parent = self

    @property
    def masks(self) -> Masks:
        """What the user of the request sees masked; without a request, what anybody does."""
        if self.request is None:
            return Masks.from_setting(settings.MASKED)
        return access().masked(self.request.user)

    def get_form_class(self) -> type[forms.Form]:
        """Check what the filters mean together."""
        filterset = self

        class ChangeForm(super().get_form_class()):  # type: ignore[misc]
            def clean(self) -> Any:
                found = super().clean() or self.cleaned_data
                for name, fault in list(filterset.faults(found)):
                    self.add_error(name, fault)
                return found

        return ChangeForm

    def faults(self, values: dict[str, Any]) -> Iterable[tuple[str, str]]:
        """Give parameter and message for what is wrong beyond single values."""
        masks = self.masks
        for name in filter(is_path, values):
            if fault := path_fault(name):
                yield name, fault
            elif self._is_masked(masks, name, values):
                yield name, "The values are masked for you, so you cannot filter by them."
            elif fault := self._column_fault(name, values):
                yield name, fault
        for name, key in (("user", settings.USER_KEY.replace("__", ".")), ("trace_id", TRACE_ID_KEY)):
            if values.get(name) and masks.names_key(key):
                yield name, "The values are masked for you, so you cannot filter by them."
        for field in values.get("changed") or ():
            model = values.get("model")
            if any(self._names(masks, column, values) for column in (field, *columns_of(model, field))):
                yield "changed", f"{field} is masked for you, so you cannot filter by it."
            elif model and (fault := column_fault(model, field, is_field=True)):
                yield "changed", fault
        if (change_id := values.get("transaction")) and not self.queryset.filter(pk=change_id).exists():
            yield "transaction", f"There is no change {change_id}."
        yield from self._faults_of_times(values)

    def _faults_of_times(self, values: dict[str, Any]) -> Iterable[tuple[str, str]]:
        if values.get("last") and values.get("since"):
            yield "last", "Give either last or since."
        since = values.get("last") or values.get("since")
        until = values.get("until") or local_now()
        if since and since > until:
            yield ("until" if values.get("until") else "since"), "The end comes before the start."
        if values.get("search") and (since is None or until - since > self.search_limit):
            yield "search", f"Give last or since as well: at most {self.search_limit.days} days are searched."

    def _is_masked(self, masks: Masks, name: str, values: dict[str, Any]) -> bool:
        kind, _, path = name.partition(".")
        if kind == "context":
            return masks.names_key(path)
        return self._names(masks, path.split(".")[0], values)

    @staticmethod
    def _column_fault(name: str, values: dict[str, Any]) -> str | None:
        kind, column, *_ = name.split(".")
        model = values.get("model")
        return None if kind == "context" or model is None else column_fault(model, column, is_field=False)

    @staticmethod
    def _names(masks: Masks, column: str, values: dict[str, Any]) -> bool:
        """Masks of other tables do not matter where the query is about these only."""
        tables = set(values.get("table") or ())
        if model := values.get("model"):
            tables = {split_table(model._meta.db_table)[1], *former_tables(model)}
        return any(masks.names(column, table) for table in tables or {None})

    def by_model(self, changes: Changes, name: str, model: type[Model]) -> Changes:
        """Narrow to the model's table; fields are known by the model from here on."""
        return changes.for_model(model)

    def by_names(self, changes: Changes, name: str, names: list[str]) -> Changes:
        """Narrow a column to one of these."""
        return changes.filter(**{f"{name}__in": names})

    def by_since(self, changes: Changes, name: str, moment: Any) -> Changes:
        """Narrow to what was committed from a moment on."""
        return changes.filter(committed_at__gte=moment)

    def by_until(self, changes: Changes, name: str, moment: Any) -> Changes:
        """Narrow to what was committed before a moment."""
        return changes.filter(committed_at__lt=moment)

    def by_changed(self, changes: Changes, name: str, fields: list[str]) -> Changes:
        """Narrow by `ChangeQuerySet.changed`; `model` comes first among the filters."""
        return changes.changed(*fields)

    def by_effective(self, changes: Changes, name: str, value: bool) -> Changes:
        """Narrow by `ChangeQuerySet.effective`, or to what it leaves out."""
        if value:
            return changes.effective()
        return changes.filter(~images_differ(()), operation=Operation.UPDATE)

    def by_user(self, changes: Changes, name: str, key: str) -> Changes:
        """Narrow by `ChangeQuerySet.by_user`."""
        return changes.by_user(key)

    def by_trace_id(self, changes: Changes, name: str, trace_id: str) -> Changes:
        """Narrow to one trace, by the index on the context."""
        return changes.context({TRACE_ID_KEY: trace_id})

    def by_transaction(self, changes: Changes, name: str, change_id: Any) -> Changes:
        """Narrow to the transaction of a change."""
        return changes.in_transaction(self.queryset.get(pk=change_id))

    def by_search(self, changes: Changes, name: str, text: str) -> Changes:
        """Narrow to what holds a text."""
        return changes.filter(holds_text(text, self.masks))


class ChangeFilterBackend(DjangoFilterBackend):
    """Applies `ChangeFilterSet` to lists; a single change is found by its id alone."""

    def filter_queryset(self, request: Request, queryset: Any, view: APIView) -> Any:
        """Filter, or raise ValidationError with the parameter named."""
        if getattr(view, "detail", False):
            return queryset
        return checked(self.get_filterset(request, queryset, view)).qs

    def to_html(self, request: Request, queryset: Any, view: APIView) -> str:
        """Give the form of the page for people; its template comes with the app, which is not needed else."""
        if not apps.is_installed("django_filters"):
            return ""
        return cast(str, super().to_html(request, queryset, view))


def checked(filterset: ChangeFilterSet) -> ChangeFilterSet:
    """Give the filter set if all of it is right; else raise ValidationError with the parameters named.

    django-filter's own translation takes the messages for formats, so a `%` that a user wrote would break it.
    """
    if filterset.errors:
        raise ValidationError({name: list(messages) for name, messages in filterset.errors.items()})
    return filterset


def filter_names(filterset: type[ChangeFilterSet]) -> tuple[str, ...]:
    """Give the names of the declared filters."""
    return tuple(cast(Any, filterset).base_filters)
