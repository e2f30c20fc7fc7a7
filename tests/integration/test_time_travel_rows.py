"""Values and keys of the views, and the ways to single rows of the past."""

import uuid

import pytest
from django.apps import apps
from django.db import models, transaction
from django.test.utils import isolate_apps

from bemi_orm import After, Before, Change, time_travel
from bemi_orm.exceptions import TimeTravelError
from bemi_orm.timetravel.setup import plan_views
from tests.integration.histories import History, text
from tests.integration.rows import store
from tests.integration.travels import forget_models
from tests.todos.models import Document, Everything, Seat, SpecialDocument, Tag, Todo, TodoList

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])


def test_p21_each_field_class_has_its_value(trail):
    row = Everything.objects.create(**History(0).values())
    empty = Everything.objects.create()
    expected = [text(values) for values in Everything.objects.order_by("pk").values_list()]
    then = trail.now()
    Everything.objects.all().delete()
    trail.drain()
    with time_travel(then):
        assert [text(values) for values in Everything.objects.order_by("pk").values_list()] == expected
        assert (
            Everything.objects.get(numbers__contains=[3], document__a__2="é", integers__contains=4).pk
            == row.pk
        )
        assert Everything.objects.get(words=None).pk == empty.pk
        assert Everything.objects.get(moment__year=2026).big == 2**62


def test_p30_keys_of_each_kind(trail):
    document = SpecialDocument.objects.create(title="x", level=1)
    seat, tag = Seat.objects.create(row='A"', number=7), Tag.objects.create(code="ünï")
    then = trail.now()
    for model in (SpecialDocument, Seat, Tag):
        model.objects.all().delete()
    trail.drain()
    with time_travel(then):
        found = Document.objects.get()
        assert (found.pk, found.specialdocument.level) == (document.pk, 1)
        assert isinstance(found.pk, uuid.UUID)
        assert isinstance(SpecialDocument.objects.values_list("pk", flat=True)[0], uuid.UUID)
        assert Document.objects.exclude(pk=document.pk).count() == 0
        assert Seat.objects.get(pk=seat.pk).number == 7
        assert Tag.objects.get(pk=tag.pk) == tag
        assert (
            SpecialDocument.objects.filter(document_ptr__in=Document.objects.filter(title="x")).count() == 1
        )


def test_a_value_that_was_not_sent_raises_and_names_the_table(trail):
    trail.execute("ALTER TABLE todos_document REPLICA IDENTITY DEFAULT")
    whole, partial = (Document.objects.create(title="".join(str(n) for n in range(20_000))) for _ in range(2))
    trail.execute(f"UPDATE todos_document SET title = title WHERE id = '{partial.pk}'")
    now = trail.now()
    Document.objects.filter(pk=whole.pk).delete()
    trail.drain()
    with time_travel(now):
        assert Document.objects.count() == 2
        assert Document.objects.get(pk=whole.pk).title.startswith("0123")
        with pytest.raises(TimeTravelError, match=r"todos_document\.title is not known"):
            Document.objects.get(pk=partial.pk)


def test_p29_a_column_that_was_added_later_has_its_default(trail):
    store(transaction=1, key=5, after={"id": 5, "task": "old"})
    store(
        transaction=2,
        key=5,
        operation="UPDATE",
        before={"id": 5, "task": "old"},
        after={"id": 5, "task": "new"},
    )
    with time_travel(Change.objects.desc()[0]):
        todo = Todo.objects.get()
        assert (todo.task, todo.is_completed, str(todo.price), todo.meta, todo.list_id) == (
            "new",
            False,
            "1.10",
            {},
            None,
        )


