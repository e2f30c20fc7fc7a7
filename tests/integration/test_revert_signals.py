"""What receivers of the ORM's signals see of a revert, and what they can do to it."""

from contextlib import contextmanager

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models.signals import m2m_changed, post_delete, post_save, pre_delete, pre_save

import bemi_orm
from bemi_orm import Change
from bemi_orm.exceptions import RevertConflict
from tests.integration.revert_rig import capture, publish
from tests.todos.models import Document, Seat, SpecialDocument, Tag, Todo, TodoList

pytestmark = pytest.mark.django_db(transaction=True)

NAMES = {
    pre_save: "pre_save",
    post_save: "post_save",
    pre_delete: "pre_delete",
    post_delete: "post_delete",
    m2m_changed: "m2m_changed",
}
TOLD = ("raw", "created", "update_fields", "action", "reverse", "pk_set", "using")


@pytest.fixture
def rig():
    with capture() as rig:
        yield rig


@contextmanager
def receiver(signal, receive, sender=None):
    signal.connect(receive, sender=sender)
    try:
        yield
    finally:
        signal.disconnect(receive, sender=sender)


@pytest.fixture
def heard():
    """Give the signals as they come: name, sender, key, and the details that receivers go by."""
    log = []

    def receive(sender, instance, signal, **details):
        told = {key: details[key] for key in TOLD if key in details}
        log.append((NAMES[signal], sender.__name__, instance.pk, told))

    for signal in NAMES:
        signal.connect(receive)
    yield log
    for signal in NAMES:
        signal.disconnect(receive)


def test_preview_sends_no_signal(rig, heard):
    last = rig.last()
    Tag.objects.create(code="t")
    changes = rig.captured_since(last)
    heard.clear()
    print(changes.revert_plan())
    assert heard == []


def test_straight_sql_sends_no_signal(rig, heard):
    last = rig.last()
    Todo.objects.create(task="a").tags.add(Tag.objects.create(code="t"))
    changes = rig.captured_since(last)
    heard.clear()
    changes.revert(using_sql=True)
    assert not Tag.objects.exists()
    assert heard == []


def test_signals_are_those_of_the_orm_all_before_then_all_after(rig, heard):
    todo, gone = Todo.objects.create(task="a"), Todo.objects.create(task="gone")
    gone_key, last = gone.pk, rig.last()
    Todo.objects.filter(pk=todo.pk).update(task="b")
    gone.delete()
    Tag.objects.create(code="t")
    changes = rig.captured_since(last)
    heard.clear()
    changes.revert()
    by, told = {"using": "default"}, {"raw": False, "using": "default"}
    changed, new = told | {"update_fields": frozenset({"task"})}, told | {"update_fields": None}
    assert heard == [
        ("pre_delete", "Tag", "t", by),
        ("pre_save", "Todo", todo.pk, changed),
        ("pre_save", "Todo", gone_key, new),
        ("post_delete", "Tag", "t", by),
        ("post_save", "Todo", todo.pk, changed | {"created": False}),
        ("post_save", "Todo", gone_key, new | {"created": True}),
    ]


def test_receivers_see_the_database_as_it_was_and_as_it_is_again(rig):
    todo = Todo.objects.create(task="a", list=TodoList.objects.create(name="l"))
    todo.tags.add(Tag.objects.create(code="t"))
    key, last = todo.pk, rig.last()
    todo.delete()
    Tag.objects.filter(code="t").update(code="u")
    TodoList.objects.update(name="m")
    changes = rig.captured_since(last)
    seen = []

    def look(sender, instance, **details):
        rows = Todo.objects.filter(pk=key).values_list("task", "list__name", "tags")
        seen.append((list(rows), instance.task, instance.list.name, instance._state.adding))

    with receiver(pre_save, look, Todo), receiver(post_save, look, Todo):
        changes.revert()
    assert seen == [([], "a", "m", True), ([("a", "l", "t")], "a", "m", False)]


def test_instance_of_an_update_has_the_values_to_be_and_is_an_ordinary_one(rig):
    todo = Todo.objects.create(task="a", price="1.50", meta={"x": 1})
    before, last = Todo.objects.values().get(), rig.last()
    Todo.objects.filter(pk=todo.pk).update(task="b", price="2.00")
    changes = rig.captured_since(last)
    seen = []

    def look(sender, instance, **details):
        seen.append(
            ({name: getattr(instance, name) for name in before}, instance._state.db, instance._state.adding)
        )
        instance.refresh_from_db()
        seen.append(instance.task)

    with receiver(post_save, look, Todo):
        changes.revert()
    assert seen == [(before, "default", False), "a"]


def test_what_a_receiver_does_to_the_instance_is_not_written(rig):
    todo = Todo.objects.create(task="a")
    before, last = Todo.objects.values().get(), rig.last()
    todo.delete()
    changes = rig.captured_since(last)
    seen = []

    def meddle(sender, instance, **details):
        instance.task, instance.note = "meddled", "kept"

    def look(sender, instance, **details):
        seen.append((instance.task, instance.note))

    with receiver(pre_save, meddle, Todo), receiver(post_save, look, Todo):
        changes.revert()
    assert Todo.objects.values().get() == before
    assert seen == [("a", "kept")]


