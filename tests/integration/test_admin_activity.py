"""The activity page of the admin: its chart, its tables, and the newest changes that it keeps up with."""

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.contrib.auth.models import User
from django.utils.timezone import now

from bemi_orm.admin import activity
from bemi_orm.admin.charts import BASE, LEFT, MAX_LABELS, TOP, WIDTH, round_up, stacked_chart
from bemi_orm.admin.timescale import time_scale
from bemi_orm.choices import Operation
from bemi_orm.facets import Bucket
from tests.integration.admin_rig import ACTIVITY, LIST, TAIL, count_queries, ids_in, page, reader, text_of
from tests.integration.rows import store

NOON = datetime(2026, 3, 29, 12, 34, 56, 789, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("period", "unit", "first", "count"),
    [
        ("1h", "minute", "11:34:00", 61),
        ("3h", "minute", "09:34:00", 181),
        ("24h", "hour", "12:00:00", 25),
        ("4d", "day", "00:00:00", 5),
    ],
)
def test_a_period_is_cut_into_minutes_hours_or_days(period, unit, first, count):
    scale = time_scale(period, NOON)
    slots = scale.slots()
    assert (scale.unit, f"{slots[0]:%H:%M:%S}", len(slots)) == (unit, first, count)
    assert slots[-1] <= scale.end == NOON


def test_days_and_hours_follow_the_clock_where_it_is_set_forward_and_back():
    spring = time_scale("24h", NOON.astimezone(BERLIN)).slots()
    assert [slot.hour for slot in spring[12:17]] == [1, 3, 4, 5, 6]
    autumn = datetime(2026, 10, 25, 12, tzinfo=UTC).astimezone(BERLIN)
    assert [slot.hour for slot in time_scale("24h", autumn).slots()].count(2) == 2
    days = time_scale("7d", autumn).slots()
    assert [(slot.day, slot.hour) for slot in days] == [(day, 0) for day in range(18, 26)]


@pytest.mark.parametrize("period", ["soon", "0d", "367d", "-1d", ""])
def test_a_period_that_makes_no_sense_is_refused(period):
    with pytest.raises(ValueError, match=r"."):
        time_scale(period, NOON)


@pytest.mark.parametrize(
    ("count", "upper"),
    [(0, 2), (2, 2), (3, 4), (7, 10), (10, 10), (11, 20), (61, 100), (4_000_000, 4_000_000)],
)
def test_an_axis_ends_at_a_round_number_with_a_whole_half(count, upper):
    assert round_up(count) == upper
    assert upper % 2 == 0


def chart_of(*buckets, slots=4):
    starts = [NOON + timedelta(hours=number) for number in range(slots)]
    names = [(str(number), f"hour {number}") for number in range(slots)]
    found = [Bucket(starts[place], operation, count) for place, operation, count in buckets]
    return stacked_chart(starts, names, found)


def test_columns_stack_their_operations_and_stay_inside_the_chart():
    chart = chart_of((1, "UPDATE", 30), (1, "CREATE", 10), (3, "DELETE", 5))
    assert chart.operations == (Operation.CREATE, Operation.UPDATE, Operation.DELETE)
    create, update = chart.columns[1].bars
    assert (create.kind, update.kind) == ("create", "update")
    assert create.y + create.height == BASE
    assert update.y + update.height == pytest.approx(create.y)
    assert update.height == pytest.approx(3 * create.height, abs=0.02)
    assert update.y == pytest.approx(TOP)
    assert chart.columns[1].counts == (10, 30, 0)
    assert chart.columns[0].bars == chart.columns[2].bars == ()
    assert [tick.label for tick in chart.heights] == ["0", "20", "40"]
    for bar in (bar for column in chart.columns for bar in column.bars):
        assert bar.x >= LEFT
        assert bar.x + bar.width <= WIDTH
    assert chart.total == 45


def test_an_axis_has_room_for_its_labels():
    assert len(chart_of(slots=181).times) <= MAX_LABELS
    assert [tick.label for tick in chart_of(slots=3).times] == ["0", "1", "2"]
    assert chart_of().total == 0


