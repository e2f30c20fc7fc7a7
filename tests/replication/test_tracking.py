"""Which tables are tracked."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bemi_orm.exceptions import ConfigurationError
from bemi_orm.replication.tracking import Tracking

NAMES = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=8)


@pytest.mark.parametrize(
    ("pattern", "schema", "table", "expected"),
    [
        ("*", "public", "todo", True),
        ("todo", "public", "todo", True),
        ("todo", "archive", "todo", True),
        ("todo", "public", "Todo", False),
        ("todo", "public", "todos", False),
        ("log_*", "public", "log_2025", True),
        ("log_[0-9]", "public", "log_x", False),
        ("archive.todo", "archive", "todo", True),
        ("archive.todo", "public", "todo", False),
        ("archive.*", "archive", "my.table", True),
        ("*.todo", "archive", "todo", True),
        ("archive.todo", "public", "archive.todo", False),
        ('"archive.todo"', "public", "archive.todo", True),
        ('public."my.table"', "public", "my.table", True),
        ('"a.b".todo', "a.b", "todo", True),
        ('"log_*"', "public", "log_2025", False),
        ('"log_*"', "public", "log_*", True),
        ('"a""b"', "public", 'a"b', True),
    ],
)
def test_a_pattern_fits_its_tables_only(pattern, schema, table, expected):
    assert Tracking(track=(pattern,)).matches(schema, table) is expected
    assert Tracking(ignore=(pattern,)).matches(schema, table) is not expected


@given(schema=NAMES, table=NAMES, other=NAMES)
def test_a_quoted_name_is_that_name_whatever_it_holds(schema, table, other):
    quoted = ".".join('"' + name.replace('"', '""') + '"' for name in (schema, table))
    tracking = Tracking(track=(quoted,))
    assert tracking.matches(schema, table)
    assert tracking.matches(schema, other) is (other == table)
    assert tracking.matches(other, table) is (other == schema)


def test_ignore_wins_over_track():
    tracking = Tracking(track=("todo*",), ignore=("todo_tags",))
    assert tracking.matches("public", "todo")
    assert not tracking.matches("public", "todo_tags")


@pytest.mark.parametrize("pattern", ["", ".", "a.b.c", 'a"b', '"open', ".todo", "public."])
def test_a_pattern_of_another_form_is_refused_at_once(pattern):
    with pytest.raises(ConfigurationError, match="double quotes"):
        Tracking(ignore=(pattern,))


@pytest.mark.parametrize(
    "table", ["changes", "changes_default", "changes_2025_01", "bemi_checkpoint", "bemi_gap"]
)
def test_e10_our_own_tables_are_never_tracked_and_a_namesake_is(table):
    tracking = Tracking(track=("*", "changes"), own_schema="audit")
    assert not tracking.matches("audit", table)
    assert tracking.matches("public", table)
    assert Tracking().matches("public", table)


@pytest.mark.parametrize("table", ["changes_of_mind", "exchanges", "bemi_gaps"])
def test_e10_only_our_own_names_are_ours(table):
    assert Tracking(own_schema="public").matches("public", table)


@pytest.mark.parametrize("table", ["django_migrations", "django_session"])
def test_e15_sessions_and_migrations_are_never_tracked(table):
    assert not Tracking(track=(table,)).matches("anywhere", table)


def test_patterns_that_fit_nothing_are_known():
    tracking = Tracking(track=("todo", "todoo", "archive.*"))
    assert tracking.unmatched([("public", "todo")]) == ("todoo", "archive.*")