@pytest.mark.parametrize("signal", [pre_save, post_save, pre_delete, post_delete])
def test_receiver_that_raises_rolls_everything_back_and_its_error_stays(rig, signal):
    todo = Todo.objects.create(task="a")
    last = rig.last()
    Todo.objects.filter(pk=todo.pk).update(task="b")
    Tag.objects.create(code="t")
    changes = rig.captured_since(last)

    def fail(sender, **details):
        raise IntegrityError("mine")

    with receiver(signal, fail), pytest.raises(IntegrityError, match=r"^mine$"):
        changes.revert()
    assert (Todo.objects.get().task, Tag.objects.count()) == ("b", 1)


def test_what_a_receiver_writes_is_in_the_same_transaction_and_context(rig):
    last = rig.last()
    Todo.objects.create(task="a")
    change = rig.captured_since(last).get()

    def write(sender, instance, **details):
        Tag.objects.create(code=f"gone-{instance.pk}")

    last = rig.last()
    with receiver(post_delete, write, Todo):
        change.revert()
        undone = rig.captured_since(last)
        assert {one.table for one in undone} == {"todos_todo", "todos_tag"}
        assert len({one.transaction_id for one in undone}) == 1
        assert all(one.context["_bemi_reverts"] == [str(change.pk)] for one in undone)
        undone.revert()
        with transaction.atomic():
            change.revert()
            assert Tag.objects.exists()
            transaction.set_rollback(True)
    assert (Todo.objects.count(), Tag.objects.count()) == (1, 0)


def test_receiver_that_makes_what_each_new_row_needs_finds_what_the_plan_restored(rig):
    parent = TodoList.objects.create(name="l")
    Todo.objects.create(task="first", list=parent)
    last = rig.last()
    parent.delete()
    changes = rig.captured_since(last)
    reverting = []

    def provide(sender, instance, created, **details):
        reverting.append("_bemi_reverts" in bemi_orm.current_context())
        Todo.objects.get_or_create(list=instance, defaults={"task": "made"})

    with receiver(post_save, provide, TodoList):
        changes.revert()
    assert [todo.task for todo in Todo.objects.all()] == ["first"]
    assert reverting == [True]


def test_receiver_that_deletes_what_the_plan_deletes_too(rig):
    last = rig.last()
    todo = Todo.objects.create(task="a", list=TodoList.objects.create(name="l"))
    changes = rig.captured_since(last)

    def take_children(sender, instance, **details):
        Todo.objects.filter(list_id=instance.pk).delete()

    with receiver(pre_delete, take_children, TodoList):
        changes.revert()
    assert not Todo.objects.filter(pk=todo.pk).exists()
    assert not TodoList.objects.exists()


def test_receiver_that_violates_a_deferred_constraint_is_a_conflict_that_names_it(rig):
    todo = Todo.objects.create(task="a", list=TodoList.objects.create(name="l"))
    last = rig.last()
    Todo.objects.filter(pk=todo.pk).update(task="b")
    changes = rig.captured_since(last)

    def orphan(sender, instance, **details):
        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM todos_todolist")

    with receiver(post_save, orphan, Todo), pytest.raises(RevertConflict) as caught:
        changes.revert()
    [conflict] = caught.value.conflicts
    assert (conflict.model, conflict.key, conflict.fields) == ("todos.Todo", str(todo.pk), ("list",))
    assert Todo.objects.get().list.name == "l"
    assert Todo.objects.get().task == "b"


def links(heard):
    return [(name, key, told["action"], told["pk_set"]) for name, _, key, told in heard if "action" in told]


def test_links_are_told_by_m2m_changed_as_add_and_remove_tell_them(rig, heard):
    todo = Todo.objects.create(task="a")
    tags = [Tag.objects.create(code=code) for code in "xyz"]
    todo.tags.add(*tags[:2])
    last = rig.last()
    todo.tags.set(tags[2:])
    changes = rig.captured_since(last)
    heard.clear()
    changes.revert()
    assert [entry[:3] for entry in heard] == [("m2m_changed", "Todo_tags", todo.pk)] * 4
    assert links(heard) == [
        ("m2m_changed", todo.pk, "pre_remove", {"z"}),
        ("m2m_changed", todo.pk, "pre_add", {"x", "y"}),
        ("m2m_changed", todo.pk, "post_remove", {"z"}),
        ("m2m_changed", todo.pk, "post_add", {"x", "y"}),
    ]
    assert not any(told["reverse"] for *_, told in heard)


