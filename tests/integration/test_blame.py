"""Which change last set a field, and what a row became between two moments."""

from datetime import timedelta

import pytest

from bemi_orm import Change
from bemi_orm.diffing import FieldChange
from bemi_orm.exceptions import HistoricInstanceError, NotCapturedError
from bemi_orm.history.blame import blame_row
from tests.integration.rows import START, next_transaction, store
from tests.todos.models import SpecialDocument, Tag, Todo

pytestmark = pytest.mark.django_db


def at(key, model=Todo, **values):
    instance = model(pk=key, **values)
    instance._state.adding = False
    return instance


def create(key, image, **options):
    return store(key=key, operation="CREATE", after={"id": key} | image, **options)


def update(key, before, after, **options):
    images = {"before": {"id": key} | before, "after": {"id": key} | after}
    return store(key=key, operation="UPDATE", **images, **options)


def found(blames):
    return {blame.field: (blame.change and blame.change.pk, blame.is_certain) for blame in blames}


def test_each_field_names_the_change_that_last_set_it():
    created = create(1, {"task": "a", "is_completed": False, "price": 1})
    done = update(
        1, {"task": "a", "is_completed": False, "price": 1}, {"task": "a", "is_completed": True, "price": 1}
    )
    named = update(
        1, {"task": "a", "is_completed": True, "price": 1}, {"task": "b", "is_completed": True, "price": 1},
        context={"user_id": 7},
    )  # fmt: skip
    update(
        1, {"task": "b", "is_completed": True, "price": 1}, {"task": "b", "is_completed": True, "price": 1}
    )
    blames = at(1).bemi_blame()
    assert [blame.field for blame in blames] == ["id", "task", "is_completed", "price"]
    assert found(blames) == {
        "id": (created, True), "task": (named, True), "is_completed": (done, True), "price": (created, True),
    }  # fmt: skip
    assert (blames[1].value, blames[1].change.context) == ("b", {"user_id": 7})


def test_value_that_came_back_is_blamed_on_the_change_that_brought_it_back():
    create(1, {"task": "a"})
    update(1, {"task": "a"}, {"task": "b"})
    back = update(1, {"task": "b"}, {"task": "a"})
    assert found(at(1).bemi_blame())["task"] == (back, True)


def test_bq6_where_the_row_before_is_not_known_the_change_before_tells():
    created = create(1, {"task": "a", "price": 1})
    named = update(1, {}, {"task": "b", "price": 1})
    update(1, {}, {"task": "b", "price": 1})
    assert found(at(1).bemi_blame()) == {
        "id": (created, True),
        "task": (named, True),
        "price": (created, True),
    }


def test_bq6_first_stored_change_without_its_row_before_is_a_suspect_only():
    first = update(1, {}, {"task": "b"})
    update(1, {}, {"task": "b"})
    assert found(at(1).bemi_blame())["task"] == (first, False)


def test_value_that_is_older_than_the_capture_has_no_change():
    update(1, {"task": "a", "price": 1}, {"task": "a", "price": 2})
    assert found(at(1).bemi_blame())["task"] == (None, True)
    snapshot = store(key=2, operation="SNAPSHOT", after={"id": 2, "task": "a"})
    assert found(at(2).bemi_blame())["task"] == (snapshot, False)


def test_value_that_was_not_sent_did_not_change():
    created = create(1, {"task": "long", "price": 1})
    changed = update(1, {}, {"price": 2})
    assert found(at(1).bemi_blame()) == {"id": (created, True), "price": (changed, True)}


def test_s32a_blame_follows_former_keys():
    created = create(1, {"task": "a"})
    moved = store(
        key=2, previous=1, operation="UPDATE", before={"id": 1, "task": "a"}, after={"id": 2, "task": "a"}
    )
    create(1, {"task": "other"})
    assert found(at(2).bemi_blame()) == {"id": (moved, True), "task": (created, True)}


