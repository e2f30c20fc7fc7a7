"""History on a project's own viewset: what the viewset hides has none, of rows that are gone as well."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

import bemi_orm
from bemi_orm import Change
from bemi_orm.access import MASKED, Access
from tests.integration.rest_client import client, ids, user
from tests.integration.travels import Trail
from tests.todos.models import SpecialDocument, Tag, Todo, TodoList

pytestmark = [
    pytest.mark.django_db(transaction=True, databases=["default", "other"]),
    pytest.mark.urls("tests.integration.rest_site"),
]


@pytest.fixture(params=["default", "other"])
def trail(request, settings):
    trail = Trail(settings, request.param)
    trail.open()
    yield trail
    trail.close()


@pytest.fixture
def alice():
    return client(user(name="alice", is_staff=False))


@pytest.fixture
def bob():
    return client(user(name="bob", is_staff=False))


@pytest.fixture
def lists():
    return {name: TodoList.objects.create(name=name) for name in ("alice", "bob")}


class NotPayroll(Access):
    """Sees no change that payroll made."""

    def scope(self, user, changes):
        return changes.context_not({"reason": "payroll"})


def update(todo, **values):
    Todo.objects.filter(pk=todo.pk).update(**values)


def objects(response):
    assert response.status_code == 200, response.content
    return [row["object"]["task"] for row in response.json()["results"]]


def test_history_and_past_of_a_live_object(trail, alice, bob, lists, settings):
    todo = Todo.objects.create(list=lists["bob"], task="a", meta={"secret": 1})
    other = Todo.objects.create(list=lists["alice"], task="other")
    update(todo, list=lists["alice"])
    update(todo, task="b", price=2)
    trail.drain()
    url = f"/todos/{todo.pk}/"

    renamed, moved, created = ids(alice.get(f"{url}history/"))
    first = alice.get(f"{url}history/", {"page_size": 1}).json()
    assert ids(alice.get(first["next"])) == [moved]
    change = alice.get(f"{url}history/{renamed}/").json()
    assert [(part["field"], part["old"], part["new"]) for part in change["diff"]][:1] == [("task", "a", "b")]
    assert (change["before"]["task"], change["before"]["meta"]) == ("a", MASKED)
    [foreign] = ids(alice.get(f"/todos/{other.pk}/history/"))
    for unknown in (foreign, "-" * 36):
        assert alice.get(f"{url}history/{unknown}/").status_code == 404

    assert alice.get(f"{url}as_of/", {"at": moved}).json()["task"] == "a"
    assert alice.get(f"{url}as_of/", {"at": renamed}).json() == alice.get(url).json()
    assert alice.get(f"{url}as_of/", {"at": created}).status_code == 404  # it was bob's then
    assert alice.get(f"{url}as_of/", {"at": foreign}).json().keys() == {"at"}
    for path in ("history/", f"history/{created}/", f"as_of/?at={created}"):
        assert bob.get(url + path).status_code == 404
    settings.BEMI_MASKED = {"todos.Todo": ["task"]}
    assert alice.get(f"{url}as_of/", {"at": renamed}).json()["task"] == MASKED
    assert alice.get(f"{url}history/{renamed}/").json()["after"]["task"] == MASKED
    update(todo, task="secret")
    assert alice.get(f"{url}history/").status_code == 403
    for query in ({"at": "soon"}, {"at": "2200-01-01"}, {}, {"att": moved}):
        assert alice.get(f"/todos/{other.pk}/as_of/", query).status_code == 400


def test_p28_gone_objects_are_seen_by_whom_they_were_shown_to(trail, alice, bob, lists):
    mine, his = (Todo.objects.create(list=lists[name], task=name) for name in ("alice", "bob"))
    secret = Todo.objects.create(list=lists["alice"], task="secret")
    Todo.objects.create(list=lists["alice"], task="stays")
    Todo.objects.filter(pk__in=[mine.pk, his.pk, secret.pk]).delete()
    trail.drain()

    [row] = alice.get("/todos/deleted/").json()["results"]
    assert row["object"] == {
        "id": mine.pk, "list": lists["alice"].pk, "task": "alice", "is_completed": False, "price": "1.10",
    }  # fmt: skip
    assert row["change"]["operation"] == "DELETE"
    assert objects(bob.get("/todos/deleted/")) == ["bob"]
    url = f"/todos/{mine.pk}/"
    deleted, created = ids(alice.get(f"{url}history/"))
    assert alice.get(f"{url}as_of/", {"at": created}).json()["task"] == "alice"
    assert alice.get(f"{url}as_of/", {"at": deleted}).status_code == 404
    assert alice.get(f"{url}history/{deleted}/").json()["operation"] == "DELETE"
    for path in ("history/", f"history/{created}/", f"as_of/?at={created}"):
        assert bob.get(url + path).status_code == 404
        assert alice.get(f"/todos/{secret.pk}/{path}").status_code == 403
    assert bob.post(f"{url}restore/").status_code == 404

    restored = alice.post(f"{url}restore/")
    assert (restored.status_code, restored.json()) == (201, alice.get(url).json())
    again = alice.post(f"{url}restore/")
    assert again.status_code == 409
    trail.drain()
    assert objects(alice.get("/todos/deleted/")) == []
    assert alice.post(f"/todos/{mine.pk + 1000}/restore/").status_code == 404


def test_filter_by_what_the_same_transaction_deleted_first(trail, alice, bob):
    """Django deletes links before the row, so it is the moment before the transaction that counts."""
    tag = Tag.objects.create(code="alice")
    todo = Todo.objects.create(task="tagged")
    todo.tags.add(tag)
    todo.delete()
    trail.drain()
    assert objects(alice.get("/tagged/deleted/")) == ["tagged"]
    assert objects(bob.get("/tagged/deleted/")) == []
    # The link does not come back, so she would not see the row: then it does not come back either.
    assert (
        alice.post(f"/tagged/{Change.objects.for_model(Todo).first().primary_key}/restore/").status_code
        == 404
    )
    assert not Todo.objects.exists()


def test_keys_of_text_parents_and_truncates(trail, alice):
    Tag.objects.create(code="red")
    Tag.objects.filter(code="red").delete()
    Tag.objects.create(code="blue")
    special = SpecialDocument.objects.create(title="a", level=1)
    SpecialDocument.objects.filter(pk=special.pk).update(title="b")
    key = str(special.pk)
    special_url = f"/special/{key}/"
    special.delete()
    trail.execute("TRUNCATE todos_tag, todos_todo_tags")
    trail.drain()

    def gone(path):
        return [row["object"] for row in alice.get(path).json()["results"]]

    assert gone("/tags/deleted/") == [{"code": "blue"}, {"code": "red"}]
    assert alice.post("/tags/red/restore/").status_code == 201
    assert len(ids(alice.get("/tags/blue/history/"))) == 1
    assert gone("/special/deleted/") == [{"id": key, "title": "b", "level": 1}]
    tables = {row["table"] for row in alice.get(f"{special_url}history/").json()["results"]}
    assert tables == {"todos_document", "todos_specialdocument"}
    assert alice.post(f"{special_url}restore/").json()["title"] == "b"
    assert alice.get(special_url).json()["level"] == 1


def test_revert_of_what_the_viewset_lets_be_written(trail, alice, bob, lists):
    todo = Todo.objects.create(list=lists["alice"], task="a", price=1)
    update(todo, task="b", price=2, is_completed=True)
    trail.drain()
    url = f"/todos/{todo.pk}/revert/"
    changed, created = ids(alice.get(f"/todos/{todo.pk}/history/"))

    assert bob.post(url, {"to": created}, format="json").status_code == 404
    for body, field in (
        ({}, "to"), ({"to": "soon"}, "to"), ({"to": created, "fields": ["price"]}, "fields"),
        ({"to": created, "field": ["task"]}, "field"),
    ):  # fmt: skip
        response = alice.post(url, body, format="json")
        assert (response.status_code, list(response.json())) == (400, [field])
    assert alice.post(url, {"to": created, "fields": ["task"]}, format="json").status_code == 200
    todo.refresh_from_db()
    assert (todo.task, todo.is_completed, todo.price) == ("a", True, 2)
    trail.drain()
    done = alice.post(url, {"to": created}, format="json")
    assert [step["effect"] for step in done.json()["steps"]] == ["update"]
    todo.refresh_from_db()
    assert (todo.task, todo.is_completed, todo.price) == ("a", False, 2)
    update(todo, task="z")
    refused = alice.post(url, {"to": changed}, format="json")
    assert (refused.status_code, refused.json()["conflicts"][0]["kind"]) == (409, "row changed since")


def test_row_that_had_the_key_before_is_another_object(trail, alice, bob, lists):
    other = Todo.objects.create(list=lists["bob"], task="his")
    key = other.pk
    other.delete()
    Todo.objects.create(pk=key, list=lists["alice"], task="mine")
    own = Todo.objects.create(list=lists["alice"], task="kept")
    own_key = own.pk
    own.delete()
    Todo.objects.create(pk=own_key, list=lists["alice"], task="again")
    trail.drain()
    his_creation = str(Change.objects.for_model(Todo).first().pk)
    url = f"/todos/{key}/"
    [mine] = ids(alice.get(f"{url}history/"))
    assert len(ids(alice.get(f"/todos/{own_key}/history/"))) == 3  # she could see the one before as well
    assert alice.get(f"{url}history/{his_creation}/").status_code == 404
    for at in (his_creation, "0/0"):
        assert list(alice.get(f"{url}as_of/", {"at": at}).json()) == ["at"]
        assert list(alice.post(f"{url}revert/", {"to": at}).json()) == ["to"]
    moment = Change.objects.get(pk=his_creation).committed_at.isoformat()
    assert alice.get(f"{url}as_of/", {"at": moment}).status_code == 404
    assert alice.post(f"{url}revert/", {"to": moment}).status_code == 403
    assert Todo.objects.get(pk=key).task == "mine"
    Todo.objects.get(pk=key).delete()
    trail.drain()
    assert mine in ids(alice.get(f"{url}history/"))
    assert his_creation not in ids(alice.get(f"{url}history/"))


def test_revert_restores_no_other_object_and_names_none(trail, alice, lists):
    hidden = TodoList.objects.create(name="hidden")
    todo = Todo.objects.create(list=hidden, task="a")
    update(todo, list=lists["alice"])
    hidden.delete()
    trail.drain()
    order = {"to": str(Change.objects.for_instance(todo).first().pk)}
    refused = alice.post(f"/todos/{todo.pk}/revert/", order)
    assert (refused.status_code, refused.json()["conflicts"][0]["by"]) == (409, [])
    assert alice.post(f"/todos/{todo.pk}/revert/", order | {"missing_parents": "restore"}).status_code == 403
    assert not TodoList.objects.filter(name="hidden").exists()


def test_state_that_a_change_out_of_scope_left_is_not_shown(trail, alice, lists, settings):
    settings.BEMI_ACCESS = f"{__name__}.NotPayroll"
    special = SpecialDocument.objects.create(title="seen", level=1)
    todo = Todo.objects.create(list=lists["alice"], task="seen")
    seen_at = trail.now().isoformat()
    with bemi_orm.context(reason="payroll"):
        update(todo, task="hidden")
        SpecialDocument.objects.filter(pk=special.pk).update(title="hidden")
    hidden_at = trail.now().isoformat()
    update(todo, task="after")
    SpecialDocument.objects.filter(pk=special.pk).update(level=2)
    after_at = trail.now().isoformat()
    trail.drain()
    for url, after in ((f"/todos/{todo.pk}/as_of/", 200), (f"/special/{special.pk}/as_of/", 403)):
        responses = [alice.get(url, {"at": at}) for at in (seen_at, hidden_at, after_at)]
        assert [response.status_code for response in responses] == [200, 403, after]
        assert not any("hidden" in response.content.decode() for response in responses)


@pytest.mark.parametrize("trail", ["default"], indirect=True)
def test_conflict_does_not_name_the_other_row(trail, alice):
    special = SpecialDocument.objects.create(title="a")
    key = special.pk
    special.delete()
    trail.drain()
    trail.execute("CREATE UNIQUE INDEX title_key ON todos_document (title)")
    try:
        other = SpecialDocument.objects.create(title="a")
        refused = alice.post(f"/special/{key}/restore/")
    finally:
        trail.execute("DROP INDEX title_key")
    [conflict] = refused.json()["conflicts"]
    assert (refused.status_code, conflict["kind"]) == (409, "unique value taken")
    assert str(other.pk) not in refused.content.decode()


@pytest.mark.parametrize("trail", ["default"], indirect=True)
def test_statement_does_not_give_away_what_the_serializer_leaves_out(trail, alice, lists):
    todo = Todo.objects.create(list=lists["alice"], task="a")
    with bemi_orm.context(reason="import"), connection.cursor() as cursor:
        cursor.execute(f"UPDATE todos_todo SET meta = '\"hidden\"' WHERE id = {todo.pk}")
    trail.drain()
    assert "hidden" in Change.objects.for_instance(todo).last().context["SQL"]
    response = alice.get(f"/todos/{todo.pk}/history/")
    assert response.json()["results"][0]["context"] == {"reason": "import", "SQL": MASKED}
    assert "hidden" not in response.content.decode()


@pytest.mark.parametrize("trail", ["default"], indirect=True)
def test_addresses_that_no_row_has(trail, alice):
    for path in ("tags/%00/history/", "tags/%00/as_of/?at=1h", "todos/99999999999999999999/history/"):
        assert alice.get(f"/{path}").status_code == 404
    assert alice.post("/tags/%00/restore/").status_code == 404


def test_revert_is_an_update_and_restore_a_creation(trail, lists):
    todo = Todo.objects.create(list=lists["alice"], task="a")
    update(todo, task="b")
    trail.drain()
    created = str(Change.objects.for_instance(todo).first().pk)
    reader, adder, changer = (
        client(user(*names, name=names[-1])) for names in
        (["view_todo"], ["view_todo", "add_todo"], ["view_todo", "change_todo"])
    )  # fmt: skip
    url = f"/guarded/{todo.pk}/"
    assert [who.post(f"{url}revert/", {"to": created}).status_code for who in (reader, adder)] == [403, 403]
    assert changer.post(f"{url}revert/", {"to": created}).status_code == 200
    todo.delete()
    trail.drain()
    assert [who.post(f"{url}restore/").status_code for who in (reader, changer)] == [403, 403]
    assert adder.post(f"{url}restore/").status_code == 201


@pytest.mark.parametrize("trail", ["default"], indirect=True)
def test_number_of_queries(trail, alice, lists, django_assert_max_num_queries):
    todo = Todo.objects.create(list=lists["alice"], task="a")
    for number in range(12):
        update(todo, task=str(number))
    gone = Todo.objects.create(list=lists["alice"], task="gone")
    for _ in range(5):
        Todo.objects.create(list=lists["alice"], task="x")
    Todo.objects.filter(task__in=["gone", "x"]).delete()
    trail.drain()
    last = Change.objects.for_instance(todo).last().pk
    for path, most in (("history/", 7), (f"history/{last}/", 7), (f"as_of/?at={last}", 20)):
        with django_assert_max_num_queries(most):
            assert alice.get(f"/todos/{todo.pk}/{path}").status_code == 200
    with django_assert_max_num_queries(20):
        assert alice.get(f"/todos/{gone.pk}/history/").status_code == 200
    with CaptureQueriesContext(connection) as one:
        assert len(objects(alice.get("/todos/deleted/", {"page_size": 1}))) == 1
    with CaptureQueriesContext(connection) as all_six:
        assert len(objects(alice.get("/todos/deleted/"))) == 6
    url = f"/todos/{todo.pk}/revert/"
    with django_assert_max_num_queries(45):
        assert alice.post(url, {"to": Change.objects.for_instance(todo).first().pk}).status_code == 200
    with django_assert_max_num_queries(60):
        assert alice.post(f"/todos/{gone.pk}/restore/").status_code == 201
    assert len(all_six) - len(one) == 5  # one journey for the transaction, one look for each row