def test_links_that_come_with_their_row_are_told_and_those_that_go_with_it_are_not(rig, heard):
    todo = Todo.objects.create(task="a")
    todo.tags.add(Tag.objects.create(code="x"))
    key, last = todo.pk, rig.last()
    todo.delete()
    changes = rig.captured_since(last)
    heard.clear()
    last = rig.last()
    changes.revert()
    assert [action for _, _, action, _ in links(heard)] == ["pre_add", "post_add"]
    assert {entry[2] for entry in heard} == {key}
    undo = rig.captured_since(last)
    heard.clear()
    undo.revert()
    assert [name for name, *_ in heard] == ["pre_delete", "post_delete"]


def test_instance_with_parts_in_two_tables_is_told_once_whole(rig, heard):
    special = SpecialDocument.objects.create(title="a", level=1)
    key, last = special.pk, rig.last()
    SpecialDocument.objects.filter(pk=key).update(title="b", level=2)
    updates = rig.captured_since(last)
    heard.clear()
    seen = []

    def look(sender, instance, **details):
        seen.append((instance.title, instance.level, instance.get_deferred_fields()))

    with receiver(pre_save, look, SpecialDocument):
        updates.revert()
        both = frozenset({"title", "level"})
        assert [(name, sender, told["update_fields"]) for name, sender, _, told in heard] == [
            ("pre_save", "SpecialDocument", both),
            ("post_save", "SpecialDocument", both),
        ]
        last = rig.last()
        special.delete()
        deletes = rig.captured_since(last)
        heard.clear()
        deletes.revert()
    assert [(name, sender) for name, sender, *_ in heard] == [
        ("pre_save", "SpecialDocument"),
        ("post_save", "SpecialDocument"),
    ]
    assert seen == [("a", 1, set())] * 2


def test_deleted_instance_with_parts_is_told_for_both_models_as_by_the_orm(rig, heard):
    last = rig.last()
    special = SpecialDocument.objects.create(title="a", level=1)
    changes = rig.captured_since(last)
    heard.clear()
    changes.revert()
    assert heard == [
        (name, sender, special.pk, {"using": "default"})
        for name in ("pre_delete", "post_delete")
        for sender in ("SpecialDocument", "Document")
    ]
    assert not Document.objects.exists()


def test_row_that_only_makes_room_is_told_once_with_its_end(rig, heard):
    one, two = TodoList.objects.create(name="a"), TodoList.objects.create(name="b")
    last = rig.last()
    rig.run(
        f"UPDATE todos_todolist SET name = 'x' WHERE id = {one.pk}",
        f"UPDATE todos_todolist SET name = 'a' WHERE id = {two.pk}",
        f"UPDATE todos_todolist SET name = 'b' WHERE id = {one.pk}",
    )
    plan = rig.captured_since(last).revert_plan()
    assert any(step.is_detour for step in plan.steps)
    heard.clear()
    names = []

    def look(sender, instance, **details):
        names.append((instance.pk, instance.name))

    with receiver(post_save, look, TodoList):
        plan.apply()
    assert sorted(names) == [(one.pk, "a"), (two.pk, "b")]
    assert len(heard) == 4


def test_composite_key_generated_column_and_column_without_a_field(rig):
    rig.run(
        "ALTER TABLE todos_seat ADD COLUMN note text, "
        "ADD COLUMN twice int GENERATED ALWAYS AS (number * 2) STORED"
    )
    publish()
    try:
        seat = Seat.objects.create(row="A", number=1, taken_by="ann")
        rig.run("UPDATE todos_seat SET note = 'n'")
        last = rig.last()
        rig.run("UPDATE todos_seat SET note = 'm'")
        only_note = rig.captured_since(last)
        rig.run("UPDATE todos_seat SET note = 'n', taken_by = 'bob'")
        both = rig.captured_since(last).exclude(pk__in=[change.pk for change in only_note])
        told = []

        def look(sender, instance, update_fields, **details):
            told.append((instance.pk, instance.taken_by, update_fields))

        with receiver(post_save, look, Seat):
            both.revert()
            only_note.revert()
        assert told == [(seat.pk, "ann", frozenset({"taken_by"}))]
        assert rig.table("todos_seat") == ["(A,1,ann,n,2)"]
    finally:
        rig.run("ALTER TABLE todos_seat DROP COLUMN note, DROP COLUMN twice")


def test_table_without_a_model_goes_along_in_silence(rig, heard):
    rig.run("CREATE SCHEMA revert", "CREATE TABLE revert.t (id int PRIMARY KEY)")
    publish()
    changes = rig.changes("INSERT INTO revert.t VALUES (1)")
    changes.revert()
    assert (rig.table("revert.t"), heard) == ([], [])


def test_revert_of_a_key_change_tells_the_key_that_comes_back(rig, heard):
    Tag.objects.create(code="a")
    last = rig.last()
    Tag.objects.filter(code="a").update(code="b")
    changes = rig.captured_since(last)
    heard.clear()
    changes.revert()
    assert [(name, key, told["update_fields"]) for name, _, key, told in heard] == [
        ("pre_save", "a", frozenset({"code"})),
        ("post_save", "a", frozenset({"code"})),
    ]
    assert Change.objects.filter(pk__in=[change.pk for change in changes]).exists()
