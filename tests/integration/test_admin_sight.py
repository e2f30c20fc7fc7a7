"""Whatever a page of the admin shows beside its object is shown to those alone who may see that."""

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.db.models import Prefetch

from bemi_orm.access import Access, Masks
from bemi_orm.admin.hiding import hiding
from tests.integration.admin_rig import LIST, page, reader
from tests.integration.history_site import TodoAdmin, TodoInline, address, site, staff
from tests.integration.rows import next_transaction, row_image, store
from tests.integration.travels import Trail
from tests.todos.models import Document, SpecialDocument, Tag, Todo, TodoList

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.integration.history_site")]
AUDIT = ("bemi_orm.view_change", "bemi_orm.revert_change")


class NoLists(Access):
    """Hides one table."""

    def scope(self, user, changes):
        return changes.exclude(table="todos_todolist")


class NoDocuments(Access):
    """Hides the table of a parent."""

    def scope(self, user, changes):
        return changes.exclude(table="todos_document")


class NoSecretTodos(Access):
    """Hides rows by what they hold."""

    def scope(self, user, changes):
        return changes.after_not({"task": "secret"})


class OnlyOne(Access):
    """Shows what one user did."""

    def scope(self, user, changes):
        return changes.by_user(1_000_001)


@pytest.fixture
def names(monkeypatch):
    """Objects are called by what is in them, as in most projects."""
    monkeypatch.setattr(TodoList, "__str__", lambda row: row.name)
    monkeypatch.setattr(Todo, "__str__", lambda row: f"{row.task} in {row.list.name if row.list else '-'}")
    monkeypatch.setattr(Tag, "__str__", lambda row: f"tag {row.code}")


def timeline(client, name, key, **query):
    response = client.get(address(f"{name}_history", key, **query))
    assert response.status_code == 200
    return response, [
        item.row.change.pk for entry in response.context["timeline"].entries for item in entry.items
    ]


def family():
    """Give a list, a todo of it that is open and one that is done, and the ids of their changes."""
    home = TodoList.objects.create(name="home")
    todos = [
        Todo.objects.create(list=home, task=task, is_completed=task == "done") for task in ("open", "done")
    ]
    made = store("todos_todolist", home.pk, after=row_image(home))
    return home, todos, [made, *(store(key=todo.pk, after=row_image(todo)) for todo in todos)]


def test_children_that_their_admin_does_not_show(client, monkeypatch):
    home, _, (made, _, done) = family()
    monkeypatch.setattr(
        TodoAdmin, "get_queryset", lambda *_: Todo.objects.filter(is_completed=True), raising=False
    )
    client.force_login(staff("todos.view_todolist", "todos.view_todo"))
    assert timeline(client, "todos_todolist", home.pk, related=1)[1] == [done, made]


@pytest.mark.parametrize("is_for_one", [True, False])
def test_children_that_their_admin_has_no_permission_for(client, monkeypatch, is_for_one):
    home, _todos, (made, _, done) = family()
    monkeypatch.setattr(
        TodoAdmin,
        "has_view_permission",
        lambda admin, request, obj=None: is_for_one and (obj is None or obj.is_completed),
        raising=False,
    )
    client.force_login(staff("todos.view_todolist", "todos.view_todo"))
    assert timeline(client, "todos_todolist", home.pk, related=1)[1] == [
        *([done] if is_for_one else []),
        made,
    ]


def test_p3_links_are_those_of_forms_that_the_user_may_see(client):
    tag, todo = Tag.objects.create(code="red"), Todo.objects.create(task="milk")
    todo.tags.add(tag)
    link = Todo.tags.through.objects.get()
    linked = store("todos_todo_tags", link.pk, after=row_image(link))
    client.force_login(staff("todos.view_tag"))
    assert timeline(client, "todos_tag", "red", related=1)[1] == []
    client.force_login(staff("todos.view_todo", username="other"))
    assert timeline(client, "todos_todo", todo.pk, related=1)[1] == [linked]


@pytest.mark.parametrize(
    ("permissions", "name", "is_told"),
    [
        (("todos.view_todo",), "home", False),
        (("todos.view_todo", "todos.view_todolist"), "home", True),
        (("todos.view_todo", "todos.view_todolist"), "secret plan", False),
    ],
)
def test_names_of_objects_that_the_user_may_not_see(client, names, permissions, name, is_told):
    home = TodoList.objects.create(name=name)
    todo = Todo.objects.create(task="milk", list=home)
    store(key=todo.pk, after=row_image(todo))
    client.force_login(staff(*permissions))
    response, _ = timeline(client, "todos_todo", todo.pk)
    [line] = [
        line for line in response.context["timeline"].entries[0].items[0].lines if line.field == "list_id"
    ]
    assert line.new.text == (f"{name} ({home.pk})" if is_told else str(home.pk))


