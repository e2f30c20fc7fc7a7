"""Filters of the REST API: what they find, and that none is ever understood by half."""

from datetime import timedelta

import pytest
from django.utils import timezone

from bemi_orm import Change
from bemi_orm.rest_framework import ChangeFilterSet
from tests.integration.rest_client import PAGE, client, fill, ids, user
from tests.integration.rows import next_transaction, plan, store

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.integration.rest_site")]


@pytest.fixture
def api():
    return client(user("view_change"))


@pytest.fixture
def found(api):
    """Stores what a test gives by name, and tells which of them a query finds."""
    names = {}

    def find(query, **changes):
        for name, options in changes.items():
            names[str(store(**({"key": 1, "operation": "UPDATE"} | options)))] = name
        return {names[change] for change in ids(api.get(PAGE, query))}

    return find


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"table": "todos_todo"}, {"todo"}),
        ({"table": "todos_todo,todos_tag"}, {"todo", "tag"}),
        ({"schema": "other"}, {"other"}),
        ({"model": "todos.Tag"}, {"tag"}),
        ({"model": "todos.tag", "primary_key": "red"}, {"tag"}),
        ({"primary_key": "7"}, {"todo", "other"}),
        ({"primary_key": '["A","1"]'}, {"seat"}),
        ({"operation": "DELETE"}, {"tag"}),
        ({"operation": "DELETE,CREATE", "table": "todos_seat"}, {"seat"}),
    ],
)
def test_by_table_key_and_operation(found, query, expected):
    assert (
        found(
            query,
            todo={"key": 7},
            tag={"table": "todos_tag", "key": "red", "operation": "DELETE"},
            seat={"table": "todos_seat", "key": '["A","1"]', "operation": "CREATE"},
            other={"table": "x", "schema": "other", "key": 7},
        )
        == expected
    )


def test_spaces_belong_to_a_text(found):
    spaced = {"key": " a ", "context": {"user_id": " 1"}, "schema": " s"}
    assert found({"primary_key": " a "}, spaced=spaced, plain={"key": "a"}) == {"spaced"}
    assert found({"user": " 1"}) == {"spaced"}
    assert found({"schema": " s"}) == {"spaced"}


def test_by_time(found):
    now = timezone.now()
    changes = {
        "hour": {"committed_at": now - timedelta(hours=1)},
        "day": {"committed_at": now - timedelta(hours=25)},
        "week": {"committed_at": now - timedelta(days=8)},
    }
    assert found({"last": "24h"}, **changes) == {"hour"}
    assert found({"last": "7d"}) == {"hour", "day"}
    assert found({"since": (now - timedelta(days=2)).isoformat(), "until": "2 hours ago"}) == {"day"}
    assert found({"until": (now - timedelta(hours=25)).isoformat()}) == {"week"}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"context.user_id": "1"}, {"number", "text"}),
        ({"context.user_id": '"1"'}, {"text"}),
        ({"context.user_id": "null"}, {"null"}),
        ({"context.request.method": "POST"}, {"nested"}),
        ({"context.request": '{"method": "POST"}'}, {"nested"}),
        ({"context.contains": "x"}, {"odd"}),
        ({"context.user_id": "1", "operation": "DELETE"}, set()),
        ({"user": "1"}, {"number", "text"}),
        ({"trace_id": "abc"}, {"nested"}),
    ],
)
def test_by_context(found, query, expected):
    assert (
        found(
            query,
            number={"context": {"user_id": 1}},
            text={"context": {"user_id": "1"}},
            null={"context": {"user_id": None}},
            nested={"context": {"request": {"method": "POST", "path": "/"}, "trace_id": "abc"}},
            odd={"context": {"contains": "x"}},
            nothing={},
        )
        == expected
    )


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"context.hops.0.ip": "x"}, {"listed", "keyed"}),
        ({"context.hops.-1.ip": "x"}, {"listed"}),
        ({"context.hops.1.ip": "x"}, set()),
        ({"context.hops.0": '{"ip": "x"}'}, {"listed", "keyed"}),
        ({"context.hops.0.n": "null"}, {"listed"}),
        ({"context.hops.0.n": "1"}, {"keyed"}),
        ({"context.hops.0.tags": "1"}, set()),
        ({"context.hops.0.tags": "[1]"}, {"listed"}),
        ({"context.0": "1"}, {"keyed"}),
        ({"after.words.1": "1.50"}, {"listed"}),
    ],
)
def test_number_in_a_path_is_a_key_or_a_place_in_a_list(found, query, expected):
    assert (
        found(
            query,
            listed={
                "context": {"hops": [{"ip": "x", "n": None, "tags": [1, 2]}]},
                "after": '{"words": ["a", 1.5]}',
            },
            keyed={"context": {"0": "1", "hops": {"0": {"ip": "x", "n": 1}}}},
            plain={"context": {"hops": []}},
        )
        == expected
    )


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"after.price": "1.1"}, {"priced"}),
        ({"before.price": "1.10"}, {"priced"}),
        ({"after.meta.colour": "red"}, {"meta"}),
        ({"after.done": "true"}, {"done"}),
        ({"before.done": "true"}, set()),
        ({"after.name": "NaN"}, {"nan"}),
        ({"changed": "done"}, {"done"}),
        ({"changed": "done,list"}, {"done"}),
        ({"model": "todos.Todo", "changed": "list"}, {"moved"}),
        ({"effective": "true"}, {"meta", "done", "nan", "moved"}),
        ({"effective": "false"}, {"priced"}),
    ],
)
def test_by_values(found, query, expected):
    assert (
        found(
            query,
            priced={"before": '{"price": 1.10}', "after": '{"price": 1.1}'},
            meta={"after": {"meta": {"colour": "red", "n": 1}}},
            done={"before": {"done": False}, "after": {"done": True}},
            nan={"after": {"name": "NaN"}},
            moved={"before": {"list_id": 1}, "after": {"list_id": 2}},
        )
        == expected
    )


