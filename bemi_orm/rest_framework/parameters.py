"""The query parameters of each endpoint, checked as a whole: none is ignored, none is understood by half."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from typing import Any, Final, TypeAlias

from django.http import QueryDict
from django.utils import timezone
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.filters import OrderingFilter
from rest_framework.settings import api_settings

from bemi_orm.facets import COLUMNS

MAX_PAGE_SIZE: Final = 500

FIELDS: Final = (
    "id", "database", "schema", "table", "model", "primary_key", "previous_primary_key", "operation",
    "before", "after", "context", "committed_at", "transaction_id", "position", "ordinal",
)  # fmt: skip
"""What is given of a change by default."""

OPTIONAL_FIELDS: Final = ("diff", "queued_at", "created_at")

MOMENT_HELP: Final = (
    "A time, the id of a change (the moment right after it), or an LSN such as `16/B374D848`."
)

Values: TypeAlias = dict[str, Any]


class FieldNames(serializers.CharField):
    """Names of fields, with commas between them."""

    def to_internal_value(self, data: Any) -> Any:
        """Give the names; those that do not exist are an error."""
        names = super().to_internal_value(data).split(",")
        if unknown := [name for name in names if name not in (*FIELDS, *OPTIONAL_FIELDS)]:
            raise ValidationError(f"No such field: {', '.join(unknown)}. There are: {', '.join(FIELDS)}, "
                                  f"and {', '.join(OPTIONAL_FIELDS)}.")  # fmt: skip
        return tuple(dict.fromkeys(names))


class Parameters(serializers.Serializer[Any]):
    """Parameters of an endpoint that has none."""


class ChangeParameters(Parameters):
    """What is given of a change."""

    fields = FieldNames(  # type: ignore[assignment]
        required=False,
        help_text=f"Only these fields, with commas; beside the usual ones: {', '.join(OPTIONAL_FIELDS)}.",
    )


class PageParameters(Parameters):
    """Which page."""

    cursor = serializers.CharField(required=False, help_text="As `next` and `previous` of a page have it.")
    page_size = serializers.IntegerField(
        default=50, min_value=1, max_value=MAX_PAGE_SIZE, help_text="Results in a page."
    )


class TransactionParameters(ChangeParameters, PageParameters):
    """A page of changes."""


class ListParameters(TransactionParameters):
    """A page of changes, in an order."""

    ordering = serializers.ChoiceField(
        ["-id", "id"], default="-id", help_text="Order of commit: the newest first, or the oldest."
    )
    count = serializers.ChoiceField(
        ["none", "estimate"],
        default="none",
        help_text="`estimate` adds the planner's guess at how many there are, without counting them.",
    )


class DeletedParameters(ListParameters):
    """A page of rows that are gone."""


class DeletedObjectsParameters(PageParameters):
    """A page of objects that are gone; for each, the past is asked."""

    page_size = serializers.IntegerField(
        default=20, min_value=1, max_value=50, help_text="Results in a page, before hidden ones are left out."
    )


class StateParameters(PageParameters):
    """A moment."""

    at = serializers.CharField(max_length=100, help_text=MOMENT_HELP)


class MomentParameters(Parameters):
    """A moment, for one object."""

    at = serializers.CharField(max_length=100, help_text=MOMENT_HELP)


class PlanParameters(Parameters):
    """How a revert would be planned."""

    missing_parents = serializers.ChoiceField(
        ["conflict", "skip", "null", "restore"],
        default="conflict",
        help_text="What to do where a row to restore points to one that is gone.",
    )


class ExportParameters(ChangeParameters):
    """What is exported, and how."""

    form = serializers.ChoiceField(
        ["csv", "jsonl"], default="jsonl", help_text="JSON lines, or CSV with images and context as JSON."
    )
    ordering = serializers.ChoiceField(["id", "-id"], default="id", help_text="Order of commit.")


class FacetParameters(Parameters):
    """What is counted."""

    by = serializers.CharField(
        required=False,
        max_length=500,
        help_text=f"What to count by, at most 5, with commas: {', '.join(COLUMNS)}, `context.` and a path.",
    )
    per = serializers.ChoiceField(
        ["minute", "hour", "day"], required=False, help_text="Counts of each operation over time."
    )
    limit = serializers.IntegerField(
        default=20, min_value=1, max_value=100, help_text="Values of each facet, the most frequent first."
    )
    time_zone = serializers.CharField(
        required=False, max_length=100, help_text="In which hours and days begin; by default the server's."
    )

    def validate_by(self, value: str) -> list[str]:
        """Give the facets."""
        facets = value.split(",")
        if len(facets) > 5:
            raise ValidationError("At most 5 at a time.")
        return facets

    def validate_time_zone(self, value: str) -> Any:
        """Give the zone."""
        from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

        try:
            return ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValidationError(f"There is no time zone {value!r}.") from None

    def validate(self, attrs: Values) -> Values:
        """Fill in what is counted by default."""
        if not attrs.get("by") and not attrs.get("per"):
            attrs["by"] = ["table", "operation"]
        return {"time_zone": timezone.get_current_timezone(), "by": [], "per": None, **attrs}


def read_parameters(data: QueryDict, wanted: type[Parameters], others: Iterable[str] = ()) -> Values:
    """Give the values of an endpoint's parameters; raises ValidationError, which names each that is wrong.

    others: names that are read elsewhere; one that ends in a dot stands for all that begin so.
    """
    parameters = wanted(data=data)
    known = {*parameters.fields, *others, str(api_settings.URL_FORMAT_OVERRIDE)}
    faults = dict(_faults(data, known))
    if not parameters.is_valid():
        faults = {**parameters.errors, **faults}
    if faults:
        raise ValidationError(faults)
    return dict(parameters.validated_data)


def names_of_backends(view: Any) -> Iterator[str]:
    """Give the names of the parameters by which a viewset's filter backends narrow; none of these orders."""
    for backend in (make() for make in view.filter_backends):
        if hasattr(backend, "get_filterset"):
            filterset = backend.get_filterset(view.request, view.get_queryset(), view)
            for name, field in filterset.form.fields.items() if filterset else ():
                yield from _names_of_field(name, field)
        elif hasattr(backend, "get_schema_operation_parameters") and not isinstance(backend, OrderingFilter):
            yield from (described["name"] for described in backend.get_schema_operation_parameters(view))


def _names_of_field(name: str, field: Any) -> Iterator[str]:
    """A range has a parameter for each end."""
    suffixes = getattr(field.widget, "suffixes", None)
    yield from [name] if suffixes is None else (field.widget.suffixed(name, suffix) for suffix in suffixes)


def _faults(data: QueryDict, known: set[str]) -> Iterator[tuple[str, list[str]]]:
    prefixes = tuple(name for name in known if name.endswith("."))
    for name, values in data.lists():
        is_path = "." in name and name.startswith(prefixes) and all(name.split("."))
        if not is_path and name not in known.difference(prefixes):
            close = get_close_matches(name, known, n=1)
            hint = f" Did you mean {close[0]}?" if close else f" There are: {', '.join(sorted(known))}."
            yield name, [f"There is no such parameter.{hint}"]
        elif len(values) > 1:
            yield name, ["Give it once."]
        elif not (values[0] if is_path else values[0].strip()):  # a form would take spaces for no filter
            yield name, ["It is empty. Leave it out, or give it a value."]


def missing(name: str, message: str) -> ValidationError:
    """Give the error for a parameter that is needed."""
    return ValidationError({name: [message]})
