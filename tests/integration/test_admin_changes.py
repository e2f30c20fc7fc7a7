"""The list of changes in the admin: who sees it, its pages, its filters and its search."""

import uuid
from datetime import timedelta

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.db import connection
from django.test import RequestFactory
from django.utils.timezone import now

from bemi_orm import Change
from bemi_orm.admin.filters import TableFilter
from bemi_orm.admin.paging import read_page
from bemi_orm.admin.searching import search
from bemi_orm.admin.tables import MAX_NAMES, NAMES
from bemi_orm.admin.viewer import Viewer
from tests.integration.admin_rig import (
    ACTIVITY,
    LIST,
    TAIL,
    client_of,
    count_queries,
    ids_in,
    listed,
    page,
    reader,
    root,
    text_of,
)
from tests.integration.rows import START, next_transaction, plan, store

pytestmark = pytest.mark.django_db
ROW = {"id": 5, "task": "milk", "is_completed": False}
NO_TAGS = "tests.integration.admin_rig.NoTags"


def touch(key=5, **options):
    return str(store(key=key, operation="UPDATE", before=ROW, after=ROW | {"task": "oat milk"}, **options))


@pytest.mark.parametrize("path", [LIST, ACTIVITY, TAIL, f"{LIST}{uuid.UUID(int=1)}/change/"])
def test_closed_to_all_but_staff_that_may_view_changes(client, path):
    assert client.get(path)["Location"].startswith("/admin/login/")
    assert client_of(User.objects.create_user("clerk", is_staff=True)).get(path).status_code == 403
    gone = reader("gone")
    User.objects.filter(username="gone").update(is_active=False)
    assert gone.get(path)["Location"].startswith("/admin/login/")
    assert reader().get(path).status_code in (200, 302)


def test_nobody_can_write_a_superuser_neither():
    change = touch()
    client = root()
    assert client.get(f"{LIST}add/").status_code == 403
    assert client.post(f"{LIST}{change}/delete/", {"post": "yes"}).status_code == 403
    assert client.post(f"{LIST}{change}/change/", {"table": "x"}).status_code == 405
    admin.site.add_action(lambda *arguments: pytest.fail("an action ran"), "wipe")
    try:
        client.post(LIST, {"action": "wipe", "_selected_action": change, "index": "0"})
        client.post(LIST, {"action": "delete_selected", "_selected_action": change, "post": "yes"})
    finally:
        admin.site.disable_action("wipe")
    assert [str(each.pk) for each in Change.objects.all()] == [change]
    assert 'name="_selected_action"' not in page(client, LIST)


def test_the_list_shows_who_did_what_and_where():
    alice = User.objects.create_user("alice")
    touch(context={"user_id": alice.pk, "method": "POST", "path": "/todos/5/"})
    touch(context={"command": "import_todos"})
    touch()
    text = text_of(page(reader(), LIST))
    assert "± Changed Todo 5 Task - before: milk + after: oat milk alice POST /todos/5/" in text
    assert "oat milk import_todos" in text
    assert "oat milk not known" in text


def test_b_q4_tables_without_a_model_keys_of_several_columns_and_none():
    store(table="legacy", key=None, after={"n": None})
    store(table="todos_seat", key='["A","1"]', after={"row": "A", "number": 1, "taken_by": "x"})
    store(
        table="todos_tag",
        key="b",
        previous="a",
        operation="UPDATE",
        before={"code": "a"},
        after={"code": "b"},
    )
    store(table="todos_tag", key=None, operation="TRUNCATE")
    text = text_of(page(reader(), LIST))
    assert "+ Added legacy n + after: empty (NULL)" in text
    assert '+ Added Seat ["A","1"] Taken by + after: x' in text
    assert "± Changed Tag b was a" in text
    assert "∅ Table emptied Tag" in text


