"""Counts for charts and lists of filters, over a time that is bounded."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, Final

from django.core.exceptions import FieldError
from rest_framework.exceptions import ValidationError

from bemi_orm.clock import local_now
from bemi_orm.facets import Bucket, Count, counts_by, counts_per
from bemi_orm.models import Change
from bemi_orm.querysets import ChangeQuerySet
from bemi_orm.rest_framework.filterfields import path_fault
from bemi_orm.rest_framework.filters import ChangeFilterSet, checked
from bemi_orm.rest_framework.parameters import Values

DEFAULT_PERIOD: Final = timedelta(days=1)
MAX_PERIOD: Final = timedelta(days=366)
"""All changes of the time are read, whatever is counted."""
MAX_BUCKETS: Final = 2_000

_UNITS: Final = {"minute": timedelta(minutes=1), "hour": timedelta(hours=1), "day": timedelta(days=1)}


def count_facets(filterset: ChangeFilterSet, parameters: Values) -> dict[str, Any]:
    """Give the counts, one query each; of the last day, where the filters name no start."""
    times = checked(filterset).form.cleaned_data
    until = times["until"] or local_now()
    since = times["last"] or times["since"] or _day_before(until)
    if until - since > MAX_PERIOD:
        name = "last" if times["last"] else "since"
        raise ValidationError({name: [f"At most {MAX_PERIOD.days} days are counted at a time."]})
    found = filterset.qs.between(since, until)
    return {
        "since": since,
        "until": until,
        "by": dict(_facets(found, parameters, filterset)),
        "per": parameters["per"],
        "buckets": _buckets(found, parameters, since, until),
    }


def _day_before(until: datetime) -> datetime:
    try:
        return until - DEFAULT_PERIOD
    except OverflowError:
        raise ValidationError({"until": ["Too early; give since as well."]}) from None


def _facets(
    changes: ChangeQuerySet[Change], parameters: Values, filterset: ChangeFilterSet
) -> Iterator[tuple[str, list[Count]]]:
    for what in parameters["by"]:
        kind, _, path = what.partition(".")
        if kind == "context" and filterset.masks.names_key(path):
            raise ValidationError({"by": [f"{what} is masked for you."]})
        if fault := path_fault(what):
            raise ValidationError({"by": [fault]})
        try:
            yield what, counts_by(changes, what, parameters["limit"])
        except FieldError as error:
            raise ValidationError({"by": [str(error)]}) from None


def _buckets(
    changes: ChangeQuerySet[Change], parameters: Values, since: datetime, until: datetime
) -> list[Bucket]:
    unit = parameters["per"]
    if unit is None:
        return []
    if (until - since) / _UNITS[unit] > MAX_BUCKETS:
        raise ValidationError({"per": [f"There would be more than {MAX_BUCKETS:,}. Take a shorter time."]})
    return counts_per(changes, unit, since, until, parameters["time_zone"])