def test_by_transaction(found):
    number = next_transaction()
    first = str(store(transaction=number))
    query = {"transaction": first, "operation": "UPDATE"}
    assert found(query, second={"transaction": number, "ordinal": 1}, other={}) == {"second"}
    assert found({"transaction_id": number + 700, "operation": "UPDATE"}) == {"second"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("MILK", {"before", "context"}),
        ("milk%", set()),
        ("100%", {"percent"}),
        ("a_b", set()),
        ("red", {"nested"}),
        ("1001", {"key"}),
        ("é", {"before"}),
        ('say "', {"quoted"}),
        ("user_id", set()),
    ],
)
def test_search_looks_at_values_not_at_names(found, text, expected):
    now = timezone.now()
    changes = {
        "before": {"before": {"task": "é oat milk"}},
        "context": {"context": {"who": {"name": "Milk man"}, "user_id": 1}},
        "percent": {"after": {"task": "100% axb"}},
        "nested": {"after": {"meta": {"colour": ["red"]}}},
        "key": {"key": 1001},
        "quoted": {"after": {"task": 'say "yes"'}},
        "statement": {"context": {"SQL": "UPDATE milk SET user_id = 1"}},
    }
    stored = {name: options | {"committed_at": now} for name, options in changes.items()}
    assert found({"search": text, "last": "1h"}, **stored) == expected


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("tabel=x", "tabel"),
        ("page=2", "page"),
        ("limit=2", "limit"),
        ("context=1", "context"),
        ("context.=1", "context."),
        ("context..a=1", "context..a"),
        ("context__user_id=1", "context__user_id"),
        ("table=", "table"),
        ("table=%20", "table"),
        ("primary_key=%20", "primary_key"),
        ("schema=%20%09", "schema"),
        ("user=%20", "user"),
        ("trace_id=%20", "trace_id"),
        ("transaction=%20", "transaction"),
        ("search=%20&last=1h", "search"),
        ("context.%00=1", "context.\0"),
        ("after.a%00.b=1", "after.a\0.b"),
        ("after" + ".a" * 300 + "=1", "after" + ".a" * 300),
        ("table=a,,b", "table"),
        ("table=a&table=b", "table"),
        ("context.user_id=", "context.user_id"),
        ("context.user_id=1&context.user_id=2", "context.user_id"),
        ("context.user_id=%00", "context.user_id"),
        ('context.user_id="%5Cu0000"', "context.user_id"),
        ('context.user_id="%5Cud800"', "context.user_id"),
        ("after.x=1e2000", "after.x"),
        ("after.x=" + "[" * 60, "after.x"),
        ("after.x=" + "9" * 1001, "after.x"),
        ("schema=%00", "schema"),
        ("model=todos.Nothing", "model"),
        ("model=todo", "model"),
        ("model=50%25", "model"),
        ("operation=delete", "operation"),
        ("operation=DELETE,", "operation"),
        ("effective=maybe", "effective"),
        ("since=yesterdayish", "since"),
        ("last=24", "last"),
        ("last=99999999999d", "last"),
        ("last=1h&since=yesterday", "last"),
        ("since=1h&until=2h", "until"),
        ("since=2200-01-01", "since"),
        ("transaction=1", "transaction"),
        ("transaction=00000000-0000-8000-8000-000000000000", "transaction"),
        ("transaction_id=x", "transaction_id"),
        ("transaction_id=99999999999999999999", "transaction_id"),
        ("search=x", "search"),
        ("search=x&last=40d", "search"),
        ("page_size=0", "page_size"),
        ("page_size=501", "page_size"),
        ("page_size=x", "page_size"),
        ("cursor=x", "cursor"),
        ("cursor=cD14", "cursor"),
        ("cursor=cD0=", "cursor"),
        ("ordering=table", "ordering"),
        ("count=exact", "count"),
        ("fields=id,passwort", "fields"),
    ],
)
def test_what_is_not_understood_is_an_error_that_names_it(api, query, field):
    store()
    response = api.get(f"{PAGE}?{query}")
    assert response.status_code == 400
    assert list(response.json()) == [field]


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("model=todos.Todo&changed=tsak", "no field or column tsak"),
        ("model=todos.Todo&changed=task,pk", "no field or column pk"),
        ("model=todos.Todo&changed=tags", "table=todos_todo_tags"),
        ("model=todos.Todo&after.tsak=a", "no column tsak"),
        ("model=todos.Todo&before.list=1", "Give list_id"),
    ],
)
@pytest.mark.parametrize("path", ["", "export/", "facets/", "deleted/"])
def test_what_the_model_does_not_have_is_no_filter(api, path, query, message):
    response = api.get(f"{PAGE}{path}?{query}")
    [(field, [fault])] = response.json().items()
    assert (response.status_code, field in query, message in fault) == (400, True, True)