def test_fields_of_a_parent_come_first_and_from_its_table():
    key = "6f1a39cd-14dd-4b9c-93a3-7f2b73a2b0a4"
    parents = store(table="todos_document", key=key, after={"id": key, "title": "x"})
    own = store(table="todos_specialdocument", key=key, after={"document_ptr_id": key, "level": 1})
    blames = at(key, SpecialDocument, id=key).bemi_blame()
    assert found(blames) == {
        "id": (parents, True), "title": (parents, True), "document_ptr_id": (own, True), "level": (own, True),
    }  # fmt: skip


def test_blame_of_a_deleted_row_and_of_none():
    created = create(1, {"task": "a"})
    store(key=1, operation="DELETE", before={"id": 1, "task": "a"})
    assert found(blame_row(Change.objects.for_model(Todo).desc()))["task"] == (created, True)
    assert at(5).bemi_blame() == Todo().bemi_blame() == Tag().bemi_blame() == ()


def test_blame_reads_no_further_than_it_has_to():
    create(1, {"task": "a"})
    change = Change.objects.get()

    def changes():
        yield change
        raise AssertionError("read on")

    assert len(blame_row(changes())) == 2


def history():
    """Give commit times of: create, done, renamed, deleted; a minute apart."""
    times = [START + timedelta(days=1, minutes=minute) for minute in range(4)]
    create(1, {"task": "a", "is_completed": False}, committed_at=times[0])
    update(
        1, {"task": "a", "is_completed": False}, {"task": "a", "is_completed": True}, committed_at=times[1]
    )
    update(1, {"task": "a", "is_completed": True}, {"task": "b", "is_completed": True}, committed_at=times[2])
    store(
        key=1, operation="DELETE", before={"id": 1, "task": "b", "is_completed": True}, committed_at=times[3]
    )
    store(key=9, committed_at=times[3] + timedelta(hours=1))
    return times


def test_bemi_diff_between_two_times():
    created, done, renamed, deleted = history()
    todo = at(1)
    assert todo.bemi_diff(created, renamed) == (
        FieldChange("task", "a", "b"), FieldChange("is_completed", False, True),
    )  # fmt: skip
    assert todo.bemi_diff(done, done) == ()
    assert todo.bemi_diff(renamed, done) == (FieldChange("task", "b", "a"),), "backwards as well"
    a_second = timedelta(seconds=1)
    assert todo.bemi_diff(created - a_second, created) == (
        FieldChange("id", None, 1), FieldChange("task", None, "a"), FieldChange("is_completed", None, False),
    )  # fmt: skip
    assert todo.bemi_diff(renamed, deleted)[1] == FieldChange("task", "b", None)
    assert todo.bemi_diff(renamed) == todo.bemi_diff(renamed, deleted), "until now"
    assert todo.bemi_diff(created - a_second, deleted) == ()


def test_bemi_diff_between_two_changes():
    history()
    created, done, renamed, deleted = Change.objects.for_model(Todo).filter(primary_key_int=1)
    assert at(1).bemi_diff(done, renamed) == (FieldChange("task", "a", "b"),)
    assert at(1).bemi_diff(created, created) == ()
    assert at(1).bemi_diff(deleted, deleted) == ()


def test_p5_before_the_first_stored_change_the_row_is_what_that_found():
    before = START + timedelta(hours=1)
    update(1, {"task": "a"}, {"task": "b"}, committed_at=START + timedelta(days=1))
    assert at(1).bemi_diff(before) == (FieldChange("task", "a", "b"),)
    store(key=2, operation="SNAPSHOT", after={"id": 2}, committed_at=START + timedelta(days=1))
    with pytest.raises(HistoricInstanceError):
        at(2).bemi_diff(before)


def test_truncate_ends_the_row():
    number = next_transaction()
    create(1, {"task": "a"}, transaction=number)
    change = Change.objects.get()
    store(key=None, operation="TRUNCATE", transaction=number, ordinal=1)
    assert at(1).bemi_diff(change) == (FieldChange("id", 1, None), FieldChange("task", "a", None))


def test_moment_that_is_not_stored_yet_is_an_error():
    create(1, {"task": "a"}, committed_at=START)
    with pytest.raises(NotCapturedError):
        at(1).bemi_diff(START, START + timedelta(days=100_000))