@pytest.fixture
def an_hour():
    """Changes of the last hour: two tables, a user, a deleted user, and nobody."""
    alice = User.objects.create_user("alice")
    half = now() - timedelta(minutes=30)
    for number in range(3):
        store(key=number, after={"id": number}, committed_at=half, context={"user_id": alice.pk})
    store(
        key=1, operation="DELETE", before={"id": 1}, committed_at=half, context={"user_id": 36, "user": "zoe"}
    )
    store(table="todos_tag", key="a", operation="UPDATE", committed_at=half)
    store(key=9, committed_at=now() - timedelta(days=2))
    return alice


@pytest.mark.django_db
@pytest.mark.parametrize("period", ["1h", "24h"])
def test_it_counts_the_changes_of_a_period(an_hour, period):
    markup = page(reader(), f"{ACTIVITY}?last={period}")
    text = text_of(markup)
    assert "5 changes Show them" in text
    assert "Table Changes todos_todo 4 todos_tag 1" in text
    assert "User Changes alice 3 deleted user 36 1 no user named 1" in text
    svg = markup.partition('<svg class="bemi-chart"')[2].partition("</svg>")[0]
    assert svg.count("<rect") == 2 * 3
    assert 'role="img" aria-labelledby="bemi-svg-title bemi-svg-desc"' in svg
    numbers = re.search(r"Added Changed Deleted All .* 3 1 1 5 Tables", text)
    assert numbers
    assert f'href="{LIST}?user={an_hour.pk}&amp;last={period}"' in markup


@pytest.mark.django_db
def test_days_are_those_of_the_time_zone(settings):
    settings.TIME_ZONE = "Pacific/Auckland"
    store(key=1, committed_at=now() - timedelta(days=5))
    text = text_of(page(reader(), f"{ACTIVITY}?last=30d"))
    assert "1 change Show them" in text
    assert "Changes per day" in text


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("zone", "end", "period", "times", "columns"),
    [
        (
            "Europe/Berlin",
            "2026-10-25T11:00",
            "24h",
            ["24T23:30", "25T00:30", "25T01:30", "25T01:59"],
            [1, 1, 2],
        ),
        ("Europe/Berlin", "2026-10-27T11:00", "3d", ["25T00:00", "25T01:00", "27T10:59"], [1, 1, 1]),
        ("Europe/Berlin", "2026-10-25T02:30", "3h", ["25T00:30", "25T01:30", "25T02:29"], [1, 1, 1]),
        ("Europe/Berlin", "2026-10-25T01:30", "3h", ["25T00:15", "25T00:45", "25T01:15"], [1, 1, 1]),
        ("Europe/Berlin", "2026-03-29T11:00", "24h", ["29T00:59", "29T01:00"], [1, 1]),
        (
            "Europe/Berlin",
            "2026-10-27T11:00",
            "7d",
            ["24T21:59", "24T22:00", "25T22:59", "25T23:00"],
            [1, 2, 1],
        ),
        ("America/Santiago", "2026-09-10T12:00", "7d", ["06T03:59", "06T04:00", "06T23:30"], [1, 2]),
        ("America/Santiago", "2026-09-06T03:30", "7d", ["06T03:29"], [1]),
        ("America/Santiago", "2026-09-12T12:00", "6d", ["06T12:30", "07T03:00"], [1, 1]),
        (
            "America/Havana",
            "2026-11-03T12:00",
            "7d",
            ["01T03:59", "01T04:30", "01T05:30", "02T05:00"],
            [1, 2, 1],
        ),
        ("Australia/Lord_Howe", "2026-04-04T22:00", "24h", ["04T14:45", "04T15:15", "04T21:45"], [2, 1]),
    ],
)
def test_each_change_is_in_a_column_where_the_clocks_are_set(
    settings, monkeypatch, zone, end, period, times, columns
):
    settings.TIME_ZONE = zone
    now = datetime.fromisoformat(f"{end}Z")
    monkeypatch.setattr(activity, "local_now", lambda: now.astimezone(ZoneInfo(zone)))
    for number, time in enumerate(times):
        store(key=number, committed_at=datetime.fromisoformat(f"{end[:8]}{time}Z"))
    response = reader().get(f"{ACTIVITY}?last={period}")
    assert response.status_code == 200
    chart = response.context["chart"]
    assert [column.total for column in chart.columns if column.total] == columns
    assert chart.total == sum(top.changes for top in response.context["tables"]) == len(times)


