"""The endpoints of all changes: what they give, and what it costs."""

import json
import uuid
from base64 import b64encode
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from bemi_orm.access import Access
from bemi_orm.exceptions import ConfigurationError
from bemi_orm.rest_framework import moments
from bemi_orm.rest_framework.encoding import exact_line
from bemi_orm.rest_framework.parameters import FIELDS
from tests.integration.rest_client import PAGE, client, fill, ids, user
from tests.integration.rows import next_transaction, store
from tests.todos.models import Todo, TodoList

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.integration.rest_site")]


class Nothing(Access):
    """Sees nothing."""

    def scope(self, user, changes):
        return changes.none()


class NoTable(Access):
    """Sees nothing, as a query finds out."""

    def scope(self, user, changes):
        return changes.filter(table__in=[])


@pytest.fixture
def api():
    return client(user("view_change", "revert_change", "view_masked"))


def stored(**options):
    return str(store(**({"key": 1, "operation": "UPDATE"} | options)))


def test_list_is_the_newest_first_and_holds_exact_images(api):
    first = stored(before='{"price": 1.10, "big": 12345678901234567890.5}', context={"user_id": 1})
    second = stored(after={"double": "NaN", "name": "é"})
    response = api.get(PAGE)
    assert ids(response) == [second, first]
    assert '"before":{"big":12345678901234567890.5,"price":1.10}' in response.content.decode()
    newest, oldest = response.json()["results"]
    assert tuple(newest) == FIELDS
    assert newest["after"] == {"double": "NaN", "name": "é"}
    assert oldest["context"] == {"user_id": 1}
    assert (newest["model"], newest["table"], newest["primary_key"]) == ("todos.Todo", "todos_todo", "1")


def test_fields_select(api):
    stored(before={"id": 1, "task": "a"}, after={"id": 1, "task": "b"})
    [row] = api.get(PAGE, {"fields": "id,diff"}).json()["results"]
    assert list(row) == ["id", "diff"]
    assert row["diff"] == [{"field": "task", "old": "a", "new": "b", "unknown": []}]


def test_pages_hang_together_while_changes_arrive(api):
    stored_ids = [stored() for _ in range(5)]
    response = api.get(PAGE, {"page_size": 2})
    seen = ids(response)
    stored()
    while url := response.json()["next"]:
        response = api.get(url)
        seen += ids(response)
    assert seen == stored_ids[::-1]
    assert ids(api.get(response.json()["previous"])) == stored_ids[2:0:-1]


def test_order_can_be_turned(api):
    stored_ids = [stored() for _ in range(3)]
    page = api.get(PAGE, {"ordering": "id", "page_size": 2})
    assert ids(page) + ids(api.get(page.json()["next"])) == stored_ids


def test_page_at_any_depth_reads_no_more_than_itself(api):
    fill(10_000)
    with CaptureQueriesContext(connection) as queries:
        first = api.get(PAGE)
        position = "00000000-1000-8010-8000-000000000007"
        cursor = b64encode(f"p={position}".encode()).decode()
        assert len(ids(api.get(PAGE, {"cursor": cursor}))) == 15
        assert len(ids(first)) == 50
    for query in queries:
        with connection.cursor() as explained:
            explained.execute(f"EXPLAIN (ANALYZE, TIMING off, COSTS off) {query['sql']}")
            text = "\n".join(line for (line,) in explained.fetchall())
        assert "Index Scan Backward" in text
        assert "Sort" not in text
        assert "Rows Removed" not in text


def test_count_is_left_out_or_estimated(api):
    stored()
    assert "estimated_count" not in api.get(PAGE).json()
    assert api.get(PAGE, {"count": "estimate"}).json()["estimated_count"] > 0


@pytest.mark.parametrize("rules", ["Nothing", "NoTable"])
@pytest.mark.parametrize(
    "path", ["?count=estimate", "?effective=false", "deleted/?table=todos_todo&count=estimate"]
)
def test_who_sees_nothing_gets_an_empty_page(api, settings, rules, path):
    settings.BEMI_ACCESS = f"{__name__}.{rules}"
    stored()
    response = api.get(PAGE + path)
    assert ids(response) == []
    assert response.json().get("estimated_count", 0) == 0


@pytest.mark.parametrize(
    "path",
    ["", "?last=24h", "?since=2026-01-01", "facets/?per=hour", "state/?table=todos_todo&at=1h", "export/"],
)
def test_times_without_a_zone(api, settings, path):
    settings.USE_TZ, settings.TIME_ZONE = False, "Asia/Tokyo"
    stored(committed_at=timezone.make_aware(timezone.now()))
    assert api.get(PAGE + path).status_code == 200


