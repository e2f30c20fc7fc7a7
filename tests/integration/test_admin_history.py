"""The timeline of an object and the comparison of its moments, on stored changes."""

from uuid import uuid4

import pytest
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType
from django.db import connection
from django.test.utils import CaptureQueriesContext

from bemi_orm import Change
from bemi_orm.access import Access
from tests.integration.history_site import address, staff
from tests.integration.rows import next_transaction, row_image, store
from tests.todos.models import Document, SpecialDocument, Tag, Todo, TodoList

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.integration.history_site")]


@pytest.fixture
def boss(client):
    boss = User.objects.create_superuser("boss", "boss@example.org", "secret")
    client.force_login(boss)
    return boss


@pytest.fixture
def todo():
    return Todo.objects.create(task="milk")


def update(todo, task, **more):
    """Store an update of the task, and do it."""
    before = row_image(todo)
    todo.task = task
    todo.save()
    return store(key=todo.pk, operation="UPDATE", before=before, after=row_image(todo), **more)


def page(client, name, *keys, **query):
    response = client.get(address(name, *keys, **query))
    assert response.status_code == 200, response.content
    return response.content.decode()


def entries(client, key, **query):
    return client.get(address("todos_todo_history", key, **query)).context["timeline"].entries


def changes_of(found):
    return [item.row.change.pk for entry in found for item in entry.items]


def test_timeline_tells_who_when_in_what_request_and_what(client, boss, todo):
    store(
        key=todo.pk, after=row_image(todo), context={"user_id": boss.pk, "method": "POST", "path": "/todos/"}
    )
    update(todo, "bread", context={"user_id": 977, "method": "PATCH", "path": "/todos/1/"})
    text = page(client, "todos_todo_history", todo.pk)
    for told in ("boss", "deleted user 977", "POST /todos/", "PATCH /todos/1/", "milk", "bread"):
        assert told in text
    assert text.index("PATCH /todos/1/") < text.index("POST /todos/")
    assert 'action="/office/todos/todo/' in text


def test_message_of_the_admin_log_stands_with_the_transaction_that_wrote_it(client, boss, todo):
    number = next_transaction()
    update(todo, "bread", transaction=number)
    update(todo, "eggs")
    entry = LogEntry.objects.create(
        user=boss,
        content_type=ContentType.objects.get_for_model(Todo),
        object_id=todo.pk,
        action_flag=CHANGE,
        change_message='[{"changed": {"fields": ["Task"]}}]',
    )
    for ordinal, object_id in enumerate((str(todo.pk), "0"), 1):
        image = {**row_image(entry), "object_id": object_id}
        store("django_admin_log", entry.pk, transaction=number, ordinal=ordinal, after=image)
    assert [entry.messages for entry in entries(client, todo.pk)] == [(), ("Changed Task.",)]
    assert "Changed Task." in page(client, "todos_todo_history_log", todo.pk)


def test_changes_of_one_transaction_are_one_entry(client, boss, todo):
    number = next_transaction()
    ids = [update(todo, task, transaction=number, ordinal=place) for place, task in enumerate("ab")]
    [entry] = entries(client, todo.pk)
    assert [item.row.change.pk for item in entry.items] == ids[::-1]


def test_p20_pages_hold_each_change_once_and_cost_the_same(client, boss, todo):
    for number in range(60):
        update(todo, f"task {number}", context={"user_id": number})
    ContentType.objects.get_for_model(Todo)  # kept in memory from then on
    stored, place, found, costs = [change.pk for change in todo.bemi_history().desc()], "", [], []
    while place is not None:
        with CaptureQueriesContext(
            connection,
        ) as queries:
            response = client.get(address("todos_todo_history", todo.pk, older=place))
        timeline = response.context["timeline"]
        found += changes_of(timeline.entries)
        costs.append(len(queries))
        place = timeline.older or None
    assert found == stored
    assert len(costs) == 3
    assert set(costs) == {8}, costs