@pytest.mark.parametrize(
    "query",
    [
        "model=todos.Todo&changed=list,list_id,title&after.list_id=1&before.title=a&context.tsak=1",
        "model=todos.SpecialDocument&changed=document_ptr,level,title",
        "model=todos.Seat&changed=row",
        "table=todos_todo&changed=tsak&after.tsak=a",
    ],
)
def test_fields_columns_and_former_names_are_filters(api, settings, query):
    settings.BEMI_RENAMED = {"todos.Todo": {"columns": {"title": "task"}}}
    assert ids(api.get(f"{PAGE}?{query}")) == []


@pytest.mark.parametrize(
    "path",
    ["{change}/", "{change}/diff/", "{change}/instance/", "{change}/transaction/", "{change}/revert_plan/"],
)
def test_filters_of_lists_are_unknown_where_one_change_is_asked_for(api, path):
    url = PAGE + path.format(change=store())
    assert api.get(url).status_code == 200
    response = api.get(url, {"table": "x"})
    assert (response.status_code, list(response.json())) == (400, ["table"])


@pytest.mark.parametrize(
    ("at", "message"),
    [
        ("2200-01-01", "future"),
        ("soon", "not a time"),
        ("00000000-0000-8000-8000-000000000000", "no change"),
        ("1/2/3", "not a time"),
    ],
)
def test_moments_that_are_none(api, at, message):
    response = api.get(f"{PAGE}state/", {"table": "todos_todo", "at": at})
    assert response.status_code == 400
    assert message in response.json()["at"][0]


def test_moment_that_is_not_stored_yet_is_worth_another_try(api):
    response = api.get(f"{PAGE}state/", {"table": "todos_todo", "at": "1s"})
    assert (response.status_code, response["Retry-After"]) == (409, "5")
    assert response.json()["lag_bytes"]


def test_filterset_alone_masks_for_anybody():
    store(table="auth_user", after={"password": "x"})
    filterset = ChangeFilterSet({"after.password": "x"}, Change.objects.all())
    assert list(filterset.errors) == ["after.password"]
    assert ChangeFilterSet({"table": "auth_user"}, Change.objects.all()).qs.count() == 1


@pytest.mark.parametrize("value", ["true", "false"])
def test_p20_what_changed_nothing_is_found_without_a_subquery(value):
    filterset = ChangeFilterSet({"effective": value}, Change.objects.desc())
    assert "SubPlan" not in plan(filterset.qs)


@pytest.mark.parametrize(
    ("query", "index"),
    [
        ({"context.user_id": "1"}, "changes_default_context_idx"),
        ({"context.request.method": "POST"}, "changes_default_context_idx"),
        ({"user": "1"}, "changes_default_context_idx"),
        ({"trace_id": "x"}, "changes_default_context_idx"),
        ({"primary_key": "1"}, "changes_default_primary_key_idx"),
    ],
)
def test_p20_filters_reach_their_index(query, index):
    fill(2_000, size=1)
    assert index in plan(ChangeFilterSet(query, Change.objects.order_by()).qs)