def test_retrieve_and_unknown_ids(api):
    change = stored()
    assert api.get(f"{PAGE}{change}/").json()["id"] == change
    for other in (uuid.uuid4(), "-" * 36, "x"):
        assert api.get(f"{PAGE}{other}/").status_code == 404


@pytest.mark.parametrize(
    ("operation", "before", "after", "diff"),
    [
        ("CREATE", {}, {"task": "a"}, [("task", None, "a", [])]),
        ("DELETE", {"task": "a"}, {}, [("task", "a", None, [])]),
        ("UPDATE", {"id": 1}, {"id": 1, "task": "a"}, [("task", None, "a", ["old"])]),
        ("UPDATE", {"price": 1.10}, {"price": 1.1}, []),
        ("UPDATE", {"list_id": 1}, {"list_id": None}, [("list_id", 1, None, [])]),
        ("TRUNCATE", {}, {}, []),
    ],
)
def test_p22_diff_by_the_fields_with_the_values_of_the_row(api, operation, before, after, diff):
    change = stored(operation=operation, before=before, after=after)
    found = api.get(f"{PAGE}{change}/diff/").json()["diff"]
    assert [tuple(part.values()) for part in found] == diff


def test_instance_is_named_by_fields_and_says_what_is_not_known(api):
    change = stored(before={"id": 1}, after={"id": 1, "list_id": 5, "colour": "red"})
    found = api.get(f"{PAGE}{change}/instance/").json()
    assert found["values"] == {"id": 1, "list_id": 5, "colour": "red"}
    assert "task" in found["unknown"]
    assert found["model"] == "todos.Todo"
    gone = stored(operation="DELETE", before={"id": 1, "task": "a"})
    assert api.get(f"{PAGE}{gone}/instance/").json()["values"] == {"id": 1, "task": "a"}
    other = stored(table="nobody", after={"x": [1]})
    assert api.get(f"{PAGE}{other}/instance/").json() == {
        "model": None, "primary_key": "1", "values": {"x": [1]}, "unknown": [],
    }  # fmt: skip
    emptied = stored(operation="TRUNCATE", key=None)
    assert api.get(f"{PAGE}{emptied}/instance/").json()["values"] is None


def test_transaction_is_all_its_changes_in_order(api):
    number = next_transaction()
    stored()
    mine = [stored(transaction=number, ordinal=ordinal) for ordinal in range(3)]
    page = api.get(f"{PAGE}{mine[1]}/transaction/", {"page_size": 2})
    assert ids(page) + ids(api.get(page.json()["next"])) == mine


def test_state_of_a_table_and_of_a_row(api):
    first = stored(operation="CREATE", after={"id": 1, "task": "a"})
    stored(key=2, operation="CREATE", after={"id": 2, "task": "x"})
    middle = stored(before={"id": 1, "task": "a"}, after={"id": 1, "task": "b"})
    stored(key=2, operation="DELETE", before={"id": 2, "task": "x"})

    def rows(at, **more):
        answer = api.get(f"{PAGE}state/", {"table": "todos_todo", "at": at, **more}).json()
        return [row["row"]["task"] for row in answer["results"]]

    assert rows(first) == ["a"]
    assert rows(middle) == ["b", "x"]
    assert rows(middle, primary_key=2) == ["x"]
    now = stored(table="todos_tag", key="later")
    assert rows(now) == ["b"]
    assert rows(now, primary_key=2) == []


def test_pages_of_a_state_are_of_one_moment(api, monkeypatch):
    """A time that is said from now on is another one when the next page is asked for."""
    for key in range(6):
        stored(key=key, operation="CREATE", after={"id": key})
    stored(table="todos_tag", key="later", committed_at=timezone.now() - timedelta(minutes=1))
    response = api.get(f"{PAGE}state/", {"table": "todos_todo", "at": "1h", "page_size": 3})
    seen = [row["primary_key"] for row in response.json()["results"]]
    stored(key=0, before={"id": 0}, after={"id": 0, "task": "b"}, committed_at=timezone.now())
    now = moments.local_now() + timedelta(hours=2)
    monkeypatch.setattr(moments, "local_now", lambda: now)
    page = api.get(response.json()["next"])
    seen += [row["primary_key"] for row in page.json()["results"]]
    assert sorted(seen) == list("012345")
    assert "at=1h" not in page.json()["previous"]


