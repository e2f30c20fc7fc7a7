from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bemi_orm.periods import parse_moment, parse_period

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 11, 25, 12, 30, 15, 7, tzinfo=BERLIN)  # a Wednesday

PERIODS = {
    "24h": timedelta(hours=24),
    "90m": timedelta(minutes=90),
    "7d": timedelta(days=7),
    "2w": timedelta(weeks=2),
    "45s": timedelta(seconds=45),
    "0d": timedelta(),
    "2 hours": timedelta(hours=2),
    " 1 Hour ": timedelta(hours=1),
    "1 week": timedelta(weeks=1),
    "5 mins": timedelta(minutes=5),
    "3 hrs": timedelta(hours=3),
    "1d12h": timedelta(hours=36),
    "1 day 2 hours": timedelta(hours=26),
}


@pytest.mark.parametrize(("text", "period"), PERIODS.items())
def test_period(text, period):
    assert parse_period(text) == period
    assert parse_moment(text, NOW) == parse_moment(f"{text} ago", NOW) == NOW.astimezone(UTC) - period


WORDS = [
    "",
    " ",
    "h",
    "7",
    "-1h",
    "1.5h",
    "1 month",
    "2 years",
    "1 hour ago ago",
    "1h and 2m",
    "٣h",
    "9" * 30 + "d",
]


@pytest.mark.parametrize("text", WORDS)
def test_what_is_no_period_is_told_with_what_is_one(text):
    with pytest.raises(
        ValueError, match=r'is not a span of time, such as "24h", "90m", "7d", "2w"'
    ) as caught:
        parse_period(text)
    assert repr(text) in str(caught.value)


MOMENTS = {
    "now": "2026-11-25T12:30:15.000007+01:00",
    "today": "2026-11-25T00:00:00+01:00",
    "Yesterday": "2026-11-24T00:00:00+01:00",
    "yesterday 14:00": "2026-11-24T14:00:00+01:00",
    "today  9:05:10": "2026-11-25T09:05:10+01:00",
    "09:30": "2026-11-25T09:30:00+01:00",
    "wednesday": "2026-11-25T00:00:00+01:00",
    "thursday": "2026-11-19T00:00:00+01:00",
    "Monday 8:00": "2026-11-23T08:00:00+01:00",
    "2026-11-03": "2026-11-03T00:00:00+01:00",
    "2026-11-03 14:00": "2026-11-03T14:00:00+01:00",
    " 2026-11-03T14:00:00.25 ": "2026-11-03T14:00:00.250000+01:00",
    "2026-07-03 14:00": "2026-07-03T14:00:00+02:00",
    "2026-07-03T14:00Z": "2026-07-03T16:00:00+02:00",
    "2026-11-03 14:00+05:30": "2026-11-03T09:30:00+01:00",
}


@pytest.mark.parametrize(("text", "moment"), MOMENTS.items())
def test_moment(text, moment):
    assert parse_moment(text, NOW).isoformat() == moment


@pytest.mark.parametrize(
    "text",
    [*WORDS, "soon", "ago", "today ago",
     "yesterday noon", "today 25:00", "9:60", "2026", "2026-13-01", "2026-02-30 10:00", "31.1.2026",
     "9999-12-31T23:59:59-12:00", "90000000 days"],
)  # fmt: skip
def test_what_is_no_moment_is_told_with_what_is_one(text):
    with pytest.raises(ValueError, match=r'is not a time, such as "2h", "2 hours ago", "now"') as caught:
        parse_moment(text, NOW)
    assert repr(text) in str(caught.value)


def test_now_has_to_have_a_time_zone():
    with pytest.raises(ValueError, match="no time zone"):
        parse_moment("1h", NOW.replace(tzinfo=None))


def test_hours_pass_while_the_clocks_are_changed():
    after = datetime(2026, 3, 29, 12, 0, tzinfo=BERLIN)
    assert parse_moment("24h", after).isoformat() == "2026-03-28T11:00:00+01:00"
    assert parse_moment("yesterday 12:00", after).isoformat() == "2026-03-28T12:00:00+01:00"


def test_time_that_the_clocks_skipped_is_one_that_they_showed():
    after = datetime(2026, 3, 29, 12, 0, tzinfo=BERLIN)
    assert parse_moment("02:30", after).isoformat() == "2026-03-29T03:30:00+02:00"


ZONES = st.sampled_from([UTC, BERLIN, ZoneInfo("America/St_Johns"), ZoneInfo("Pacific/Apia")])
NOWS = st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1), timezones=ZONES)


@given(NOWS, st.integers(0, 10_000), st.sampled_from("smhdw"))
def test_a_period_back_is_that_long_ago(now, count, unit):
    text = f"{count}{unit}"
    assert now.astimezone(UTC) - parse_moment(text, now).astimezone(UTC) == parse_period(text)


@given(NOWS, st.datetimes(datetime(1980, 1, 1), datetime(2100, 1, 1), timezones=ZONES))
def test_an_iso_time_with_its_offset_is_itself(now, moment):
    parsed = parse_moment(moment.astimezone(UTC).isoformat(), now)
    assert parsed.astimezone(UTC) == moment.astimezone(UTC)
    assert parsed.tzinfo == now.tzinfo


@given(NOWS, st.sampled_from(["today", "yesterday", "monday", "friday", "sunday"]))
def test_a_named_day_is_one_of_the_last_seven_and_never_ahead(now, name):
    moment = parse_moment(name, now)
    day = moment.date() if moment.time() == datetime.min.time() else date.max
    assert moment.astimezone(UTC) <= now.astimezone(UTC)
    assert day == date.max or now.date() - day < timedelta(days=7)