def test_p29_history_outlives_a_rename(trail, settings, forget):
    settings.BEMI_RENAMED = {"todos.Todo": {"tables": ["item"], "columns": {"title": "task"}}}
    forget()
    plan_views(lambda schema, table: True).apply()
    store("item", 5, transaction=1, after={"id": 5, "title": "first"})
    store("item", 6, transaction=1, ordinal=1, after={"id": 6, "title": "gone"})
    store(
        "todos_todo",
        5,
        "UPDATE",
        transaction=2,
        before={"id": 5, "task": "first"},
        after={"id": 5, "task": "second"},
    )
    store("todos_todo", 6, "DELETE", transaction=2, ordinal=1, before={"id": 6, "task": "gone"})
    first, _, second, last = Change.objects.asc()
    for moment, tasks in ((first, ["first"]), (Before(second), ["first", "gone"]), (last, ["second"])):
        with time_travel(moment):
            assert list(Todo.objects.order_by("pk").values_list("task", flat=True)) == tasks
        as_of = Change.objects.for_model(Todo).as_of(moment)
        assert sorted(todo.task for todo in as_of.instances()) == tasks


def test_one_row_as_of_a_moment(trail):
    todo = Todo.objects.create(task="first")
    document = SpecialDocument.objects.create(title="first", level=1)
    made = trail.now()
    Todo.objects.update(task="second")
    Document.objects.update(title="second")
    SpecialDocument.objects.filter(pk=document.pk).update(level=2)
    Todo.objects.create(task="later")
    trail.drain()
    created, updated, *_ = Change.objects.for_model(Todo)
    assert todo.bemi_as_of(made).task == "first"
    assert todo.bemi_as_of(updated).task == "second"
    assert todo.bemi_as_of(Before(created)) is None
    past = document.bemi_as_of(made)
    assert (past.pk, past.title, past.level) == (document.pk, "first", 1)


def test_rows_of_a_class(trail):
    kept, moved, deleted = (Todo.objects.create(task=task) for task in ("kept", "moved", "deleted"))
    Seat.objects.create(row="a", number=1)
    then = trail.now()
    trail.execute(f"UPDATE todos_todo SET id = id + 1000 WHERE id = {moved.pk}")
    deleted_key = deleted.pk
    deleted.delete()
    trail.execute("TRUNCATE todos_seat")
    Seat.objects.create(row="b", number=2)
    trail.drain()
    assert sorted(todo.task for todo in Todo.bemi.as_of(then)) == ["deleted", "kept", "moved"]
    assert [(c.operation, c.primary_key_int) for c in Todo.bemi.deleted()] == [("DELETE", deleted_key)]
    assert [todo.task for todo in Todo.bemi.deleted().instances()] == ["deleted"]
    assert [seat.row for seat in Seat.bemi.deleted().instances()] == ["a"]
    with pytest.raises(AttributeError, match="of the class"):
        kept.bemi  # noqa: B018


def test_moments_inside_a_transaction(trail):
    with transaction.atomic():
        TodoList.objects.create(name="a")
        TodoList.objects.create(name="b")
        TodoList.objects.filter(name="a").delete()
    trail.drain()
    first, second, gone = Change.objects.asc()
    seen = []
    for moment in (Before(first), After(first), Before(second), second, gone):
        with time_travel(moment):
            seen.append(sorted(TodoList.objects.values_list("name", flat=True)))
    assert seen == [[], ["a"], ["a"], ["a", "b"], ["b"]]


@pytest.fixture
def forget():
    """Let models be looked at anew, when called and at the end."""
    yield forget_models
    forget_models()


@pytest.fixture
def thing(forget):
    """A model that names the schema of its table."""
    with isolate_apps("tests.todos"):

        class Thing(models.Model):
            name = models.TextField()

            class Meta:
                app_label = "todos"
                db_table = '"elsewhere"."thing"'

    apps.register_model("todos", Thing)
    forget()
    yield Thing
    del apps.all_models["todos"]["thing"]
    apps.clear_cache()


def test_a_model_that_names_its_schema(trail, thing):
    trail.execute("CREATE SCHEMA elsewhere; CREATE TABLE elsewhere.thing (id bigint PRIMARY KEY, name text)")
    try:
        plan_views(lambda schema, table: True).apply()
        store("thing", 1, schema="elsewhere", after={"id": 1, "name": "old"})
        with time_travel(Change.objects.desc()[0]):
            assert [row.name for row in thing.objects.filter(name="old").order_by("pk")] == ["old"]
            with pytest.raises(TimeTravelError, match="live table"):
                trail.execute("SELECT * FROM elsewhere.thing")
    finally:
        trail.execute("DROP SCHEMA elsewhere CASCADE")
