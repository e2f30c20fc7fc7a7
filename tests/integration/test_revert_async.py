"""Undo from async code: the same plans and results, in the context of the caller."""

import pytest
from asgiref.sync import async_to_sync

import bemi_orm
from bemi_orm import Change
from bemi_orm.exceptions import RevertConflict
from tests.integration.revert_rig import capture
from tests.todos.models import Tag, Todo

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def rig():
    with capture() as rig:
        yield rig


def test_a_set_of_changes_in_the_callers_context(rig):
    last = rig.last()
    Tag.objects.create(code="t")
    changes = rig.captured_since(last)
    created = str(changes.get().pk)

    async def undo():
        async with bemi_orm.context(user_id=7):
            result = await changes.arevert()
            return result, bemi_orm.current_context()

    result, context = async_to_sync(undo)()
    assert [step.key for step in result.steps] == ["t"]
    assert context == {"user_id": 7}
    rig.drain()
    stored = Change.objects.deleted().get().context
    assert (stored["user_id"], stored["_bemi_reverts"]) == (7, [created])


def test_one_change_by_its_plan_and_at_once(rig):
    todo = Todo.objects.create(task="a", price="1.00")
    last = rig.last()
    Todo.objects.filter(pk=todo.pk).update(task="b", price="2.00")
    change = rig.captured_since(last).get()

    async def undo_one_field():
        plan = await change.arevert_plan()
        assert await Todo.objects.filter(task="b").aexists()
        await plan.aapply(fields=["price"], using_sql=True)

    async_to_sync(undo_one_field)()
    todo.refresh_from_db()
    assert (todo.task, str(todo.price)) == ("b", "1.00")
    async_to_sync(change.arevert)()
    todo.refresh_from_db()
    assert todo.task == "a"


def test_a_row_and_a_table_to_a_moment(rig):
    todo = Todo.objects.create(task="a")
    created = rig.captured_since(None).get(table="todos_todo")
    Todo.objects.filter(pk=todo.pk).update(task="b")
    rig.drain()

    async def look_and_undo():
        plan = await todo.bemi_arevert_plan(created)
        assert plan.steps == (await Change.objects.for_model(Todo).arevert_plan(created)).steps
        await todo.bemi_arevert(created, ["task"], "overwrite")

    async_to_sync(look_and_undo)()
    todo.refresh_from_db()
    assert todo.task == "a"


def test_conflicts_and_arguments_pass_through(rig):
    todo = Todo.objects.create(task="a")
    last = rig.last()
    Todo.objects.filter(pk=todo.pk).update(task="b")
    changes = rig.captured_since(last)
    Todo.objects.filter(pk=todo.pk).update(task="c")
    with pytest.raises(RevertConflict, match="row changed since"):
        async_to_sync(changes.arevert)()
    assert async_to_sync(changes.arevert)(on_conflict="skip").steps == ()
    with pytest.raises(ValueError, match="missing_parents"):
        async_to_sync(changes.get().arevert)(missing_parents="delete")
    with pytest.raises(ValueError, match="missing_parents"):
        async_to_sync(todo.bemi_arevert)(changes.get(), missing_parents="delete")
