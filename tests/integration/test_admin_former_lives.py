"""An object whose key another one had before, which this user may not see."""

import pytest
from django.db import connection, transaction

from bemi_orm import Change
from tests.integration.history_site import SpecialDocument, Todo, TodoAdmin, TodoList, address, site, staff
from tests.todos.models import Tag

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.urls("tests.integration.history_site")]
AUDIT = ("bemi_orm.view_change", "bemi_orm.revert_change")
EDITOR = ("todos.view_todolist", "todos.change_todolist", *AUDIT)


def lives(*names):
    """Let lists have the same key one after another; gives the time at which each was there."""
    times = []
    for name in names:
        made = TodoList.objects.create(pk=77, name=name)
        TodoList.objects.filter(pk=77).update(name=f"{name} later")
        times.append(now())
        if name != names[-1]:
            made.delete()
    return times


def now():
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        return cursor.fetchone()[0].isoformat()


def pages(client, name, key, then, **query):
    """Give the answer of each page of the object about a moment."""
    newest = Change.objects.latest("id").pk
    urls = [
        address(f"{name}_history", key, **query),
        address(f"{name}_history_compare", key, **{"from": then, "to": newest}),
        address(f"{name}_history_as_of", key, at=then),
        address(f"{name}_history_revert", key, to=then),
    ]
    return [client.get(url) for url in urls]


def test_the_former_one_is_on_no_page(trail, client):
    [then, _] = lives("secret plans", "shopping")
    trail.drain()
    client.force_login(staff(*EDITOR))
    found = pages(client, "todos_todolist", 77, then, related=1)
    assert [response.status_code for response in found] == [200, 200, 200, 302]
    assert "secret" not in " ".join(response.content.decode() for response in found)
    assert len(found[0].context["timeline"].entries) == 2
    assert [(line.old.text, line.new.text) for line in found[1].context["lines"]][-1] == (
        "",
        "shopping later",
    )
    assert found[2].context["form"] is None
    assert len(found[2].context["stops"]) == 2


def test_no_value_of_the_former_one_can_be_reverted_to(trail, client):
    [then, _] = lives("secret plans", "shopping")
    trail.drain()
    client.force_login(staff(*EDITOR))
    url = address("todos_todolist_history_revert", 77, to=then)
    for until in Change.objects.for_model(TodoList):
        order = {"chosen": ["name"], "on_conflict": "overwrite", "until": until.pk}
        assert client.post(url, order).status_code == 302
    assert TodoList.objects.get(pk=77).name == "shopping later"


def test_one_that_could_be_seen_stays_until_the_first_that_could_not(trail, client):
    [*_, then, _] = lives("open", "secret plans", "home", "shopping")
    trail.drain()
    client.force_login(staff("todos.view_todolist"))
    found = pages(client, "todos_todolist", 77, then)
    assert len(found[0].context["timeline"].entries) == 5
    assert found[2].context["form"].name == str(TodoList(pk=77))


@pytest.mark.usefixtures("boss")
def test_who_may_see_all_sees_all(trail, client):
    lives("secret plans", "shopping")
    trail.drain()
    [history, *_] = pages(client, "todos_todolist", 77, now())
    assert len(history.context["timeline"].entries) == 5


def test_one_that_is_gone_has_no_more_than_its_own(trail, client):
    lives("secret plans", "shopping")
    TodoList.objects.all().delete()
    trail.drain()
    client.force_login(staff("todos.view_todolist"))
    [history, *_] = pages(client, "todos_todolist", 77, now())
    assert len(history.context["timeline"].entries) == 3


def test_links_of_the_former_one_are_not_those_of_the_object(trail, client, monkeypatch):
    monkeypatch.setattr(
        TodoAdmin,
        "has_view_or_change_permission",
        lambda admin, request, obj=None: obj is None or not obj.task.startswith("secret"),
        raising=False,
    )
    tag = Tag.objects.create(code="red")
    secret = Todo.objects.create(pk=77, task="secret")
    secret.tags.add(tag)
    then = now()
    secret.delete()
    todo = Todo.objects.create(pk=77, task="milk")
    todo.tags.add(tag)
    trail.drain()
    client.force_login(staff("todos.view_todo", "todos.change_todo", "todos.view_tag", *AUDIT))
    [history, _, _, revert] = pages(client, "todos_todo", 77, then, related=1)
    assert len(history.context["timeline"].entries) == 2
    assert revert.status_code == 302
    until = Change.objects.for_instance(todo, m2m=True).latest("id")
    order = {"chosen": ["tags"], "on_conflict": "overwrite", "until": until.pk}
    assert client.post(address("todos_todo_history_revert", 77, to=then), order).status_code == 302
    assert list(todo.tags.all()) == [tag]


@pytest.mark.parametrize("is_one_transaction", [False, True])
def test_rows_in_the_tables_of_parents(trail, client, monkeypatch, is_one_transaction):
    monkeypatch.setattr(
        type(site.get_model_admin(SpecialDocument)),
        "get_queryset",
        lambda admin, request: SpecialDocument.objects.exclude(title__startswith="secret"),
    )
    special = SpecialDocument.objects.create(title="secret", level=1)
    key, then = special.pk, now()
    if is_one_transaction:
        with transaction.atomic():
            special.delete()
            SpecialDocument.objects.create(id=key, title="open")
    else:
        special.delete()
        SpecialDocument.objects.create(id=key, title="open")
    trail.drain()
    client.force_login(staff("todos.view_specialdocument"))
    [history, compare, as_of, _] = pages(client, "todos_specialdocument", key, then)
    shown = [item for entry in history.context["timeline"].entries for item in entry.items]
    assert [item.row.change.operation for item in shown] == ["CREATE", "CREATE"]
    assert "secret" not in "".join(page.content.decode() for page in (history, compare, as_of))