def test_pages_are_stable_while_rows_arrive():
    ids = [touch() for _ in range(7)][::-1]
    first = read_page(Change.objects.all(), "", 3)
    touch()
    second = read_page(Change.objects.all(), first.older, 3)
    third = read_page(Change.objects.all(), second.older, 3)
    pages = [[str(change.pk) for change in each.changes] for each in (first, second, third)]
    assert pages == [ids[:3], ids[3:6], ids[6:]]
    assert not third.older
    back = read_page(Change.objects.all(), second.newer, 3)
    assert [change.pk for change in back.changes] == [change.pk for change in first.changes]
    assert back.newer


def test_pages_link_to_each_other_and_keep_the_filters(monkeypatch):
    monkeypatch.setattr("bemi_orm.admin.changes.ChangeAdmin.list_per_page", 2)
    ids = [touch() for _ in range(3)][::-1]
    store(table="todos_tag", key="a")
    client = reader()
    newest = page(client, f"{LIST}?table=todos_todo")
    assert ids_in(newest) == ids[:2]
    older = f"?p=older.{ids[1]}&table=todos_todo"
    assert older.replace("&", "&amp;") in newest
    last = page(client, LIST + older)
    assert ids_in(last) == ids[2:]
    assert f"?p=newer.{ids[2]}&amp;table=todos_todo" in last
    assert listed(client, f"?p=newer.{ids[2]}&table=todos_todo") == ids[:2]
    assert "Older" not in text_of(last)
    assert client.get(f"{LIST}?p=older.nonsense")["Location"] == f"{LIST}?e=1"


def test_the_number_of_changes_is_exact_on_one_page_and_else_estimated(monkeypatch):
    monkeypatch.setattr("bemi_orm.admin.changes.ChangeAdmin.list_per_page", 2)
    touch()
    client = reader()
    assert " 1 change " in f"{text_of(page(client, LIST))} "
    for _ in range(5):
        touch()
    assert "about " in text_of(page(client, LIST))


def test_p20_the_number_of_queries_grows_neither_with_the_rows_nor_with_the_users(monkeypatch):
    monkeypatch.setattr("bemi_orm.admin.changes.ChangeAdmin.list_per_page", 40)
    [touch() for _ in range(41)]
    client = reader()
    users = User.objects.bulk_create(User(username=f"u{number}") for number in range(6))
    touch(context={"user_id": users[0].pk})
    touch(context={"user_id": 999})
    few = count_queries(client, LIST)
    for number in range(40):
        store(table=f"t{number}", key=number, after={"id": number}, context={"user_id": users[number % 6].pk})
        touch(key=number, context={"user_id": 1000 + number})
    assert count_queries(client, LIST) == few
    assert few <= 16


@pytest.mark.parametrize(
    "query",
    ["?before__password__startswith=a", "?context__ip=1", "?after__contains={}", "?table__in=a", "?id=1"],
)
def test_the_address_narrows_by_the_filters_alone(query):
    assert reader().get(LIST + query).status_code == 400


def test_no_column_sorts_everything():
    ids = [touch(), str(store(table="a_table", key="1"))]
    for order in ("0", "1", "-1", "2.-3"):
        assert listed(reader(f"reader{order}"), f"?o={order}") == ids[::-1]


def test_filters_narrow():
    todo, tag = touch(), str(store(table="todos_tag", key="a", context={"user_id": 7}))
    old = str(store(key=6, operation="DELETE", before=ROW, committed_at=START - timedelta(days=400)))
    new = str(store(key=6, after=ROW, committed_at=now() - timedelta(minutes=30), context={"user_id": "7"}))
    client = reader()
    assert listed(client, "?table=todos_tag") == [tag]
    assert listed(client, "?operation=DELETE") == [old]
    assert listed(client, "?user=7") == [new, tag]
    assert listed(client, "?last=45m") == [new]
    assert listed(client, "?date=2026-01-01") == [tag, todo]
    assert listed(client, "?date=2024-11") == listed(client, "?date=2024") == [old]
    assert listed(client, "?key=6&operation=CREATE") == [new]