@pytest.mark.parametrize("place", ["x", "1", "1.2.3", "1.x"])
def test_place_that_is_none_is_not_found(client, boss, todo, place):
    assert client.get(address("todos_todo_history", todo.pk, older=place)).status_code == 404


def test_p3_links_and_children_are_shown_when_they_are_asked_for(client, boss):
    home = TodoList.objects.create(name="home")
    child = Todo.objects.create(task="milk", list=home)
    Tag.objects.create(code="red").todo_set.add(child)  # from the other side
    made = store("todos_todolist", home.pk, after=row_image(home))
    added = store(key=child.pk, after=row_image(child))
    link = Todo.tags.through.objects.get()
    tagged = store("todos_todo_tags", link.pk, after=row_image(link), context={"user_id": boss.pk})
    response = client.get(address("todos_todolist_history", home.pk))
    assert changes_of(response.context["timeline"].entries) == [made]
    response = client.get(address("todos_todolist_history", home.pk, related=1))
    assert changes_of(response.context["timeline"].entries) == [added, made]
    [newest, own] = entries(client, child.pk, related=1)
    assert changes_of([newest, own]) == [tagged, added]
    assert (newest.row.person.label, newest.items[0].is_own, own.items[0].is_own) == ("boss", False, True)


def test_children_of_a_model_that_the_user_may_not_see_are_left_out(client):
    home = TodoList.objects.create(name="home")
    made = store("todos_todolist", home.pk, after=row_image(home))
    child = store(after={"id": 1, "list_id": home.pk})
    client.force_login(staff("todos.view_todolist"))
    response = client.get(address("todos_todolist_history", home.pk, related=1))
    assert changes_of(response.context["timeline"].entries) == [made]
    client.force_login(staff("todos.view_todolist", "todos.view_todo", username="more"))
    response = client.get(address("todos_todolist_history", home.pk, related=1))
    assert changes_of(response.context["timeline"].entries) == [child, made]


@pytest.mark.parametrize("key", ["a/b_c", "deleted", "_deleted", "x#?&<"])
def test_keys_of_any_text(client, boss, key):
    tag = Tag.objects.create(code=key)
    change = store("todos_tag", key, after={"code": key})
    response = client.get(address("todos_tag_history", key))
    assert changes_of(response.context["timeline"].entries) == [change]
    compared = client.get(address("todos_tag_history_compare", key, **{"from": change, "to": change}))
    assert compared.context["lines"] == []
    assert client.get(address("todos_tag_change", key)).status_code == 200
    assert tag.pk == key


def test_uuid_keys_and_tables_of_parents(client, boss):
    special = SpecialDocument.objects.create(title="t", level=1)
    number = next_transaction()
    document = Document.objects.get(pk=special.pk)
    top = store("todos_document", str(special.pk), after=row_image(document), transaction=number)
    image = {"document_ptr_id": str(special.pk), "level": 1}
    own = store("todos_specialdocument", str(special.pk), after=image, transaction=number, ordinal=1)
    later = store(
        "todos_document",
        str(special.pk),
        "UPDATE",
        before=row_image(document),
        after=row_image(document) | {"title": "u"},
    )
    response = client.get(address("todos_specialdocument_history", special.pk))
    assert changes_of(response.context["timeline"].entries) == [later, own, top]
    query = {"from": top, "to": later}
    lines = client.get(address("todos_specialdocument_history_compare", special.pk, **query)).context["lines"]
    assert [(line.label, line.old.text, line.new.text) for line in lines] == [("Title", "t", "u")]


def test_two_moments_compare_in_either_order_by_change_or_by_time(client, boss, todo):
    first = store(key=todo.pk, after=row_image(todo))
    last = update(todo, "bread")
    time = Change.objects.get(pk=first).committed_at.isoformat()
    for query in ({"from": first, "to": last}, {"from": last, "to": first}, {"from": time, "to": last}):
        response = client.get(address("todos_todo_history_compare", todo.pk, **query))
        found = {line.field: (line.old.text, line.new.text) for line in response.context["lines"]}
        assert found["task"] == ("milk", "bread")