@pytest.mark.django_db
def test_a_user_whose_key_is_a_number_here_and_a_text_there_is_one():
    for place in range(12):
        for number in range(3):
            store(key=number, committed_at=now() - timedelta(minutes=5), context={"user_id": 1000 + place})
    for number in range(4):
        value = 7 if number % 2 else "7"
        store(key=number, committed_at=now() - timedelta(minutes=5), context={"user_id": value})
    for value in (True, None, 1.5, {"id": 7}, [7]):
        store(key=9, committed_at=now() - timedelta(minutes=5), context={"user_id": value})
    people = reader().get(ACTIVITY).context["people"]
    assert [(top.label, top.changes) for top in people[:3]] == [
        ("no user named", 5),
        ("deleted user 7", 4),
        ("deleted user 1000", 3),
    ]
    assert (len(people), people[0].url, people[1].url) == (10, "", f"{LIST}?user=7&last=24h")


@pytest.mark.django_db
def test_a_period_without_changes_or_sense_is_said_to_be_so(an_hour):
    client = reader()
    assert "5 changes" in text_of(page(client, f"{ACTIVITY}?last=soon"))
    assert "is not a span of time" in text_of(page(client, f"{ACTIVITY}?last=soon"))
    assert "is not between a minute and 366 days" in text_of(page(client, f"{ACTIVITY}?last=400d"))
    empty = text_of(page(client, f"{ACTIVITY}?last=1m"))
    assert "Nothing changed in this period." in empty
    assert "None." in empty


@pytest.mark.django_db
def test_a_masked_user_is_not_counted(an_hour, settings):
    settings.BEMI_MASKED = {"context": ["user_id"]}
    text = text_of(page(reader(), ACTIVITY))
    assert "Users with most changes" not in text
    assert "alice" not in text


@pytest.mark.django_db
def test_the_number_of_queries_does_not_grow(an_hour):
    client = reader()
    few = count_queries(client, ACTIVITY)
    for number in range(30):
        store(table=f"t{number}", key=number, committed_at=now(), context={"user_id": 100 + number})
    assert count_queries(client, ACTIVITY) == few <= 13
    assert count_queries(client, TAIL) <= 8


@pytest.mark.django_db
def test_the_tail_answers_with_what_is_new_or_that_nothing_is():
    client = reader()
    assert "No changes." in client.get(TAIL).content.decode()
    first = str(store(key=1, after={"id": 1}))
    answer = client.get(TAIL)
    assert ids_in(answer.content.decode()) == [first]
    assert "<html" not in answer.content.decode()
    assert f'data-etag="{answer["ETag"].replace(chr(34), "&quot;")}"' in page(client, ACTIVITY)
    for etag in (answer["ETag"], f"W/{answer['ETag']}"):
        same = client.get(TAIL, headers={"If-None-Match": etag})
        assert (same.status_code, same.content, same["ETag"]) == (304, b"", answer["ETag"])
    assert "private" in answer["Cache-Control"]
    assert "no-store" in answer["Cache-Control"]
    second = str(store(key=2, after={"id": 2}))
    later = client.get(TAIL, headers={"If-None-Match": answer["ETag"]})
    assert ids_in(later.content.decode()) == [second, first]


@pytest.mark.django_db
def test_the_tail_costs_one_query_where_nothing_is_new(django_assert_num_queries):
    client = reader()
    store(key=1)
    etag = client.get(TAIL)["ETag"]
    with django_assert_num_queries(5):  # the session, the user, two for its permissions, and the newest id
        client.get(TAIL, headers={"If-None-Match": etag})


@pytest.mark.django_db
def test_the_tail_is_short():
    for number in range(25):
        store(key=number)
    assert len(ids_in(page(reader(), TAIL))) == 20