def test_transaction_filter_gives_what_was_committed_together():
    number = next_transaction()
    together = [touch(transaction=number, ordinal=ordinal) for ordinal in range(3)]
    touch()
    assert listed(reader(), f"?transaction={together[1]}") == together[::-1]


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("?last=soon", "not a span of time"),
        ("?last=99999999999d", "not a span of time"),
        ("?date=2026-13", "month"),
        ("?date=yesterday", "such as 2026"),
        ("?operation=DROP", "no such operation"),
        ("?transaction=7", "transaction"),
        (f"?transaction={uuid.UUID(int=1)}", "no such change"),
        ("?table=%00", "no value can have"),
        ("?key=a%00", "no value can have"),
        ("?user=a%00", "no value can have"),
        ("?q==7", "user_id=7"),
        ("?q=a..b=7", "user_id=7"),
    ],
)
def test_what_makes_no_sense_gives_nothing_and_says_so(query, reason):
    touch()
    markup = page(reader(), LIST + query)
    assert ids_in(markup) == []
    assert reason in text_of(markup)


def test_filters_offer_what_changed_of_late_and_keep_what_is_in_force():
    alice = User.objects.create_user("alice")
    touch(context={"user_id": alice.pk})
    store(table="todos_tag", key="a", context={"user_id": 36, "user": "zoe"})
    markup = page(reader(), f"{LIST}?table=dropped&user=12")
    text = text_of(markup)
    assert "By table All todos_tag todos_todo dropped" in text
    assert "By user All alice deleted user 36 deleted user 12" in text
    assert f'<a href="?table=dropped&amp;user={alice.pk}">alice</a>' in markup
    assert "By key" not in text
    assert "By key All 5" in text_of(page(reader("other"), f"{LIST}?key=5"))


def test_the_table_filter_offers_every_table_but_in_a_scope_only_those_of_late(settings, monkeypatch):
    monkeypatch.setattr("bemi_orm.admin.viewer.RECENT", 2)
    for table, key in (
        ("todos_tag", "a"),
        ("audited", 1),
        ("audited", "b"),
        ("a_log", None),
        ("todos_todo", 1),
    ):
        store(table=table, key=key)
    client = reader()
    assert "By table All a_log audited todos_tag todos_todo By" in text_of(page(client, LIST))
    settings.BEMI_ACCESS = NO_TAGS
    assert "By table All a_log todos_todo By" in text_of(page(client, LIST))


def test_search_by_key_and_by_context():
    number = touch(context={"user_id": 7, "request": {"ip": "::1"}, "is_admin": True})
    word = str(store(table="todos_tag", key="groceries", context={"user_id": "seven", "request_id": "0b7f"}))
    client = reader()
    assert listed(client, "?q=5") == listed(client, "?q=7") == listed(client, "?q=user_id=7") == [number]
    assert listed(client, "?q=request.ip=::1") == listed(client, "?q=is_admin=true") == [number]
    assert listed(client, "?q=groceries") == listed(client, "?q=+0b7f+") == [word]
    assert listed(client, "?q=user_id=seven") == [word]
    assert (
        listed(client, "?q=grocer") == listed(client, "?q=request.ip=7") == listed(client, "?q=ip=::1") == []
    )
    assert listed(client, "?q=%25%27%22%5C=1%27;--") == []


def test_p20_each_way_to_narrow_reaches_an_index():
    touch(context={"user_id": 7})
    request = RequestFactory().get(LIST)
    request.user = User.objects.create_superuser("root")
    viewer = Viewer(request)
    changes = viewer.changes
    table = TableFilter.narrow(None, changes, "nope", None)
    everything = [
        read_page_query(changes), changes.filter(primary_key="5"), changes.by_user(7), table,
        search(changes, "user_id=7", viewer), search(changes, "0b7f", viewer), viewer.recent,
        changes.in_transaction(Change.objects.get()), changes.between(START, START + timedelta(days=1)),
    ]  # fmt: skip
    for query in everything:
        assert "Seq Scan" not in plan(query[:51]), query.query


def test_p20_the_names_of_tables_come_from_indexes():
    store(key=1)
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(f"EXPLAIN {NAMES}", [MAX_NAMES])
        plan_text = "\n".join(line for (line,) in cursor.fetchall())
    assert "Seq Scan" not in plan_text
    assert "Index" in plan_text


