"""Steps of the history on a viewset whose code decides by the action: each is what it stands for."""

import pytest

from bemi_orm import Change
from bemi_orm.access import MASKED
from tests.integration.rest_client import client, ids, user
from tests.todos.models import Todo, TodoList

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.urls("tests.integration.rest_site")]


@pytest.fixture
def rows(trail):
    """A live todo that was changed, one that is gone, and the id of the change that made the first."""
    own = TodoList.objects.create(name="boss")
    live = Todo.objects.create(task="original", list=own, price=5)
    Todo.objects.filter(pk=live.pk).update(task="corrected")
    gone = Todo.objects.create(task="gone", list=own, price=5)
    key = gone.pk
    gone.delete()
    trail.drain()
    return live.pk, key, str(Change.objects.for_instance(live).created().get().pk)


@pytest.fixture
def plain():
    return client(user(name="plain", is_staff=False))


@pytest.fixture
def boss():
    return client(user(name="boss"))


def test_viewset_that_does_not_write_has_no_revert_and_no_restore(rows, plain):
    live, gone, created = rows
    assert len(ids(plain.get(f"/readonly/{live}/history/"))) == 2
    assert plain.post(f"/readonly/{live}/revert/", {"to": created}).status_code == 405
    assert plain.post(f"/readonly/{gone}/restore/").status_code == 405
    assert list(Todo.objects.values_list("task", flat=True)) == ["corrected"]


def test_revert_is_a_partial_update_where_there_is_no_other(rows, plain, boss):
    live, _, created = rows
    assert plain.post(f"/patched/{live}/revert/", {"to": created}).status_code == 403
    assert boss.post(f"/patched/{live}/revert/", {"to": created}).status_code == 200


def test_permissions_and_rows_are_those_of_the_action(rows, plain, boss):
    live, gone, created = rows
    other = client(user(name="other"))
    for who, status in ((plain, 403), (other, 404)):
        assert who.post(f"/by-action/{live}/revert/", {"to": created}).status_code == status
        assert who.post(f"/by-action/{gone}/restore/").status_code == status
    assert Todo.objects.get().task == "corrected"
    assert boss.post(f"/by-action/{live}/revert/", {"to": created}).status_code == 200
    assert Todo.objects.get().task == "original"
    restored = boss.post(f"/by-action/{gone}/restore/")
    assert (restored.status_code, restored.json()) == (201, {"id": gone, "task": "gone"})


def test_columns_are_those_that_reading_shows(rows, plain, boss):
    live, _, created = rows
    change = plain.get(f"/by-action/{live}/history/{created}/").json()
    assert (change["after"]["task"], change["after"]["price"]) == ("original", MASKED)
    assert plain.get(f"/by-action/{live}/as_of/", {"at": created}).json().keys() == {"id", "task"}
    [gone] = plain.get("/by-action/deleted/").json()["results"]
    assert (gone["object"].keys(), gone["change"]["before"]["price"]) == ({"id", "task"}, MASKED)
    Todo.objects.filter(pk=live).update(task="again", is_completed=True)
    body = {"to": created, "on_conflict": "overwrite"}
    refused = boss.post(f"/by-action/{live}/revert/", {"to": created})
    done = boss.post(f"/by-action/{live}/revert/", body)
    assert (refused.status_code, done.status_code) == (409, 200), done.content
    columns = {part["column"]: part["new"] for step in done.json()["steps"] for part in step["columns"]}
    assert columns["task"] == "original"


def test_parameters_of_the_filter_backends_narrow(rows, plain):
    live, _, _ = rows

    def gone(**query):
        return [row["object"]["task"] for row in plain.get("/readonly/deleted/", query).json()["results"]]

    assert (
        gone(search="gone")
        == gone(price=5)
        == gone(price__lt=6)
        == gone(dated_after="2026-01-01")
        == ["gone"]
    )
    assert gone(search="other") == gone(price=6) == gone(price__lt=5) == gone(dated_before="2026-01-01") == []
    assert plain.get(f"/readonly/{live}/history/", {"search": "corrected"}).status_code == 200
    assert plain.get(f"/readonly/{live}/history/", {"search": "gone"}).status_code == 404
    for unknown in ("serach", "ordering", "dated"):  # the order is that of the changes
        assert list(plain.get("/readonly/deleted/", {unknown: "task"}).json()) == [unknown]
