"""Who gets what from the REST API: closed by default, scoped, masked, throttled."""

import pytest
from django.contrib.auth.models import AnonymousUser, User
from rest_framework.settings import api_settings
from rest_framework.throttling import ScopedRateThrottle

from bemi_orm.access import MASKED, Access
from bemi_orm.rest_framework.permissions import throttles
from tests.integration.rest_client import PAGE, client, ids, user
from tests.integration.rows import START, store
from tests.todos.models import Todo

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.integration.rest_site")]

PATHS = [
    "", "{change}/", "{change}/diff/", "{change}/instance/", "{change}/transaction/", "{change}/revert_plan/",
    "state/?table=todos_todo&at={change}", "deleted/?table=todos_todo", "facets/", "export/",
]  # fmt: skip


class RowsOfA(Access):
    """Sees rows of team a alone."""

    def scope(self, user, changes):
        return changes.filter(after__team="a") | changes.filter(before__team="a")


@pytest.mark.parametrize("path", PATHS)
def test_closed_unless_the_permission_opens_it(path):
    url = PAGE + path.format(change=store())
    for closed in (user(name="a"), user("view_change", name="b", is_staff=False), AnonymousUser()):
        assert client(closed).get(url).status_code == 403
    assert client(user("view_change", name="c")).get(url).status_code == 200


def test_revert_has_a_permission_of_its_own():
    todo = Todo.objects.create(task="b")
    change = store(
        key=todo.pk,
        operation="UPDATE",
        before={"id": todo.pk, "task": "a"},
        after={"id": todo.pk, "task": "b"},
    )
    url = f"{PAGE}{change}/revert/"
    assert client(user("view_change", name="a")).post(url).status_code == 403
    assert client(user("revert_change", name="b")).post(url).status_code == 403
    assert client(user("view_change", "revert_change", name="c")).get(url).status_code == 405
    todo.refresh_from_db()
    assert todo.task == "b"
    assert client(user("view_change", "revert_change", name="d")).post(url).status_code == 200
    todo.refresh_from_db()
    assert todo.task == "a"


def test_nothing_is_written_by_other_methods():
    change = store()
    api = client(user("view_change", "revert_change"))
    for method in (api.post, api.put, api.patch, api.delete):
        assert method(PAGE, {}, format="json").status_code == 405
        assert method(f"{PAGE}{change}/", {}, format="json").status_code == 405


def test_scope_holds_everywhere(settings):
    settings.BEMI_ACCESS = f"{__name__}.RowsOfA"
    api = client(user("view_change", "revert_change"))
    mine = str(store(transaction=5, key=1, operation="CREATE", after={"id": 1, "team": "a"}))
    other = str(store(transaction=5, ordinal=1, key=2, operation="CREATE", after={"id": 2, "team": "b"}))
    assert ids(api.get(PAGE)) == [mine]
    assert ids(api.get(f"{PAGE}{mine}/transaction/")) == [mine]
    for path in ("", "diff/", "instance/", "transaction/", "revert_plan/"):
        assert api.get(f"{PAGE}{other}/{path}").status_code == 404
    assert api.post(f"{PAGE}{other}/revert/").status_code == 404
    state = api.get(f"{PAGE}state/", {"table": "todos_todo", "at": mine}).json()["results"]
    assert [row["primary_key"] for row in state] == ["1"]
    assert api.get(f"{PAGE}state/", {"table": "todos_todo", "at": other}).status_code == 400
    assert api.get(PAGE, {"transaction": other}).status_code == 400
    facets = api.get(f"{PAGE}facets/", {"since": "2026-01-01", "until": "2026-02-01"}).json()
    assert facets["by"]["table"] == [{"value": "todos_todo", "count": 1}]
    exported = b"".join(api.get(f"{PAGE}export/").streaming_content).decode()
    assert mine in exported
    assert other not in exported
    store(transaction=6, key=2, operation="DELETE", before={"id": 2, "team": "b"})
    gone = str(store(transaction=6, ordinal=1, key=1, operation="DELETE", before={"id": 1, "team": "a"}))
    assert ids(api.get(f"{PAGE}deleted/", {"table": "todos_todo"})) == [gone]


def test_change_in_the_way_that_is_out_of_sight_is_not_named(settings):
    settings.BEMI_ACCESS = f"{__name__}.RowsOfA"
    todo = Todo.objects.create(task="c")
    row = {"id": todo.pk, "task": "a"}
    mine = store(
        key=todo.pk, operation="UPDATE", before=row | {"team": "a"}, after=row | {"team": "a", "task": "b"}
    )
    store(key=todo.pk, operation="UPDATE", before=row | {"task": "b"}, after=row | {"task": "c"})
    [conflict] = client(user("view_change")).get(f"{PAGE}{mine}/revert_plan/").json()["conflicts"]
    assert (conflict["kind"], conflict["by"]) == ("row changed since", [])


