"""Counts of changes."""

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from django.core.exceptions import FieldError

from bemi_orm import Change
from bemi_orm.facets import Bucket, Count, counts_by, counts_per
from tests.integration.rows import store

pytestmark = pytest.mark.django_db


def changes():
    return Change.objects.all()


def test_counts_are_the_largest_first_in_one_query(django_assert_num_queries):
    for table, count in (("a", 2), ("b", 3), ("c", 2)):
        for _ in range(count):
            store(table=table)
    with django_assert_num_queries(1):
        assert counts_by(changes().desc(), "table") == [Count("b", 3), Count("a", 2), Count("c", 2)]
    assert counts_by(changes(), "table", limit=1) == [Count("b", 3)]
    assert counts_by(changes().for_table("a"), "table") == [Count("a", 2)]


def test_counts_by_operation():
    store(operation="DELETE")
    store(operation="UPDATE")
    assert counts_by(changes(), "operation") == [Count("DELETE", 1), Count("UPDATE", 1)]


def test_counts_by_a_path_of_the_context_keep_types_and_know_nothing_from_null():
    for context in (
        {"user_id": 1},
        {"user_id": 1},
        {"user_id": "1"},
        {},
        {"user_id": None},
        {"user_id": None},
    ):
        store(context=context)
    found = counts_by(changes(), "context.user_id")
    assert found[0] == Count(None, 3)
    assert found[1] == Count(1, 2)
    assert found[2] == Count("1", 1)
    store(context={"a__b": {"c.d": 1, "contains": [1]}, "42": {"99999999999": "far"}})
    assert Count([1], 1) in counts_by(changes(), "context.a__b.contains")
    assert Count(1, 1) in counts_by(changes(), "context.a__b.contains.0")
    assert Count("far", 1) in counts_by(changes(), "context.42.99999999999")


@pytest.mark.parametrize(
    "what", ["before", "id", "", "context", "context.", "context.a..b", "table__x", "tbale"]
)
def test_counts_by_anything_else_are_refused(what):
    with pytest.raises(FieldError, match="There are: database, schema, table, operation, and context"):
        counts_by(changes(), what)


def test_counts_per_hour_leave_out_what_is_empty(django_assert_num_queries):
    start = datetime(2026, 1, 1, tzinfo=UTC)
    for minutes, operation in (
        (0, "CREATE"),
        (59, "CREATE"),
        (60, "DELETE"),
        (200, "CREATE"),
        (300, "CREATE"),
    ):
        store(operation=operation, committed_at=start + timedelta(minutes=minutes))
    with django_assert_num_queries(1):
        found = counts_per(changes(), "hour", start, start + timedelta(hours=5), UTC)
    assert found == [
        Bucket(start, "CREATE", 2),
        Bucket(start + timedelta(hours=1), "DELETE", 1),
        Bucket(start + timedelta(hours=3), "CREATE", 1),
    ]


@pytest.mark.parametrize(
    ("zone", "first_day"),
    [
        (ZoneInfo("Asia/Kolkata"), "2026-01-01T00:00:00+05:30"),
        (timezone(timedelta(hours=5, minutes=30)), "2026-01-01T00:00:00+05:30"),
        (timezone(-timedelta(hours=9, minutes=30)), "2025-12-31T00:00:00-09:30"),
        (UTC, "2025-12-31T00:00:00+00:00"),
    ],
    ids=str,
)
def test_days_begin_in_the_zone(zone, first_day):
    moment = datetime(2025, 12, 31, 20, tzinfo=UTC)
    store(committed_at=moment)
    [bucket] = counts_per(changes(), "day", moment - timedelta(days=2), moment + timedelta(days=2), zone)
    assert bucket.start.isoformat() == first_day


def test_the_hour_that_a_clock_shows_twice_is_two_hours():
    zone = ZoneInfo("Europe/Berlin")
    first = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    for hours in (0, 1):
        store(committed_at=first + timedelta(hours=hours))
    found = counts_per(changes(), "hour", first - timedelta(days=1), first + timedelta(days=1), zone)
    assert [bucket.start.isoformat() for bucket in found] == [
        "2026-10-25T02:00:00+02:00",
        "2026-10-25T02:00:00+01:00",
    ]


def test_other_units_are_refused():
    with pytest.raises(FieldError, match="minute, hour, day"):
        counts_per(changes(), "week", datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC), UTC)
