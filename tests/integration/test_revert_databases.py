"""Undo where `changes` are in a database of their own: plans read there, and write only in the source."""

import pytest
from django.db import transaction

import bemi_orm
from bemi_orm import Change
from bemi_orm.exceptions import RevertConflict
from tests.integration.travels import Trail
from tests.todos.models import Tag, Todo, TodoList

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])


@pytest.fixture
def trail(settings):
    trail = Trail(settings, alias="other")
    trail.open()
    yield trail
    trail.close()


def test_a_request_is_undone_and_the_undo_too(trail):
    kept = Todo.objects.create(task="kept")
    with bemi_orm.context(request_id="r1"), transaction.atomic():
        Todo.objects.create(task="new", list=TodoList.objects.create(name="l")).tags.add(
            Tag.objects.create(code="t")
        )
        Todo.objects.filter(pk=kept.pk).update(task="changed")
    trail.drain()
    Change.objects.by_context(request_id="r1").filter(context__has_key="request_id").revert()
    assert [todo.task for todo in Todo.objects.all()] == ["kept"]
    assert not TodoList.objects.exists()
    assert trail.fetch("SELECT count(*) FROM changes") == [(0,)]
    trail.drain()
    Change.objects.filter(context__has_key="_bemi_reverts").revert()
    assert sorted(todo.task for todo in Todo.objects.all()) == ["changed", "new"]
    assert [tag.code for tag in Todo.objects.get(task="new").tags.all()] == ["t"]


def test_conflicts_name_their_culprits_and_lost_parents_are_found(trail):
    todo = Todo.objects.create(task="a", list=TodoList.objects.create(name="l"))
    key = todo.pk
    todo.delete()
    with bemi_orm.context(user_id=9):
        TodoList.objects.get().delete()
    trail.drain()
    changes = Change.objects.for_model(Todo).deleted()
    with pytest.raises(RevertConflict, match=r"target of a foreign key gone \(list\).*by user_id=9"):
        changes.revert()
    changes.revert(missing_parents="restore")
    assert Todo.objects.get(pk=key).list.name == "l"


def test_a_row_and_a_table_to_a_moment_and_a_row_that_is_gone(trail):
    todo = Todo.objects.create(task="a")
    moment = trail.lsn()
    Todo.objects.filter(pk=todo.pk).update(task="b")
    Todo.objects.create(task="later")
    trail.drain()
    todo.bemi_revert(moment)
    assert sorted(todo.task for todo in Todo.objects.all()) == ["a", "later"]
    trail.drain()
    Change.objects.for_model(Todo).revert_plan(moment).apply()
    assert [todo.task for todo in Todo.objects.all()] == ["a"]
    key = todo.pk
    todo.delete()
    trail.drain()
    assert Todo.bemi.restore(key).task == "a"
