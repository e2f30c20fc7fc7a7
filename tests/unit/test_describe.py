"""Changes in words."""

from datetime import UTC, datetime

import pytest

from bemi_orm.demo.describe import ABSENT, describe
from bemi_orm.models import Change

REQUEST = {"user": "alice", "user_id": 1, "method": "PATCH", "path": "/api/todos/3/", "request_id": "r"}


def change(operation="UPDATE", before=None, after=None, context=REQUEST, primary_key="3"):
    return Change(
        table="demo_todo",
        primary_key=primary_key,
        operation=operation,
        before=before or {},
        after=after or {},
        context=context,
        committed_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


def test_an_update_shows_what_changed_and_nothing_else():
    described = describe(change(before={"id": 3, "task": "a", "n": 1}, after={"id": 3, "task": "b", "n": 1}))
    assert (described.verb, described.row, described.fields) == ("changed", "demo_todo 3", ("task: a -> b",))


def test_a_new_row_shows_its_values_but_not_its_key():
    described = describe(change("CREATE", after={"id": 3, "task": "a", "done": False, "due": None}))
    assert described.fields == ("task: a", "done: false", "due: null")


def test_a_deleted_row_shows_what_it_was():
    assert describe(change("DELETE", before={"id": 3, "task": "a"})).fields == ("task: a",)


def test_b_q6_an_old_value_that_was_not_sent_is_unknown_and_not_null():
    assert describe(change(before={"id": 3}, after={"id": 3, "task": "b"})).fields == ("task: unknown -> b",)


def test_a_long_value_is_shortened():
    [field] = describe(change("CREATE", after={"task": "x" * 500})).fields
    assert len(field) < 60
    assert field.endswith("x...")


def test_who_and_where_come_from_the_context():
    described = describe(change())
    assert (described.who, described.where) == ("alice (1)", "PATCH /api/todos/3/")
    assert not described.is_from_outside


@pytest.mark.parametrize("context", [{}, {"job": "import"}])
def test_a_change_from_outside_of_the_application_says_so(context):
    described = describe(change(context=context))
    assert (described.who, described.where) == (ABSENT, ABSENT)
    assert described.is_from_outside


def test_a_context_of_another_client_may_lack_any_key():
    described = describe(change(context={"user": "eve", "path": "/x/"}))
    assert (described.who, described.where) == ("eve (None)", "/x/")


def test_a_truncate_has_no_key_and_no_fields():
    described = describe(change("TRUNCATE", primary_key=None))
    assert (described.row, described.fields, described.verb) == ("demo_todo -", (), "truncate")
