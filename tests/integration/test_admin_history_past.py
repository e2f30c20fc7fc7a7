"""An object as it was, and objects that are gone, with the real worker behind."""

import pytest
from django.contrib.admin.models import ADDITION, LogEntry
from django.db import connection
from django.test.utils import CaptureQueriesContext

from bemi_orm import Change
from tests.integration.history_site import address, staff
from tests.todos.models import Document, SpecialDocument, Tag, Todo, TodoList

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.urls("tests.integration.history_site"),
]

RESTORE = ("bemi_orm.view_change", "bemi_orm.revert_change")


def look(client, name, key, at):
    response = client.get(address(f"todos_{name}_history_as_of", key, at=at))
    assert response.status_code == 200, response.content
    form = response.context["form"]
    return form and {field.label: str(field.text) for section in form.sections for field in section.fields}


def test_form_shows_the_object_with_its_relations_as_it_was(trail, boss, client):
    home = TodoList.objects.create(name="home")
    todo = Todo.objects.create(task="milk", list=home, price="3.50")
    red = Tag.objects.create(code="red")
    todo.tags.add(red)
    Todo.objects.create(task="bread", list=home)
    then = trail.now().isoformat()
    todo.tags.clear()
    Todo.objects.update(task="changed", list=None)
    TodoList.objects.update(name="HOME")
    trail.drain()
    shown = look(client, "todo", todo.pk, then)
    assert {label: shown[label] for label in ("Task", "Price", "Loud", "Tags")} == {
        "Task": "milk",
        "Price": "3.50",
        "Loud": "MILK",
        "Tags": "Tag object (red)",
    }
    assert address("todos_todolist_change", home.pk) in shown["List"]
    newest = client.get(address("todos_todolist_history_as_of", home.pk)).context["form"]
    assert [rows for _, rows in newest.inlines] == [()]
    assert look(client, "todolist", home.pk, then) == {"Name": "home"}
    [(title, rows)] = (
        client.get(address("todos_todolist_history_as_of", home.pk, at=then)).context["form"].inlines
    )
    assert (title, [row.fields[0].text for row in rows]) == ("Todos", ["milk", "bread"])
    assert look(client, "todo", todo.pk, Change.objects.latest("id").pk)["Task"] == "changed"
    assert look(client, "todo", todo.pk, "2001-01-01") is None
    stops = client.get(address("todos_todo_history_as_of", todo.pk)).context["stops"]
    assert [key for key, _ in stops] == [str(change.pk) for change in todo.bemi_history()]


def test_form_costs_the_same_for_every_number_of_rows_in_an_inline(trail, boss, client):
    lists = [TodoList.objects.create(name=name) for name in ("few", "many")]
    for todo_list, count in zip(lists, (1, 9), strict=True):
        Todo.objects.bulk_create(Todo(task="x", list=todo_list) for _ in range(count))
    trail.drain()
    last, costs = Change.objects.latest("id").pk, []
    look(client, "todolist", lists[0].pk, last)  # the keys of the tables are asked once
    for todo_list in lists:
        with CaptureQueriesContext(connection) as queries:
            look(client, "todolist", todo_list.pk, last)
        costs.append(len(queries))
    assert costs[0] == costs[1]


def test_masked_fields_are_not_in_the_form_nor_in_what_is_made_of_them(trail, client, settings):
    settings.BEMI_MASKED = {"todos.Todo": ["task", "price"]}
    todo = Todo.objects.create(task="milk", price="3.50")
    trail.drain()
    client.force_login(staff("todos.view_todo"))
    text = client.get(address("todos_todo_history_as_of", todo.pk)).content.decode()
    for value in ("milk", "MILK", "3.50"):
        assert value not in text


def test_tables_of_parents_and_uuid_keys(trail, boss, client):
    special = SpecialDocument.objects.create(title="t", level=1)
    then = trail.now().isoformat()
    special.level, special.title = 2, "u"
    special.save()
    key = special.pk
    special.delete()
    trail.drain()
    assert look(client, "specialdocument", key, then) == {"Id": str(key), "Title": "t", "Level": "1"}
    assert client.get(address("todos_specialdocument_restore", key)).status_code == 200
    client.post(address("todos_specialdocument_restore", key))
    assert (SpecialDocument.objects.get(pk=key).title, Document.objects.count()) == ("u", 1)


