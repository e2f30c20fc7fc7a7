"""Counts of changes: what a chart or a list of filters needs, one query each."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

from django.core.exceptions import FieldError
from django.db.models import Count as CountRows
from django.db.models import DateTimeField, F, Func, Value

from bemi_orm.fields import ContextField

if TYPE_CHECKING:
    from django.db.models.expressions import Combinable

    from bemi_orm.models import Change
    from bemi_orm.querysets import ChangeQuerySet

Unit = Literal["minute", "hour", "day"]

COLUMNS: Final = ("database", "schema", "table", "operation")
"""What changes can be counted by, beside `context.` and a path."""


@dataclass(frozen=True, slots=True)
class Count:
    """So many changes have this value; None for those whose context lacks the path."""

    value: Any
    count: int


@dataclass(frozen=True, slots=True)
class Bucket:
    """So many changes of an operation were committed in the minute, hour or day that begins at `start`."""

    start: datetime
    operation: str
    count: int


class _Truncated(Func):
    """PostgreSQL's own, as it knows both hours that a clock set back has."""

    function = "date_trunc"
    output_field = DateTimeField()


class _AtPath(Func):
    """A context without the path, and one with null there, are one group; a place in a list is a number."""

    template = "NULLIF(jsonb_extract_path(%(expressions)s), 'null'::jsonb)"
    output_field = ContextField()


def counts_by(changes: ChangeQuerySet[Change], what: str, limit: int = 20) -> list[Count]:
    """Give the most frequent values with their counts, the largest first.

    changes: narrow them in time, as all of them are read.
    what: `table`, `operation`, `schema`, `database`, or a path of the context such as `context.user_id`;
        whether that is masked is the caller's business.
    limit: of values. Raises FieldError for anything else.
    """
    counted = changes.order_by().values(value=_expression(what)).annotate(count=CountRows("*"))
    return [Count(row["value"], row["count"]) for row in counted.order_by("-count", "value")[:limit]]


def counts_per(
    changes: ChangeQuerySet[Change], unit: Unit, start: datetime, end: datetime, tzinfo: tzinfo
) -> list[Bucket]:
    """Give the counts of each operation per unit of time, the oldest first; empty buckets are left out.

    start, end: aware; the changes are those from `start` on and before `end`. tzinfo: in which hours and days
    begin, and in which each bucket's start is given.
    """
    if unit not in get_args(Unit):
        raise FieldError(f"No counts per {unit!r}. There are: {', '.join(get_args(Unit))}.")
    begin = _Truncated(Value(unit), F("committed_at"), Value(_zone_name(tzinfo)))
    rows = changes.between(start, end).order_by().values("operation", start=begin)
    counted = rows.annotate(count=CountRows("*")).order_by("start", "operation")
    return [Bucket(row["start"].astimezone(tzinfo), row["operation"], row["count"]) for row in counted]


def _expression(what: str) -> Combinable:
    kind, _, path = what.partition(".")
    if kind == "context" and path and all(path.split(".")):
        return _AtPath(F("context"), *map(Value, path.split(".")))
    if what in COLUMNS:
        return F(what)
    raise FieldError(f"No counts by {what!r}. There are: {', '.join(COLUMNS)}, and context. with a path.")


def _zone_name(zone: tzinfo) -> str:
    """Give the zone's name; an offset as POSIX has it, where positive is west (manual, "Time Zones")."""
    if name := getattr(zone, "key", None):
        return str(name)
    offset = zone.utcoffset(None) or timedelta(0)
    minutes = -int(offset.total_seconds()) // 60
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"