def read_page_query(changes):
    return changes.filter(id__lt=uuid.UUID(int=2**100)).order_by("-id")


def test_dates_lead_from_years_to_days(settings):
    settings.TIME_ZONE = "Asia/Tokyo"
    store(key=1, committed_at=START - timedelta(days=40))
    store(key=1, committed_at=START + timedelta(hours=14, minutes=59))
    store(key=1, committed_at=START + timedelta(hours=15, minutes=1))
    client = reader()

    def dates(query):
        return text_of(page(client, LIST + query).partition('aria-label="Dates"')[2].partition("</nav>")[0])

    assert dates("").endswith("2025 2026")
    assert dates("?date=2025").endswith("< All dates 2025 November 2025 December 2025")
    assert dates("?date=2026").endswith("< All dates 2026 January 1 January 2")
    assert dates("?date=2026-01-02").endswith("< All dates < 2026 < January 2026 January 2")
    assert len(listed(client, "?date=2026-01-02")) == 1


def test_dates_of_an_empty_trail():
    assert 'aria-label="Dates"' not in page(reader(), LIST)
    assert "No changes." in text_of(page(reader("other"), LIST))


def test_scope_holds_in_lists_filters_searches_and_pages(settings):
    settings.BEMI_ACCESS = NO_TAGS
    number = next_transaction()
    todo = touch(transaction=number, context={"user_id": 7})
    tag = str(store(table="todos_tag", key="5", transaction=number, ordinal=1, context={"user_id": 8}))
    client = root()
    for query in ("", "?q=5", "?key=5", f"?transaction={todo}"):
        assert listed(client, query) == [todo]
    for query in ("?table=todos_tag", "?user=8", "?q=user_id=8", f"?transaction={tag}"):
        assert listed(client, query) == []
    assert "todos_tag" not in page(client, LIST)
    assert client.get(f"{LIST}{tag}/change/")["Location"] == LIST
    assert client.get(f"{LIST}{tag}/history/", follow=True).redirect_chain[-1][0] == LIST
    for path in (ACTIVITY, TAIL):
        assert "todos_tag" not in page(client, path)
        assert "Tag" not in text_of(page(client, path))


def test_masked_values_are_neither_shown_nor_found(settings):
    settings.BEMI_MASKED = {"todos.Todo": ["task"], "context": ["ip", "user_id"]}
    change = touch(context={"ip": "10.1.2.3", "user_id": 36, "user": "zoe", "job": "nightly"})
    client = reader()
    for path in (LIST, f"{LIST}{change}/change/", TAIL, f"{ACTIVITY}?last=366d"):
        markup = page(client, path)
        for secret in ("milk", "10.1.2.3", ">36<", "user 36", "zoe)"):
            assert secret not in markup, (path, secret)
    assert "Task - before: masked + after: masked" in text_of(page(client, LIST))
    assert listed(client, "?q=10.1.2.3") == listed(client, "?q=36") == []
    assert "By user" not in text_of(page(client, LIST))
    for query in ("?q=ip=10.1.2.3", "?q=user_id=36", "?user=36"):
        markup = page(client, LIST + query)
        assert ids_in(markup) == []
        assert "masked, and cannot be searched for" in text_of(markup)
    assert listed(client, "?q=nightly") == [change]
    auditor = reader("auditor", "view_masked")
    assert listed(auditor, "?q=ip=10.1.2.3") == listed(auditor, "?user=36") == [change]
    assert "oat milk" in page(auditor, LIST)


def test_a_site_of_its_own_has_addresses_of_its_own(settings):
    settings.ROOT_URLCONF = "tests.integration.admin_site"
    change = touch()
    client = root()
    markup = page(client, "/back-office/bemi_orm/change/")
    assert f"/back-office/bemi_orm/change/{change}/change/" in markup
    for path in ("", f"{change}/change/", "activity/"):
        assert 'href="/admin/' not in page(client, f"/back-office/bemi_orm/change/{path}")