def test_foreign_keys_have_names_at_the_cost_of_one_query_for_their_table(client, boss):
    for number in range(3):
        TodoList.objects.create(name=f"list {number}")
    keys = [row.pk for row in TodoList.objects.order_by("pk")]
    todo = Todo.objects.create(task="milk", list_id=keys[0])
    store(key=todo.pk, after=row_image(todo))
    for key in [*keys, keys[0] + 977]:
        image = row_image(todo)
        store(
            key=todo.pk, operation="UPDATE", before=image | {"list_id": None}, after=image | {"list_id": key}
        )
    with CaptureQueriesContext(connection) as queries:
        found = [entry.items[0].lines for entry in entries(client, todo.pk)]
    shown = [line.new.text for lines in found for line in lines if line.field == "list_id"]
    assert shown == [
        str(keys[0] + 977),
        *(f"TodoList object ({key}) ({key})" for key in [*keys[::-1], keys[0]]),
    ]
    assert len([query for query in queries if "todos_todolist" in query["sql"]]) == 1


@pytest.mark.parametrize("moment", ["", "soon", "2999-01-01"])
def test_moment_that_cannot_be_compared_is_explained(client, boss, todo, moment):
    first = store(key=todo.pk, after=row_image(todo))
    response = client.get(address("todos_todo_history_compare", todo.pk, **{"from": first, "to": moment}))
    assert response.status_code == 400
    assert "errornote" in response.content.decode()


def test_change_that_is_not_there_is_not_found(client, boss, todo):
    response = client.get(address("todos_todo_history_compare", todo.pk, **{"from": uuid4(), "to": "now"}))
    assert response.status_code == 404


def test_masked_values_are_masked_on_every_page(client, settings, todo):
    settings.BEMI_MASKED = {"todos.Todo": ["task"], "context": ["user_id"]}
    first = store(key=todo.pk, after=row_image(todo), context={"user_id": 424242})
    last = update(todo, "bread", context={"user_id": 424242})
    client.force_login(staff("todos.view_todo", "todos.change_todo"))
    pages = [
        page(client, "todos_todo_history", todo.pk),
        page(client, "todos_todo_history_compare", todo.pk, **{"from": first, "to": last}),
    ]
    for text in pages:
        assert "milk" not in text
        assert "424242" not in text
        assert "masked" in text


class OnlyNew(Access):
    """Hides every change with a context that says so."""

    def scope(self, user, changes):
        return changes.context_not({"hidden": True})


def test_changes_out_of_scope_are_on_no_page(client, boss, todo, settings):
    settings.BEMI_ACCESS = f"{__name__}.OnlyNew"
    first = store(key=todo.pk, after=row_image(todo), context={"hidden": True})
    second = update(todo, "bread")
    third = update(todo, "eggs")
    assert changes_of(entries(client, todo.pk)) == [third, second]
    time = Change.objects.get(pk=first).committed_at.isoformat()
    for start, status in ((first, 404), (time, 403), (second, 200)):
        query = {"from": start, "to": third}
        assert client.get(address("todos_todo_history_compare", todo.pk, **query)).status_code == status


@pytest.mark.parametrize(
    "name", ["todos_todo_history", "todos_todo_history_compare", "todos_todo_history_as_of"]
)
def test_history_is_for_those_who_may_see_the_object(client, todo, name):
    store(key=todo.pk, after=row_image(todo))
    client.force_login(staff("todos.view_tag"))
    assert client.get(address(name, todo.pk)).status_code == 403
    client.force_login(User.objects.create_user("nobody"))
    assert "/login/" in client.get(address(name, todo.pk)).url


@pytest.mark.parametrize("is_gone", [False, True])
def test_object_that_the_admin_hides_has_no_history(client, is_gone):
    hidden = TodoList.objects.create(name="secret plan")
    store("todos_todolist", hidden.pk, after=row_image(hidden))
    if is_gone:
        store("todos_todolist", hidden.pk, "DELETE", before=row_image(hidden))
        hidden.delete(keep_parents=True)
    key = hidden.pk or Change.objects.earliest("id").primary_key
    client.force_login(staff("todos.view_todolist"))
    assert client.get(address("todos_todolist_history", key)).status_code == 302  # as Django's own page
    assert client.get(address("todos_todolist_history_compare", key)).status_code == 404


