"""Against the plain definition, on random histories whose commit times fall as well as rise."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from bemi_orm import Change
from bemi_orm.history.commits import DISORDER, FIRST_ID, LAST_UNTIL, MAX_OVERTAKEN, last_until
from bemi_orm.rows import change_id_bytes
from tests.integration.rows import START

FILL = f"""
INSERT INTO changes (id, database, schema, "table", primary_key, operation, committed_at, queued_at,
                     transaction_id, position, ordinal)
SELECT overlay({FIRST_ID.format(position="place")}::text PLACING lpad(to_hex(n), 8, '0') FROM 29)::uuid,
    %s, 'public', 'todos_todo', 'k', 'UPDATE', %s + make_interval(secs => second), %s, 1, place, n
FROM unnest(%s::bigint[], %s::float[]) AS transactions (place, second)
CROSS JOIN generate_series(1, %s) n
"""


def fill(transactions, size=1, database=None):
    """Store transactions of so many changes: position to commit time, in seconds from START."""
    database = database or connection.settings_dict["NAME"]
    places, seconds = list(transactions), list(map(float, transactions.values()))
    with connection.cursor() as cursor:
        cursor.execute(FILL, [database, START, START, places, seconds, size])


def find(second, later=None):
    later = later or Change.objects.desc()[0].position
    return last_until(START + timedelta(seconds=second), later, source="default", alias="default")


def by_definition(transactions, second):
    return max((place for place, moment in transactions.items() if moment <= second), default=None)


PLACES = st.lists(st.integers(1, 2**40) | st.integers(1, 50), min_size=1, max_size=25, unique=True)


@st.composite
def histories(draw, disorder_seconds):
    """Clocks that go on by nothing, a little, or a lot; and times that lie behind by no more than given."""
    clock, transactions = 0.0, {}
    for place in sorted(draw(PLACES)):
        clock += draw(st.sampled_from([0, 0.25, 0.5, 1, 2, 86_400 * 40]))
        transactions[place] = clock - draw(st.sampled_from([0, 0, 0.25, disorder_seconds]))
    transactions[2**41] = clock + 10
    return transactions


class Searching(TestCase):
    @settings(max_examples=60, deadline=None)
    @given(histories(DISORDER.total_seconds()), st.sampled_from([1, 3]))
    def test_e17_the_last_is_the_greatest_position_until_then(self, transactions, size):
        fill(transactions, size)
        moments = {moment + shift for moment in transactions.values() for shift in (-0.25, 0, 0.25)}
        for moment in moments - {m for m in moments if m >= transactions[2**41]}:
            assert find(moment) == by_definition(transactions, moment)

    @settings(max_examples=30, deadline=None)
    @given(histories(3600))
    def test_e17_clock_that_was_set_back_gives_states_that_were_in_their_order(self, transactions):
        fill(transactions)
        ordered = list(transactions)
        moments = sorted(moment for moment in transactions.values() if moment < transactions[2**41])
        found = [find(moment) for moment in moments]
        assert found == sorted(found, key=lambda place: place or 0)
        for place, moment in zip(found, moments, strict=True):
            follower = ordered[ordered.index(place) + 1 if place else 0]
            assert place is None or transactions[place] <= moment
            assert transactions[follower] > moment
        fill({2**41 + 5: transactions[2**41] + 10, 2**52: transactions[2**41] + 20})
        assert [find(moment) for moment in moments] == found


@pytest.mark.django_db
@pytest.mark.parametrize("position", [0, 1, 15, 16, 0xFFFF, 0x10000, 0x1234_5678_9ABC_DEF7, 2**63 - 1])
def test_first_id_of_a_position_is_the_lowest_that_a_change_there_can_have(position):
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {FIRST_ID.format(position=f'{position}::bigint')}")
        assert cursor.fetchone()[0].bytes == change_id_bytes(position, 0, 0)


@pytest.mark.django_db
def test_changes_of_other_databases_are_passed_over():
    fill({100: 0, 300: 5.5})
    fill({50: 0, 200: 1, 250: 0, 400: 1}, database="elsewhere")
    assert find(5, later=300) == 100


@pytest.mark.django_db
@pytest.mark.parametrize("moment", [datetime.max, datetime.min])
def test_times_at_the_ends_of_the_calendar_are_times(moment):
    fill({100: 0, 200: 1})
    found = last_until(moment.replace(tzinfo=UTC), 300, source="default", alias="default")
    assert found == (200 if moment.year > 1 else None)


@pytest.mark.django_db
def test_quiet_weeks_are_passed_over():
    fill({100: 0, 200: 1, 300: 86_400 * 30})
    assert find(86_400 * 15) == 200


@pytest.mark.django_db
def test_commit_that_was_overtaken_too_often_is_not_looked_for():
    fill({100: 0} | {1000 + n: 0.5 for n in range(MAX_OVERTAKEN)} | {5000: 0.1, 6000: 0.5, 9000: 10})
    assert find(0.2) == 100
    Change._base_manager.filter(position=1000)._raw_delete("default")
    assert find(0.2) == 5000


@pytest.mark.django_db
def test_large_transactions_before_and_after_the_time_are_not_read():
    fill({2**30 + n: n / 10 for n in range(5)}, size=2_000)
    assert find(0.2) == 2**30 + 2
    assert rows_read(0.2) < 200


def rows_read(second):
    parameters = {
        "time": START + timedelta(seconds=second), "high": 2**31,
        "database": connection.settings_dict["NAME"], "disorder": DISORDER, "max_overtaken": MAX_OVERTAKEN,
    }  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(f"EXPLAIN (ANALYZE, TIMING off, FORMAT json) {LAST_UNTIL}", parameters)
        plan = cursor.fetchone()[0]
    plan = json.loads(plan) if isinstance(plan, str) else plan
    return sum(
        (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"]
        for node in nodes(plan[0]["Plan"])
        if node.get("Relation Name", "").startswith("changes")
    )


def nodes(plan):
    yield plan
    for part in plan.get("Plans", ()):
        yield from nodes(part)