def test_p28_deleted_rows_of_a_table(api):
    stored(operation="CREATE", after={"id": 1})
    stored(key=2, operation="CREATE", after={"id": 2})
    gone = stored(key=2, operation="DELETE", before={"id": 2})
    assert ids(api.get(f"{PAGE}deleted/", {"model": "todos.Todo"})) == [gone]
    assert ids(api.get(f"{PAGE}deleted/", {"table": "todos_tag"})) == []
    for path in ("deleted/", f"state/?at={gone}"):
        assert api.get(PAGE + path).json() == {"table": ["Give table or model."]}


def test_facets_of_a_bounded_time(api):
    now = timezone.now()
    for hours, operation, context in ((1, "CREATE", {"user_id": 1}), (2, "CREATE", {}), (30, "DELETE", {})):
        stored(operation=operation, context=context, committed_at=now - timedelta(hours=hours))
    found = api.get(f"{PAGE}facets/", {"by": "operation,context.user_id", "per": "day"}).json()
    assert found["by"]["operation"] == [{"value": "CREATE", "count": 2}]
    assert sorted(row["count"] for row in found["by"]["context.user_id"]) == [1, 1]
    assert sum(bucket["count"] for bucket in found["buckets"]) == 2
    found = api.get(f"{PAGE}facets/", {"last": "2d", "operation": "DELETE"}).json()
    assert found["by"] == {
        "table": [{"value": "todos_todo", "count": 1}],
        "operation": [{"value": "DELETE", "count": 1}],
    }


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"by": "before"}, "by"),
        ({"by": "table,table,table,table,table,table"}, "by"),
        ({"per": "minute", "last": "7d"}, "per"),
        ({"per": "week"}, "per"),
        ({"time_zone": "Mars/Olympus"}, "time_zone"),
        ({"time_zone": "../../etc/passwd"}, "time_zone"),
        ({"limit": "101"}, "limit"),
        ({"since": "tomorrowish"}, "since"),
        ({"until": "0001-01-01"}, "until"),
        ({"since": "2024-01-01", "until": "2025-06-01"}, "since"),
        ({"last": "367d"}, "last"),
        ({"by": "context" + ".a" * 200}, "by"),
    ],
)
def test_facets_that_cannot_be_counted(api, query, field):
    response = api.get(f"{PAGE}facets/", query)
    assert response.status_code == 400
    assert list(response.json()) == [field]


def test_revert_plan_writes_nothing_and_revert_does(api):
    todo_list = TodoList.objects.create(name="new")
    change = stored(
        table="todos_todolist", key=todo_list.pk,
        before={"id": todo_list.pk, "name": "old"}, after={"id": todo_list.pk, "name": "new"},
    )  # fmt: skip
    planned = api.get(f"{PAGE}{change}/revert_plan/").json()
    assert planned["conflicts"] == []
    [step] = planned["steps"]
    assert step["effect"] == "update"
    assert step["columns"] == [{"column": "name", "old": "new", "new": "old", "is_made_up": False}]
    assert TodoList.objects.get().name == "new"
    done = api.post(f"{PAGE}{change}/revert/", {"fields": ["name"]}, format="json")
    assert (done.status_code, done.json()["steps"]) == (200, [step])
    assert TodoList.objects.get().name == "old"


def test_conflict_is_explained_and_nothing_is_changed(api):
    todo = Todo.objects.create(task="c")
    change = stored(key=todo.pk, before={"id": todo.pk, "task": "a"}, after={"id": todo.pk, "task": "b"})
    by = stored(
        key=todo.pk, before={"id": todo.pk, "task": "b"}, after={"id": todo.pk, "task": "c"},
        context={"user_id": 9},
    )  # fmt: skip
    response = api.post(f"{PAGE}{change}/revert/", {}, format="json")
    assert response.status_code == 409
    [conflict] = response.json()["conflicts"]
    assert conflict["kind"] == "row changed since"
    assert conflict["columns"] == ["task"]
    assert [(culprit["change"], culprit["context"]) for culprit in conflict["by"]] == [(by, {"user_id": 9})]
    todo.refresh_from_db()
    assert todo.task == "c"
    skipped = api.post(f"{PAGE}{change}/revert/", {"on_conflict": "skip"}, format="json").json()
    assert (skipped["steps"], len(skipped["skipped"])) == ([], 1)
    forced = api.post(f"{PAGE}{change}/revert/", {"on_conflict": "overwrite"}, format="json")
    assert forced.status_code == 200
    todo.refresh_from_db()
    assert todo.task == "a"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"on_conflict": "whatever"}, "on_conflict"),
        ({"fields": []}, "fields"),
        ({"fields": ["tsak"]}, "fields"),
        ({"feilds": ["task"]}, "feilds"),
        ({"missing_parents": "x"}, "missing_parents"),
        (r'{"half a pair \ud800": 1}', r"half a pair \ud800"),
        (r'{"fields": ["\ud800"]}', "fields"),
        ('{"fields": ["\\u0000"]}', "fields"),
        ("[]", "non_field_errors"),
        ("{", "detail"),
    ],
)
def test_wrong_orders_to_revert(api, body, field):
    todo = Todo.objects.create(task="b")
    change = stored(key=todo.pk, before={"id": todo.pk, "task": "a"}, after={"id": todo.pk, "task": "b"})
    text = body if isinstance(body, str) else json.dumps(body)
    response = api.post(f"{PAGE}{change}/revert/", text, content_type="application/json")
    assert response.status_code == 400
    assert list(response.json()) == [field]
    todo.refresh_from_db()
    assert todo.task == "b"