def test_rules_of_a_project_see_a_deleted_object_unmasked(client, settings, monkeypatch):
    settings.BEMI_MASKED = {"todos.Todo": ["task", "price"]}
    monkeypatch.setattr(
        TodoAdmin,
        "has_view_permission",
        lambda admin, request, obj=None: obj is None or (obj.task != "secret" and obj.price > 1),
        raising=False,
    )
    client.force_login(staff("todos.view_todo"))
    for task, status in (("milk", 200), ("secret", 403)):
        todo = Todo.objects.create(task=task, price=2)
        image = row_image(todo)
        store(key=todo.pk, operation="DELETE", before=image)
        todo.delete()
        assert client.get(address("todos_todo_history", image["id"])).status_code == status
        assert str(image["id"]) not in client.get(address("todos_todo_deleted")).context["title"]
    shown = client.get(address("todos_todo_deleted")).context["rows"]
    assert [gone.row.change.before["task"] for gone in shown] == ["milk"]


def test_rule_that_asks_for_what_the_past_does_not_know_shows_nothing(client, monkeypatch):
    admin = type(site.get_model_admin(SpecialDocument))
    monkeypatch.setattr(
        admin,
        "has_view_permission",
        lambda self, request, obj=None: obj is None or obj.title == "t",
        raising=False,
    )
    special = SpecialDocument.objects.create(title="t")
    key = str(special.pk)
    store("todos_specialdocument", key, "DELETE", before={"document_ptr_id": key, "level": 0})
    special.delete()
    client.force_login(staff("todos.view_specialdocument"))
    assert client.get(address("todos_specialdocument_history", key)).status_code == 403
    assert client.get(address("todos_specialdocument_deleted")).context["rows"] == []


def test_state_of_a_parent_table_out_of_scope(client, settings):
    special = SpecialDocument.objects.create(title="hush", level=1)
    key, number = str(special.pk), next_transaction()
    store("todos_document", key, after=row_image(Document.objects.get(pk=key)), transaction=number)
    image = {"document_ptr_id": key, "level": 1}
    own = store("todos_specialdocument", key, after=image, transaction=number, ordinal=1)
    settings.BEMI_ACCESS = f"{__name__}.NoDocuments"
    client.force_login(staff("todos.view_specialdocument"))
    query = {"from": "2026-01-01", "to": own}
    assert client.get(address("todos_specialdocument_history_compare", key, **query)).status_code == 403
    assert client.get(address("todos_specialdocument_history_as_of", key, at=own)).status_code == 403


@pytest.mark.urls("tests.todos.urls")
def test_names_of_users_cannot_be_asked_for_in_a_scope(settings):
    User.objects.create_user("zoe", pk=1_000_001)
    User.objects.create_user("yan", pk=1_000_002)
    client = reader()
    for key in (1_000_001, 1_000_002):
        store(context={"user_id": key})
    assert "yan" in page(client, f"{LIST}?user=1000002")
    settings.BEMI_ACCESS = f"{__name__}.OnlyOne"
    assert "zoe" in page(client, f"{LIST}?user=1000001")
    assert "yan" not in page(client, f"{LIST}?user=1000002")


@pytest.mark.urls("tests.integration.admin_everything")
@pytest.mark.parametrize("is_broken", [False, True])
def test_text_of_the_row_of_a_change(settings, names, monkeypatch, is_broken):
    settings.BEMI_MASKED = {"todos.Todo": ["task"]}
    if is_broken:
        monkeypatch.setattr(Todo, "__str__", lambda row: row.no_such_thing)
    todo = Todo.objects.create(task="hush")
    change = store(key=todo.pk, after=row_image(todo))
    client = reader("both", "view_todo")
    text = page(client, f"{LIST}{change}/change/")
    assert "hush" not in text
    assert f"/todos/todo/{todo.pk}/history/" in text
    assert (f"Todo {todo.pk}" if is_broken else "[masked] in -") in text