def test_p28_deleted_object_is_listed_and_comes_back_under_its_key(trail, boss, client):
    home = TodoList.objects.create(name="home")
    child = Todo.objects.create(task="milk", list=home)
    child.tags.add(Tag.objects.create(code="red"))
    keys = home.pk, child.pk
    client.post(address("todos_todolist_delete", home.pk), {"post": "yes"})
    trail.drain()
    response = client.get(address("todos_todolist_deleted"))
    [gone] = response.context["rows"]
    assert (gone.row.person.label, gone.was_deleted) == ("boss", True)
    assert gone.url in response.content.decode()
    history = client.get(gone.history_url)
    assert [len(entry.items) for entry in history.context["timeline"].entries] == [1, 1]
    plan = client.get(gone.url)
    assert [row.label for row in plan.context["rows"]] == ["Todo list"]
    plan = client.post(gone.url, {"with_children": "on", "plan": ""})
    assert [row.label for row in plan.context["rows"]] == ["Todo list", "Todo", "Todo-tag relationship"]
    assert not TodoList.objects.exists()
    response = client.post(gone.url, {"with_children": "on"})
    assert response.url == address("todos_todolist_change", keys[0])
    assert TodoList.objects.get().pk == keys[0]
    assert Todo.objects.get().pk == keys[1]
    assert [tag.code for tag in Todo.objects.get().tags.all()] == ["red"]
    entry = LogEntry.objects.get(action_flag=ADDITION)
    assert (entry.user, entry.object_id, entry.change_message) == (
        boss,
        str(keys[0]),
        "Restored as it was last.",
    )
    trail.drain()
    assert client.get(address("todos_todolist_deleted")).context["rows"] == []
    assert client.get(gone.url).url == address("todos_todolist_change", keys[0])


def test_what_went_with_another_object_stays_away(trail, boss, client):
    for name in ("home", "work"):
        Todo.objects.create(task=name, list=TodoList.objects.create(name=name))
    keys = {row.name: row.pk for row in TodoList.objects.all()}
    TodoList.objects.all().delete()
    trail.drain()
    client.post(address("todos_todolist_restore", keys["home"]), {"with_children": "on"})
    assert [(todo.task, todo.list.name) for todo in Todo.objects.all()] == [("home", "home")]
    assert TodoList.objects.count() == 1


def test_row_whose_parent_is_gone_is_explained_and_can_come_back_with_it(trail, boss, client):
    home = TodoList.objects.create(name="home")
    child = Todo.objects.create(task="milk", list=home)
    key = child.pk
    child.delete()
    home.delete()
    trail.drain()
    restore = address("todos_todo_restore", key)
    response = client.get(restore)
    [obstacle] = response.context["obstacles"]
    assert (obstacle.fields, obstacle.conflict.kind.name) == ("list", "PARENT_GONE")
    response = client.post(restore, {"missing_parents": "conflict"})
    assert (response.status_code, Todo.objects.count()) == (409, 0)
    client.post(restore, {"missing_parents": "restore"})
    assert Todo.objects.get().list.name == "home"


def test_deleted_list_pages_and_its_cost_does_not_grow(trail, boss, client):
    TodoList.objects.bulk_create(TodoList(name=f"list {number}") for number in range(30))
    TodoList.objects.all().delete()
    trail.drain()
    pages, found, costs = [""], [], []
    client.get(address("todos_todolist_deleted"))  # the key of the table is asked once
    for place in pages:
        with CaptureQueriesContext(connection) as queries:
            response = client.get(address("todos_todolist_deleted", p=place))
        found += [gone.row.change.pk for gone in response.context["rows"]]
        costs.append(len(queries))
        older = response.context["page"].older
        pages += [older] if older else []
    assert found == [change.pk for change in Change.objects.for_model(TodoList).deleted().desc()]
    assert (len(pages), len(set(costs))) == (2, 1)


def test_deleted_objects_are_shown_to_those_who_could_see_them_then(trail, client):
    for name in ("plain", "secret plan"):
        TodoList.objects.create(name=name)
    keys = {row.name: row.pk for row in TodoList.objects.all()}
    TodoList.objects.all().delete()
    trail.drain()
    client.force_login(staff("todos.view_todolist", "todos.add_todolist", *RESTORE))
    response = client.get(address("todos_todolist_deleted"))
    assert [gone.row.change.primary_key for gone in response.context["rows"]] == [str(keys["plain"])]
    assert client.get(address("todos_todolist_restore", keys["plain"])).status_code == 200
    for name in ("restore", "history_as_of"):
        assert client.get(address(f"todos_todolist_{name}", keys["secret plan"])).status_code == 404
    assert client.post(address("todos_todolist_restore", keys["secret plan"])).status_code == 404


def test_rows_of_other_models_come_back_for_those_who_may_add_them(trail, client):
    home = TodoList.objects.create(name="home")
    Todo.objects.create(task="milk", list=home)
    key = home.pk
    home.delete()
    trail.drain()
    client.force_login(staff("todos.view_todolist", "todos.add_todolist", *RESTORE))
    restore = address("todos_todolist_restore", key)
    assert client.post(restore, {"with_children": "on"}).status_code == 403
    assert client.post(restore).status_code == 302
    assert (TodoList.objects.count(), Todo.objects.count()) == (1, 0)