def test_etag_is_answered_by_304_and_answers_are_private(api):
    change = stored()
    for url in (PAGE, f"{PAGE}{change}/", f"{PAGE}facets/?since=2026-01-01&until=2026-02-01"):
        response = api.get(url)
        assert set(response["Cache-Control"].split(", ")) == {"private", "no-cache"}
        again = api.get(url, headers={"If-None-Match": response["ETag"]})
        assert (again.status_code, again.content) == (304, b"")
        assert again["ETag"] == response["ETag"]
    stored()
    assert api.get(PAGE, headers={"If-None-Match": api.get(PAGE)["ETag"] + "x"}).status_code == 200
    assert "private" in api.get(PAGE, {"x": 1})["Cache-Control"]


@pytest.mark.parametrize(
    ("path", "queries"),
    [
        ("", 1),
        ("?count=estimate&context.user_id=1&changed=task&before.task=a", 2),
        ("{change}/", 1),
        ("{change}/diff/", 1),
        ("{change}/instance/", 1),
        ("{change}/transaction/", 2),
        ("state/?table=todos_todo&at={change}", 3),
        ("deleted/?table=todos_todo", 2),
        ("facets/?by=table,operation,context.user_id&per=hour", 4),
        ("export/", 1),
    ],
)
def test_p20_number_of_queries_does_not_depend_on_what_is_stored(
    api, path, queries, django_assert_num_queries
):
    change = stored(operation="CREATE", after={"id": 1, "task": "a"}, context={"user_id": 1})

    def ask():
        with django_assert_num_queries(queries):
            response = api.get(PAGE + path.format(change=change))
            assert response.status_code == 200
            if response.streaming:
                b"".join(response.streaming_content)

    ask()
    for key in range(2, 12):
        stored(key=key, operation="CREATE", after={"id": key, "task": "a"}, context={"user_id": 1})
    ask()


def test_number_of_queries_of_a_revert(api, django_assert_max_num_queries):
    todo_list = TodoList.objects.create(name="b")
    change = stored(
        table="todos_todolist", key=todo_list.pk,
        before={"id": todo_list.pk, "name": "a"}, after={"id": todo_list.pk, "name": "b"},
    )  # fmt: skip
    with django_assert_max_num_queries(12):
        assert api.get(f"{PAGE}{change}/revert_plan/").status_code == 200
    with django_assert_max_num_queries(30):
        assert api.post(f"{PAGE}{change}/revert/", {}, format="json").status_code == 200


def test_values_that_json_has_no_form_for(api):
    values = {"bytes": b"\x00\xff", "infinity": float("-inf"), "object": object, "nested": [{"n": 1}]}
    found = json.loads(exact_line(values))
    assert (found["bytes"], found["infinity"], found["nested"]) == ("\\x00ff", "-Infinity", [{"n": 1}])


@pytest.mark.parametrize("depth", [1, 600])
def test_row_nested_deeply_hides_no_page(api, depth):
    stored(after=f'{{"x": {"[" * depth}1.10{"]" * depth}}}')
    for query in ({}, {"fields": "diff"}):
        assert f"{'[' * depth}1.10{']' * depth}" in api.get(PAGE, query).content.decode()


def test_number_cannot_be_made_up_from_a_text():
    texts = ["1.10", '"1.10"', "\\1", r"\g<0>"]
    assert exact_line([Decimal("1.10"), texts]) == f"[1.10,{json.dumps(texts, separators=(',', ':'))}]"