def test_what_is_out_of_sight_is_not_overwritten(settings):
    settings.BEMI_ACCESS = f"{__name__}.RowsOfA"
    todo = Todo.objects.create(task="c")
    row = {"id": todo.pk, "task": "a"}
    mine = store(
        key=todo.pk, operation="UPDATE", before=row | {"team": "a"}, after=row | {"team": "a", "task": "b"}
    )
    store(key=todo.pk, operation="UPDATE", before=row | {"task": "b"}, after=row | {"task": "c"})
    api = client(user("view_change", "revert_change"))
    refused = api.post(f"{PAGE}{mine}/revert/", {"on_conflict": "overwrite"})
    assert (refused.status_code, "may not see" in refused.json()["detail"]) == (403, True)
    assert Todo.objects.get().task == "c"


@pytest.fixture
def masked(settings):
    """A change whose `task` and context's `ip` are masked for the client."""
    settings.BEMI_MASKED = {"todos.Todo": ["task"], "context": ["ip", "request.token"]}
    todo = Todo.objects.create(task="hidden-new")
    change = store(
        key=todo.pk, operation="UPDATE", committed_at=START,
        before={"id": todo.pk, "task": "hidden-old", "price": 1}, after={"id": todo.pk, "task": "hidden-new"},
        context={"ip": "hidden-ip", "request": {"token": "hidden-token", "path": "/"}, "user_id": 1},
    )  # fmt: skip
    store(key=999, operation="DELETE", before={"id": 999, "task": "hidden-gone"}, committed_at=START)
    return str(change)


@pytest.mark.parametrize("path", [*PATHS, "export/?form=csv", "?fields=diff,after", "export/?fields=diff"])
def test_masked_values_are_in_no_answer(masked, path):
    response = client(user("view_change")).get(PAGE + path.format(change=masked))
    assert response.status_code == 200
    body = (b"".join(response.streaming_content) if response.streaming else response.content).decode()
    assert "hidden" not in body
    if not path.startswith("facets"):
        assert MASKED in body


@pytest.mark.parametrize("path", ["", "{change}/diff/", "{change}/instance/", "export/"])
def test_who_may_see_masked_values_does(masked, path):
    response = client(user("view_change", "view_masked")).get(PAGE + path.format(change=masked))
    body = (b"".join(response.streaming_content) if response.streaming else response.content).decode()
    assert "hidden-new" in body
    assert MASKED not in body


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"after.task": "hidden-new"}, "after.task"),
        ({"before.task.a": "x"}, "before.task.a"),
        ({"changed": "task"}, "changed"),
        ({"model": "todos.Todo", "changed": "task"}, "changed"),
        ({"table": "todos_todo", "before.task": "x"}, "before.task"),
        ({"table": "todos_todo,todos_tag", "before.task": "x"}, "before.task"),
        ({"context.ip": "hidden-ip"}, "context.ip"),
        ({"context.ip.v4": "x"}, "context.ip.v4"),
        ({"context.request.token": "x"}, "context.request.token"),
        ({"context.request": '{"token": "x"}'}, "context.request"),
    ],
)
@pytest.mark.parametrize("path", ["", "export/", "facets/"])
def test_masked_fields_are_no_filter(masked, path, query, field):
    response = client(user("view_change")).get(PAGE + path, query)
    assert (response.status_code, list(response.json())) == (400, [field])
    allowed = client(user("view_change", "view_masked", name="other")).get(PAGE + path, query)
    assert allowed.status_code == 200


def test_masks_of_a_former_table_count_for_the_model(settings):
    settings.BEMI_RENAMED = {"todos.Todo": {"tables": ["item"]}}
    settings.BEMI_MASKED = {"item": ["title"]}
    response = client(user("view_change")).get(PAGE, {"model": "todos.Todo", "after.title": "x"})
    assert list(response.json()) == ["after.title"]


@pytest.mark.parametrize(
    "query",
    [{"context.request.path": "/"}, {"table": "todos_tag", "after.task": "x"}, {"context.user_id": "1"}],
)
def test_what_is_not_masked_stays_a_filter(masked, query):
    assert client(user("view_change")).get(PAGE, query).status_code == 200


@pytest.mark.parametrize("by", ["context.ip", "context.request", "context.request.token", "table,context.ip"])
def test_masked_keys_are_no_facet(masked, by):
    api = client(user("view_change"))
    assert list(api.get(f"{PAGE}facets/", {"by": by}).json()) == ["by"]
    assert api.get(f"{PAGE}facets/", {"by": "context.request.path"}).status_code == 200


@pytest.mark.parametrize("by", ["0", "0.ip", "-1", " 0.ip", "+0.ip", "0.ip.x"])
def test_masked_keys_in_a_list_are_no_facet(settings, by):
    settings.BEMI_MASKED = {"context": ["hops.ip"]}
    store(context={"hops": [{"ip": "hidden"}]}, committed_at=START)
    query = {"by": f"context.hops.{by}", "since": "2025-12-31", "until": "2026-01-02"}
    response = client(user("view_change")).get(f"{PAGE}facets/", query)
    assert list(response.json()) == ["by"]
    assert (response.status_code, "hidden" in response.content.decode()) == (400, False)