def test_admin_with_addresses_and_templates_of_its_own(client, boss, todo):
    store(key=todo.pk, after=row_image(todo))
    assert client.get(address("hello", todo.pk)).context["timeline"].entries
    for name in ("todos_todo", "auth_user"):
        text = page(client, f"{name}_changelist")
        assert f'href="{address(f"{name}_deleted")}"' in text
        assert text.count(">Deleted<") == 1


def test_password_is_masked_without_a_setting(client, boss):
    store("auth_user", boss.pk, after=row_image(boss))
    client.force_login(staff("auth.view_user"))
    text = page(client, "auth_user_history", boss.pk)
    assert boss.password not in text
    assert boss.email in text


def test_nothing_stored_is_said(client, boss, todo):
    assert "Nothing is stored" in page(client, "todos_todo_history", todo.pk)


AUDIT = ("bemi_orm.view_change", "bemi_orm.revert_change")


@pytest.mark.parametrize(
    ("permissions", "status"),
    [
        (("todos.view_todo", "todos.change_todo"), 403),
        (("todos.view_todo", "todos.change_todo", "bemi_orm.revert_change"), 403),
        (("todos.view_todo", *AUDIT), 403),
        (("todos.change_todo", *AUDIT), 200),
    ],
)
def test_revert_asks_for_all_of_its_permissions(client, todo, permissions, status):
    first = store(key=todo.pk, after=row_image(todo))
    update(todo, "bread")
    client.force_login(staff(*permissions))
    revert = address("todos_todo_history_revert", todo.pk, to=first)
    assert client.get(revert).status_code == status
    if status == 403:
        assert client.post(revert).status_code == status
    assert ("Revert to this" in page(client, "todos_todo_history", todo.pk)) == (status == 200)
    todo.refresh_from_db()
    assert todo.task == "bread"


@pytest.mark.parametrize(
    ("permissions", "status"),
    [
        (("todos.view_todo", "todos.add_todo"), 403),
        (("todos.view_todo", "todos.add_todo", "bemi_orm.revert_change"), 403),
        (("todos.view_todo", *AUDIT), 403),
        (("todos.add_todo", *AUDIT), 403),
        (("todos.view_todo", "todos.add_todo", *AUDIT), 200),
    ],
)
def test_restore_asks_for_all_of_its_permissions(client, todo, permissions, status):
    key = todo.pk
    store(key=key, operation="DELETE", before=row_image(todo))
    todo.delete()
    client.force_login(staff(*permissions))
    assert client.get(address("todos_todo_restore", key)).status_code == status
    if status == 403:
        assert client.post(address("todos_todo_restore", key)).status_code == status
    assert not Todo.objects.exists()


@pytest.mark.parametrize(
    ("key", "reason"),
    [("", "no primary key"), ("ADD PRIMARY KEY (place)", "Todo has no field for place")],
)
def test_objects_that_nothing_tells_apart_have_no_history_and_a_reason(client, boss, todo, key, reason):
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("ALTER TABLE todos_todo DROP CONSTRAINT todos_todo_pkey CASCADE")
        if key:
            cursor.execute(f"ALTER TABLE todos_todo ADD place serial, {key}")
    assert reason in page(client, "todos_todo_history", todo.pk)
    for name, keys in {"history_compare": [todo.pk], "history_revert": [todo.pk], "deleted": []}.items():
        response = client.get(address(f"todos_todo_{name}", *keys), follow=True)
        assert response.redirect_chain == [(address("todos_todo_changelist"), 302)]
        assert reason in response.content.decode()
    client.force_login(staff())
    assert client.get(address("todos_todo_history", todo.pk)).status_code == 403
    assert client.get(address("todos_todo_deleted")).status_code == 403