@pytest.mark.parametrize(("method", "path", "status"), [("get", "revert_plan", 200), ("post", "revert", 409)])
def test_value_that_its_column_cannot_hold_any_more_is_a_reason(api, method, path, status):
    todo_list = TodoList.objects.create(name="short")
    change = stored(
        table="todos_todolist", key=todo_list.pk,
        before={"id": todo_list.pk, "name": "x" * 200}, after={"id": todo_list.pk, "name": "short"},
    )  # fmt: skip
    response = getattr(api, method)(f"{PAGE}{change}/{path}/")
    assert response.status_code == status
    [conflict] = response.json()["conflicts"]
    assert (conflict["kind"], conflict["columns"]) == ("the database refuses it", ["name"])
    assert conflict["detail"] == "a stored value is none of character varying(100)"


def test_form_of_the_page_for_people_reverts(api):
    todo_list = TodoList.objects.create(name="b")
    change = stored(
        table="todos_todolist", key=todo_list.pk,
        before={"id": todo_list.pk, "name": "a"}, after={"id": todo_list.pk, "name": "b"},
    )  # fmt: skip
    form = {"csrfmiddlewaretoken": "x", "on_conflict": "raise", "missing_parents": "conflict"}
    assert api.post(f"{PAGE}{change}/revert/", form, format="multipart").status_code == 200
    assert TodoList.objects.get().name == "a"


def test_page_for_people_does_without_the_app_of_the_filters(api, settings):
    settings.INSTALLED_APPS = [name for name in settings.INSTALLED_APPS if name != "django_filters"]
    assert api.get(PAGE, headers={"Accept": "text/html"}).status_code == 200


def test_pages_for_people_and_options(api):
    change = stored(after={"task": "<b>x</b>"})
    for path in ("", f"{change}/", f"{change}/diff/", f"{change}/revert/", "facets/"):
        response = api.options(PAGE + path)
        assert response.status_code == 200
    for path in ("", f"{change}/", f"{change}/diff/", "facets/"):
        response = api.get(PAGE + path, headers={"Accept": "text/html"})
        assert response.status_code == 200
        assert response["Content-Type"].startswith("text/html")
        assert b"<b>x</b>" not in response.content


def test_change_of_another_database_is_not_reverted_here(api):
    change = stored(database="elsewhere")
    response = api.get(f"{PAGE}{change}/revert_plan/")
    assert (response.status_code, "elsewhere" in response.json()["detail"]) == (409, True)


def test_wrong_setting_is_no_answer_for_a_user(api, settings):
    settings.BEMI_ACCESS = "nowhere.Access"
    with pytest.raises(ConfigurationError):
        api.get(PAGE)


def test_viewset_in_a_router_of_the_project_with_a_queryset_of_its_own(api):
    other = stored()
    mine = stored(operation="DELETE", before={"id": 1})
    assert ids(api.get("/routed/deletes/")) == [mine]
    assert ids(api.get("/routed/deletes/deleted.json", {"table": "todos_todo"})) == [mine]
    assert api.get(f"/routed/deletes/{mine}/diff.json").json()["operation"] == "DELETE"
    assert api.get(f"/routed/deletes/{other}/diff/").status_code == 404
    facets = api.get("/routed/deletes/facets/", {"since": "2026-01-01", "until": "2026-02-01"}).json()
    assert facets["by"]["operation"] == [{"value": "DELETE", "count": 1}]


def test_conflicts_name_only_what_the_queryset_of_the_project_shows(api):
    todo_list = TodoList.objects.create(name="x")
    row = {"table": "todos_todolist", "key": todo_list.pk}
    gone = stored(**row, operation="DELETE", before={"id": todo_list.pk, "name": "old"})
    stored(**row, operation="CREATE", after={"id": todo_list.pk, "name": "x"})
    [conflict] = api.get(f"/routed/deletes/{gone}/revert_plan/").json()["conflicts"]
    assert (conflict["kind"], conflict["by"]) == ("row exists again", [])
    refused = api.post(f"/routed/deletes/{gone}/revert/", {"on_conflict": "overwrite"})
    assert refused.status_code == 403
    assert TodoList.objects.get().name == "x"


def test_filters_of_the_project_count_everywhere(api):
    mine = stored(key=1, operation="DELETE", before={"id": 1})
    stored(key=2, operation="DELETE", before={"id": 2})
    for path in ("", "deleted/?table=todos_todo&row=1", "?row=1"):
        response = api.get(f"/routed/deletes/{path or '?row=1'}")
        assert ids(response) == [mine]
    facets = api.get(
        "/routed/deletes/facets/", {"since": "2026-01-01", "until": "2026-02-01", "row": 1}
    ).json()
    assert facets["by"]["table"] == [{"value": "todos_todo", "count": 1}]