def test_instances_have_their_values_again_after_a_page(names):
    masks = Masks.from_setting(
        {"todos.TodoList": ["name"], "todos.Todo": ["task", "price", "list"], "todos.Tag": ["code"]}
    )
    todo = Todo.objects.create(task="milk", list=TodoList.objects.create(name="home"))
    todo.tags.add(Tag.objects.create(code="red"))
    rows = Todo.objects.select_related("list").prefetch_related("tags").defer("price")
    [shown] = rows
    home = shown.list
    with hiding([shown], masks):
        assert (str(shown), shown.price) == ("[masked] in -", "[masked]")
        assert [*map(str, shown.tags.all())] == ["tag [masked]"]
        assert Todo.objects.get().task == "[masked]"
    assert (str(shown), shown.get_deferred_fields()) == ("milk in home", {"price"})
    assert [*map(str, shown.tags.all())] == ["tag red"]
    shown.save()
    assert (Todo.objects.get().task, shown.list, str(shown.price)) == ("milk", home, todo.price)


@pytest.mark.django_db(transaction=True)
class TestPast:
    """With the real worker, as the past is read from the database."""

    @pytest.fixture(autouse=True)
    def trail(self, settings):
        trail = Trail(settings)
        trail.open()
        yield trail
        trail.close()

    def look(self, client, name, key):
        response = client.get(address(f"todos_{name}_history_as_of", key))
        assert response.status_code == 200
        return response

    def shout(self, monkeypatch, method):
        """Let a method of the admin say this, under the label Loud."""
        shout = admin.display(description="Loud")(lambda admin, todo: method(todo))
        monkeypatch.setattr(TodoAdmin, "shout", shout)

    def fields_of(self, client, todo):
        form = self.look(client, "todo", todo.pk).context["form"]
        return {field.label: str(field.text) for section in form.sections for field in section.fields}

    def test_masked_values_in_texts_of_what_the_object_points_to(self, client, settings, names, trail):
        settings.BEMI_MASKED = {"todos.TodoList": ["name"], "todos.Tag": ["code"]}
        home = TodoList.objects.create(name="hush")
        todo = Todo.objects.create(task="milk", list=home)
        todo.tags.add(Tag.objects.create(code="psst"))
        trail.drain()
        client.force_login(staff("todos.view_todo", "todos.view_todolist", "todos.view_tag"))
        fields = self.fields_of(client, todo)
        assert "[masked]" in fields["List"]
        assert fields["Tags"] == "tag [masked]"
        [(_, rows)] = self.look(client, "todolist", home.pk).context["form"].inlines
        assert [section.title for section in rows] == ["milk in [masked]"]

    @pytest.mark.parametrize(
        ("method", "shown"),
        [
            (lambda todo: " ".join(row.task for row in todo.list.todos.all()), "[masked] [masked]"),
            (lambda todo: Todo.objects.get(pk=todo.pk).task, "[masked]"),
            (lambda todo: Todo.objects.only("pk").earliest("pk").task, "[masked]"),
            (lambda todo: todo.list.todos.select_related("list").last().list.name, "[masked]"),
            (
                lambda todo: Todo.objects.select_related("list").latest("pk").list.todos.first().task,
                "[masked]",
            ),
        ],
    )
    def test_masked_values_in_what_a_method_fetches(
        self, client, settings, monkeypatch, trail, method, shown
    ):
        settings.BEMI_MASKED = {"todos.TodoList": ["name"], "todos.Todo": ["task"]}
        self.shout(monkeypatch, method)
        home = TodoList.objects.create(name="hush")
        todo = Todo.objects.create(task="psst", list=home)
        Todo.objects.create(task="psst", list=home)
        trail.drain()
        client.force_login(staff("todos.view_todo", "todos.view_todolist"))
        assert self.fields_of(client, todo)["Loud"] == shown
        assert Todo.objects.get(pk=todo.pk).task == "psst"

    def test_masked_values_in_what_the_object_has_at_hand(self, client, settings, names, monkeypatch, trail):
        settings.BEMI_MASKED = {"todos.TodoList": ["name"], "todos.Todo": ["task"], "todos.Tag": ["code"]}
        rows = Todo.objects.select_related("list").prefetch_related(
            "tags", "list__todos", Prefetch("list__todos", to_attr="beside")
        )
        monkeypatch.setattr(TodoAdmin, "get_queryset", lambda admin, request: rows.all(), raising=False)
        self.shout(
            monkeypatch,
            lambda todo: f"{todo} {todo.list.todos.all()} {todo.tags.all()} {todo.list.beside}",
        )
        todo = Todo.objects.create(task="psst", list=TodoList.objects.create(name="hush"))
        todo.tags.add(Tag.objects.create(code="still"))
        trail.drain()
        client.force_login(staff("todos.view_todo", "todos.view_todolist", "todos.view_tag"))
        text = self.fields_of(client, todo)["Loud"]
        assert text.count("[masked]") == 7
        assert not any(word in text for word in ("psst", "hush", "still"))

    @pytest.mark.parametrize("rows", [Todo.objects.all(), Todo.objects.select_related("list")])
    def test_masked_foreign_keys(self, client, settings, names, monkeypatch, trail, rows):
        settings.BEMI_MASKED = {"todos.Todo": ["list"]}
        monkeypatch.setattr(TodoAdmin, "get_queryset", lambda admin, request: rows.all(), raising=False)
        self.shout(monkeypatch, lambda todo: f"{todo}, {rows.get(pk=todo.pk)}")
        todo = Todo.objects.create(task="milk", list=TodoList.objects.create(name="hush"))
        trail.drain()
        client.force_login(staff("todos.view_todo", "todos.view_todolist"))
        shown = self.fields_of(client, todo)
        assert (shown["Loud"], shown["List"]) == ("milk in -, milk in -", "[masked]")

    def test_rows_of_inlines_out_of_scope(self, client, settings, names, trail):
        home = TodoList.objects.create(name="home")
        for task in ("secret", "open"):
            Todo.objects.create(task=task, list=home)
        trail.drain()
        client.force_login(staff("todos.view_todolist", "todos.view_todo"))
        titles = []
        for access in ("bemi_orm.access.Access", f"{__name__}.NoSecretTodos"):
            settings.BEMI_ACCESS = access
            [(_, rows)] = self.look(client, "todolist", home.pk).context["form"].inlines
            titles.append([section.title for section in rows])
        assert titles == [["secret in home", "open in home"], ["open in home"]]

    def test_inlines_whose_permission_depends_on_the_object(self, client, monkeypatch, trail):
        home, other = (TodoList.objects.create(name=name) for name in ("home", "other"))
        trail.drain()
        monkeypatch.setattr(
            TodoInline,
            "has_view_permission",
            lambda inline, request, obj=None: obj is None or obj.name == "home",
            raising=False,
        )
        client.force_login(staff("todos.view_todolist", "todos.view_todo"))
        found = [len(self.look(client, "todolist", row.pk).context["form"].inlines) for row in (home, other)]
        assert found == [1, 0]

    def test_parents_out_of_scope_are_not_restored(self, client, settings, trail):
        home = TodoList.objects.create(name="hush")
        todo = Todo.objects.create(task="milk", list=home)
        key = todo.pk
        todo.delete()
        home.delete()
        trail.drain()
        settings.BEMI_ACCESS = f"{__name__}.NoLists"
        client.force_login(staff("todos.view_todo", "todos.add_todo", "todos.add_todolist", *AUDIT))
        url = address("todos_todo_restore", key)
        assert client.get(url).status_code == 200
        for asked in (client.get, client.post):
            assert asked(url, {"missing_parents": "restore"}).status_code == 403
        assert not TodoList.objects.exists()

    def test_what_a_trigger_refuses_at_the_end_is_a_conflict(self, client, trail):
        trail.execute(
            """CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN RAISE EXCEPTION 'no'; END $$;
            CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON todos_tag DEFERRABLE INITIALLY DEFERRED
            FOR EACH ROW EXECUTE FUNCTION refuse()"""
        )
        try:
            trail.execute("ALTER TABLE todos_tag DISABLE TRIGGER refuse")
            Tag.objects.create(code="red").delete()
            trail.execute("ALTER TABLE todos_tag ENABLE TRIGGER refuse")
            trail.drain()
            client.force_login(User.objects.create_superuser("root"))
            assert client.post(address("todos_tag_restore", "red")).status_code == 409
            assert not Tag.objects.exists()
        finally:
            trail.execute("DROP FUNCTION refuse CASCADE")

    def test_object_that_was_there_again_in_between_is_shown_anew(self, client, trail):
        Tag.objects.create(code="red").delete()
        trail.drain()
        client.force_login(User.objects.create_superuser("root"))
        url = address("todos_tag_restore", "red")
        seen = client.get(url).context["subject"].ending.pk
        Tag.objects.create(code="red").delete()
        trail.drain()
        assert client.post(url, {"ending": seen}).status_code == 409
        assert not Tag.objects.exists()
        newest = client.get(url).context["subject"].ending.pk
        assert f'name="ending" value="{newest}"' in client.get(url).content.decode()
        assert client.post(url, {"ending": newest}).status_code == 302
        assert client.post(url, {"ending": newest}).status_code == 302  # a double click
        assert Tag.objects.count() == 1
