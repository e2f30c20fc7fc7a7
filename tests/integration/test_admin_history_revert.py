"""Revert of chosen fields in the admin, with the real worker behind."""

import pytest
from django.contrib.admin.models import CHANGE, LogEntry
from django.test import Client

from bemi_orm import Change
from tests.integration.history_site import address, staff
from tests.todos.models import Tag, Todo, TodoList

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.urls("tests.integration.history_site"),
]

REVERT = ("bemi_orm.view_change", "bemi_orm.revert_change")


@pytest.fixture
def todo(trail):
    """A todo with three fields changed since its first change, which is its `start`."""
    red, blue = (Tag.objects.create(code=code) for code in ("red", "blue"))
    todo = Todo.objects.create(task="milk", price="1.00")
    todo.tags.add(red)
    trail.drain()
    todo.start = Change.objects.latest("id")
    Todo.objects.filter(pk=todo.pk).update(task="bread", price="2.00", updated_at=trail.now())
    todo.tags.set([blue])
    trail.drain()
    return todo


def plan(client, todo):
    response = client.get(address("todos_todo_history_revert", todo.pk, to=todo.start.pk))
    assert response.status_code == 200, response.content
    return response


def revert(client, todo, shown, *names, on_conflict="raise"):
    data = {"chosen": names, "on_conflict": on_conflict, "until": shown.context["last"].pk}
    return client.post(address("todos_todo_history_revert", todo.pk, to=todo.start.pk), data)


def state(todo):
    live = Todo.objects.get(pk=todo.pk)
    return live.task, str(live.price), sorted(tag.code for tag in live.tags.all())


def test_plan_is_shown_and_only_the_chosen_fields_are_reverted(boss, client, todo, trail):
    shown = plan(client, todo)
    lines = shown.context["draft"].lines
    assert {name: (line.old.text, line.new.text) for name, line in lines.items()} == {
        "task": ("bread", "milk"),
        "price": ("2.00", "1.00"),
        "tags": ("Tag object (blue)", "Tag object (red)"),
    }
    assert shown.context["draft"].kept == ("Updated at",)
    assert state(todo) == ("bread", "2.00", ["blue"])
    assert revert(client, todo, shown, "task").status_code == 302
    assert state(todo) == ("milk", "2.00", ["blue"])
    entry = LogEntry.objects.get(object_id=todo.pk, action_flag=CHANGE)
    assert (entry.user, entry.change_message[:17]) == (boss, "Reverted Task to ")
    trail.drain()
    [change] = todo.bemi_history().filter(context__user_id=boss.pk)
    assert change.context["_bemi_reverts"]
    assert revert(client, todo, plan(client, todo), "price", "tags").status_code == 302
    assert state(todo) == ("milk", "1.00", ["red"])


def test_no_field_and_a_field_that_is_none_are_refused(boss, client, todo):
    shown = plan(client, todo)
    for names in ((), ("updated_at",), ("id",), ("nonsense",)):
        response = revert(client, todo, shown, *names)
        assert response.context["form"].errors
    assert state(todo) == ("bread", "2.00", ["blue"])


@pytest.mark.parametrize("is_stored", [False, True])
def test_change_in_between_is_a_conflict_that_is_shown(boss, client, todo, trail, is_stored):
    shown = plan(client, todo)
    Todo.objects.filter(pk=todo.pk).update(task="eggs")
    if is_stored:
        trail.drain()
    response = revert(client, todo, shown, "task", "price")
    assert response.status_code == 409
    [obstacle] = response.context["obstacles"]
    assert (obstacle.conflict.kind.name, obstacle.fields) == ("ROW_CHANGED", "task")
    assert len(obstacle.by) == is_stored
    assert response.context["form"].selected == ["task", "price"]
    assert state(todo) == ("eggs", "2.00", ["blue"])
    assert revert(client, todo, shown, "price").status_code == 302  # not in the way of this one
    assert revert(client, todo, shown, "task", on_conflict="overwrite").status_code == 302
    assert state(todo) == ("milk", "1.00", ["blue"])


def test_object_that_went_in_between_is_no_error(boss, client, todo, trail):
    shown = plan(client, todo)
    Todo.objects.all().delete()
    assert revert(client, todo, shown, "task").status_code == 404
    trail.drain()
    assert revert(client, todo, shown, "task").status_code == 403


def test_what_the_database_refuses_at_the_end_is_a_conflict(boss, client, trail):
    home, work = (TodoList.objects.create(name=name) for name in ("home", "work"))
    todo = Todo.objects.create(task="x", list=home)
    trail.drain()
    todo.start = Change.objects.latest("id")
    Todo.objects.update(list=work)
    trail.drain()
    shown = plan(client, todo)
    home.delete()
    response = revert(client, todo, shown, "list_id")
    assert response.status_code == 409
    assert response.context["obstacles"][0].conflict.kind.name == "PARENT_GONE"
    assert Todo.objects.get().list == work


def test_moments_without_anything_to_revert_are_told(boss, client, todo):
    last = Change.objects.latest("id").pk
    for moment, told in (
        (last, "nothing to revert"),
        ("2001-01-01", "was not there"),
        ("soon", "not a time"),
    ):
        response = client.get(address("todos_todo_history_revert", todo.pk, to=moment), follow=True)
        assert told in str(next(iter(response.context["messages"])))


def test_writing_takes_post_and_a_token(boss, todo):
    client = Client(enforce_csrf_checks=True)
    client.force_login(boss)
    query = {"to": todo.start.pk, "chosen": "task", "on_conflict": "overwrite"}
    assert client.get(address("todos_todo_history_revert", todo.pk, **query)).status_code == 200
    shown = plan(client, todo)
    assert revert(client, todo, shown, "task").status_code == 403
    assert state(todo) == ("bread", "2.00", ["blue"])


def test_masked_fields_and_fields_that_the_form_does_not_edit_stay(client, todo, settings):
    settings.BEMI_MASKED = {"todos.Todo": ["price"]}
    client.force_login(staff("todos.change_todo", *REVERT))
    shown = plan(client, todo)
    assert shown.context["draft"].kept == ("Price", "Updated at")
    assert "2.00" not in shown.content.decode()
    revert(client, todo, shown, "price")
    revert(client, todo, shown, "task")
    assert state(todo) == ("milk", "2.00", ["blue"])