@pytest.mark.parametrize(("text", "is_found"), [("hidden", False), ("masked", False), ("1", True)])
def test_search_does_not_look_at_masked_values(masked, text, is_found):
    query = {"search": text, "since": "2025-12-31", "until": "2026-01-02"}
    assert bool(ids(client(user("view_change")).get(PAGE, query))) is is_found
    assert ids(
        client(user("view_change", "view_masked", name="other")).get(PAGE, query | {"search": "hidden-t"})
    )


def test_user_is_no_filter_where_the_context_hides_it(settings):
    settings.BEMI_MASKED = {"context": ["user_id", "trace_id"]}
    api = client(user("view_change"))
    for name in ("user", "trace_id"):
        assert list(api.get(PAGE, {name: "1"}).json()) == [name]


def test_masked_column_is_not_put_back_unseen(masked):
    api = client(user("view_change", "revert_change"))
    refused = api.post(f"{PAGE}{masked}/revert/", {}, format="json")
    assert (refused.status_code, "task" in refused.json()["detail"]) == (403, True)
    assert Todo.objects.get().task == "hidden-new"
    done = client(user("view_change", "revert_change", "view_masked", name="x")).post(
        f"{PAGE}{masked}/revert/"
    )
    assert done.status_code == 200
    assert Todo.objects.get().task == "hidden-old"


@pytest.fixture
def gone_account():
    """The deletion of a row with a masked value, and its key."""
    row = {"id": 4711, "username": "gone", "password": "old-hash", "is_superuser": False, "first_name": ""}
    row |= {"last_name": "", "email": "", "is_staff": False, "is_active": True, "last_login": None}
    change = store(
        table="auth_user", key=4711, operation="DELETE", before=row | {"date_joined": "2026-01-01T00:00:00Z"}
    )
    return f"{PAGE}{change}/revert/"


@pytest.mark.parametrize(("how", "status"), [("raise", 409), ("skip", 200), ("overwrite", 403)])
def test_masked_column_is_not_put_over_a_row_that_is_there_again(gone_account, how, status):
    User.objects.create(pk=4711, username="new", password="new")
    api = client(user("view_change", "revert_change"))
    response = api.post(gone_account, {"on_conflict": how})
    assert response.status_code == status
    assert User.objects.get(pk=4711).password == "new"


def test_row_comes_back_with_its_masked_columns(gone_account):
    response = client(user("view_change", "revert_change")).post(gone_account)
    assert response.status_code == 200
    assert User.objects.get(pk=4711).password == "old-hash"
    assert "old-hash" not in response.content.decode()


def test_search_passes_over_masked_keys_with_dots(settings):
    settings.BEMI_MASKED = {"context": ["http.client.ip"]}
    store(context={"http.client.ip": "hidden"}, committed_at=START)
    store(context={"http.client": {"ip": "hidden"}}, committed_at=START)
    api = client(user("view_change"))
    assert ids(api.get(PAGE, {"search": "hidden", "since": "2025-12-31", "until": "2026-01-02"})) == []
    assert "hidden" not in api.get(PAGE).content.decode()


def test_column_masked_under_a_former_name_is_so_under_its_own(settings):
    settings.BEMI_RENAMED = {"todos.Todo": {"columns": {"title": "task"}}}
    settings.BEMI_MASKED = {"todos_todo": ["title"]}
    api = client(user("view_change"))
    for column in ("title", "task"):
        change = store(after={"id": 1, column: "hidden"})
        for path in ("", "diff/", "instance/"):
            assert "hidden" not in api.get(f"{PAGE}{change}/{path}").content.decode()


def test_nobody_at_all_is_refused():
    """As where the framework's UNAUTHENTICATED_USER is None."""
    assert client(None).get(PAGE).status_code == 403
    assert not Access().may_revert(None)
    assert Access().masked(None)


def test_password_is_masked_by_default():
    change = store(table="auth_user", key=1, operation="CREATE", after={"id": 1, "password": "hidden"})
    api = client(user("view_change"))
    assert api.get(f"{PAGE}{change}/").json()["after"] == {"id": 1, "password": MASKED}


def test_throttle_scopes_count_only_where_the_project_sets_rates(monkeypatch):
    assert ScopedRateThrottle not in throttles()
    api = client(user("view_change"))
    assert all(api.get(PAGE).status_code == 200 for _ in range(3))
    monkeypatch.setattr(api_settings, "DEFAULT_THROTTLE_RATES", {"bemi_export": "1/day"})
    assert [api.get(f"{PAGE}export/").status_code for _ in range(2)] == [200, 429]
    assert api.get(PAGE).status_code == 200
