"""Undo, against the real WAL of the test project's models."""

from datetime import timedelta

import pytest
from django.core.exceptions import FieldError
from django.db import connection, transaction
from django.utils import timezone

import bemi_orm
from bemi_orm import Change
from bemi_orm.revert.steps import ConflictKind, Effect
from tests.integration.revert_rig import capture
from tests.todos.models import Document, Everything, Seat, SpecialDocument, Tag, Todo, TodoList

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def rig():
    with capture() as rig:
        yield rig


def effects(plan):
    return [(step.effect, step.table.table, step.key) for step in plan.steps]


def test_r95_update_is_undone_exactly_auto_now_and_all(rig):
    todo = Todo.objects.create(task="a")
    before = Todo.objects.values().get()
    last = rig.last()
    todo.task, todo.price = "b", "2.50"
    todo.save()
    plan = rig.captured_since(last).revert_plan()
    assert effects(plan) == [(Effect.UPDATE, "todos_todo", str(todo.pk))]
    assert set(plan.steps[0].new_values) == {"task", "price", "updated_at"}
    assert Todo.objects.get().task == "b"
    plan.apply()
    assert Todo.objects.values().get() == before


def test_r96_p28_delete_is_undone_under_the_same_key_and_the_sequence_stays(rig):
    todo = Todo.objects.create(task="a", meta={"x": [1.5, None]})
    before = Todo.objects.values().get()
    key, last = todo.pk, rig.last()
    todo.delete()
    rig.captured_since(last).get().revert()
    assert Todo.objects.values().get() == before
    assert Todo.objects.create(task="next").pk > key


def test_p27_r97_request_is_undone_parents_children_and_links(rig):
    tag = Tag.objects.create(code="t")
    last = rig.last()
    with bemi_orm.context(request_id="r1"), transaction.atomic():
        parent = TodoList.objects.create(name="l")
        todos = [Todo.objects.create(list=parent, task=str(n)) for n in range(3)]
        todos[0].tags.add(tag)
    rig.drain()
    plan = Change.objects.by_context(request_id="r1").revert_plan()
    order = effects(plan)
    link = next(effect for effect in order if effect[1] == "todos_todo_tags")
    assert order.index(link) < order.index((Effect.DELETE, "todos_todo", str(todos[0].pk)))
    assert order[-1] == (Effect.DELETE, "todos_todolist", str(parent.pk))
    assert not plan.conflicts
    plan.apply()
    assert not TodoList.objects.exists()
    assert not Todo.objects.exists()
    assert Tag.objects.count() == 1
    undone = rig.captured_since(last).filter(context__has_key="_bemi_reverts")
    assert undone.count() == 5
    undone.revert()
    assert [todo.tags.count() for todo in Todo.objects.order_by("task")] == [1, 0, 0]


def test_r104_revert_names_what_it_reverts_and_is_found_by_it(rig):
    todo = Todo.objects.create(task="a")
    last = rig.last()
    todo.task = "b"
    todo.save()
    change = rig.captured_since(last).get()
    with bemi_orm.context(user_id=7):
        change.revert()
    rig.drain()
    revert = Change.objects.context({"_bemi_reverts": [str(change.pk)]}).get()
    assert revert.context["user_id"] == 7
    assert (revert.before["task"], revert.after["task"]) == ("b", "a")


def test_r104_many_changes_are_named_by_first_last_and_count(rig):
    last = rig.last()
    Tag.objects.bulk_create(Tag(code=f"t{number}") for number in range(250))
    changes = rig.captured_since(last)
    ids = [str(change.pk) for change in changes]
    changes.revert()
    rig.drain()
    named = Change.objects.deleted().first().context["_bemi_reverts"]
    assert named == {"first": ids[0], "last": ids[-1], "count": 250}
    assert not Tag.objects.exists()


def test_several_changes_of_a_row_are_one_step(rig):
    todo = Todo.objects.create(task="a")
    before, last = Todo.objects.values().get(), rig.last()
    for task in "bcd":
        Todo.objects.filter(pk=todo.pk).update(task=task)
    todo.delete()
    plan = rig.captured_since(last).revert_plan()
    assert [len(step.changes) for step in plan.steps] == [4]
    plan.apply()
    assert Todo.objects.values().get() == before


def test_what_came_and_went_is_no_step(rig):
    last = rig.last()
    Todo.objects.create(task="a").delete()
    plan = rig.captured_since(last).revert_plan()
    assert len(plan.changes) == 2
    assert not plan
    assert not plan.apply().steps


def test_second_apply_finds_everything_done(rig):
    todo = Todo.objects.create(task="a")
    last = rig.last()
    todo.delete()
    Tag.objects.create(code="t")
    plan = rig.captured_since(last).revert_plan()
    assert len(plan.apply().steps) == 2
    assert plan.apply().steps == ()
    assert not rig.captured_since(last).filter(context={}).revert_plan()


def test_r103_preview_writes_nothing(rig):
    todo = Todo.objects.create(task="a")
    last = rig.last()
    todo.delete()
    TodoList.objects.create(name="l")
    changes = rig.captured_since(last)
    with transaction.atomic():
        connection.cursor().execute("SET TRANSACTION READ ONLY")
        plan = changes.revert_plan()
        text = str(plan)
    assert len(plan.steps) == 2
    assert text.splitlines()[0] == "Revert of 2 changes: 2 steps, 0 conflicts"
    assert "1. delete todos_todolist" in text
    assert f"2. insert todos_todo {plan.steps[1].key}: " in text
    assert "task=a" in text


def test_r98_only_some_fields(rig):
    todo = Todo.objects.create(task="a", price="1.00")
    last = rig.last()
    Todo.objects.filter(pk=todo.pk).update(task="b", price="2.00")
    Tag.objects.create(code="t")
    rig.captured_since(last).revert(fields=["price"])
    todo.refresh_from_db()
    assert (todo.task, str(todo.price)) == ("b", "1.00")
    assert Tag.objects.exists()


def test_text_as_fields_is_one_name(rig):
    todo = Todo.objects.create(task="a", price="1.00")
    last = rig.last()
    Todo.objects.filter(pk=todo.pk).update(task="b", price="2.00")
    rig.captured_since(last).revert(fields="price")
    todo.refresh_from_db()
    assert (todo.task, str(todo.price)) == ("b", "1.00")
    with pytest.raises(FieldError, match=r"column prize\."):
        rig.captured_since(last).revert(fields="prize")


def test_instance_to_a_moment_and_to_a_change(rig):
    todo = Todo.objects.create(task="a")
    created = rig.captured_since(None).get(table="todos_todo")
    Todo.objects.filter(pk=todo.pk).update(task="b")
    moment = timezone.now()
    Todo.objects.filter(pk=todo.pk).update(task="c", is_completed=True)
    rig.drain()
    Tag.objects.create(code="later")  # a moment is over for certain when something later is stored
    rig.drain()
    plan = todo.bemi_revert_plan(moment)
    assert dict(plan.steps[0].new_values) == {"task": "b", "is_completed": False}
    todo.bemi_revert(moment, fields=["task"])
    todo.refresh_from_db()
    assert (todo.task, todo.is_completed) == ("b", True)
    rig.drain()
    todo.bemi_revert(created)
    todo.refresh_from_db()
    assert (todo.task, todo.is_completed) == ("a", False)


def test_instance_to_a_moment_is_refused_where_a_change_is_not_captured_yet(rig):
    todo = Todo.objects.create(task="a")
    created = rig.captured_since(None).get(table="todos_todo")
    Todo.objects.filter(pk=todo.pk).update(task="b")
    rig.drain()
    Todo.objects.filter(pk=todo.pk).update(is_completed=True)
    [conflict] = todo.bemi_revert_plan(created).conflicts
    assert (conflict.kind, conflict.columns) == (ConflictKind.ROW_CHANGED, ("is_completed",))


def test_multi_table_inheritance_goes_back_as_a_whole(rig):
    special = SpecialDocument.objects.create(title="a", level=1)
    moment = rig.captured_since(None).desc().first()
    SpecialDocument.objects.filter(pk=special.pk).update(title="b", level=2)
    rig.drain()
    special.bemi_revert(moment)
    special.refresh_from_db()
    assert (special.title, special.level) == ("a", 1)
    key = special.pk
    special.delete()
    rig.drain()
    restored = SpecialDocument.bemi.restore(key)
    assert (restored.title, restored.level) == ("a", 1)


def test_table_to_a_moment(rig):
    kept = [TodoList.objects.create(name=name) for name in "abc"]
    before, moment = rig.table("todos_todolist"), timezone.now()
    TodoList.objects.filter(pk=kept[0].pk).update(name="x")
    TodoList.objects.filter(pk=kept[1].pk).delete()
    TodoList.objects.create(name="b")
    rig.drain()
    Change.objects.for_model(TodoList).revert_plan(moment).apply()
    assert rig.table("todos_todolist") == before


def test_users_changes_in_a_period(rig):
    start = timezone.now() - timedelta(minutes=1)
    for user in (1, 2):
        with bemi_orm.context(user_id=user):
            Tag.objects.create(code=f"by-{user}")
    rig.drain()
    Change.objects.by_user(2).between(start, timezone.now() + timedelta(minutes=1)).revert()
    assert [tag.code for tag in Tag.objects.all()] == ["by-1"]


def test_restore_by_key(rig):
    todo = Todo.objects.create(task="a")
    key = todo.pk
    todo.delete()
    rig.drain()
    assert Todo.bemi.restore(key).task == "a"
    rig.drain()
    with pytest.raises(Todo.DoesNotExist, match="or it is there again"):
        Todo.bemi.restore(key)


@pytest.mark.parametrize("key", [("A", 1), ("B", 2)])
def test_p30_restore_by_composite_key(rig, key):
    Seat.objects.create(row=key[0], number=key[1], taken_by="ann").delete()
    rig.drain()
    assert Seat.bemi.restore(key).taken_by == "ann"


def test_truncate_is_undone_by_what_was_there(rig):
    for code in "abc":
        Tag.objects.create(code=code)
    Tag.objects.filter(code="a").delete()
    Document.objects.create(title="x")
    before, documents, last = rig.table("todos_tag"), rig.table("todos_document"), rig.last()
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE todos_tag, todos_todo_tags")
        cursor.execute("TRUNCATE todos_document CASCADE")
    rig.captured_since(last).revert()
    assert rig.table("todos_tag") == before
    assert rig.table("todos_document") == documents


def test_p21_values_of_every_type_come_back_exactly(rig):
    key = Everything.objects.create(
        big=9007199254740993,
        double=0.1,
        exact="1.10",
        blob=b"\x00\xff",
        numbers=[1, None],
        words=[["a"], ["b"]],
        document={"a": [1.10, "x"]},
        address="10.0.0.1",
        text="%s '\\ \u2028",
        span=timedelta(days=-1, seconds=5),
        moment=timezone.now(),
        integers=(1, None),
        period=(timezone.now(), None),
    ).pk
    before, last = rig.table("todos_everything"), rig.last()
    Everything.objects.filter(pk=key).update(big=1, exact="7", blob=b"", numbers=[], text="", integers=None)
    rig.captured_since(last).revert()
    assert rig.table("todos_everything") == before
    last = rig.last()
    Everything.objects.all().delete()
    rig.captured_since(last).revert()
    assert rig.table("todos_everything") == before


def test_revert_takes_part_in_the_callers_transaction(rig):
    last = rig.last()
    Tag.objects.create(code="t")
    changes = rig.captured_since(last)

    def undo_and_fail():
        with transaction.atomic():
            changes.revert()
            assert not Tag.objects.exists()
            raise LookupError

    with pytest.raises(LookupError):
        undo_and_fail()
    assert Tag.objects.exists()


def test_p29_change_under_former_names_of_table_and_column(rig, settings):
    settings.BEMI_RENAMED = {"todos.Tag": {"tables": ["label"], "columns": {"slug": "code"}}}
    Tag.objects.create(code="t")
    last = rig.last()
    rig.run(
        "ALTER TABLE todos_tag RENAME TO label",
        "ALTER TABLE label RENAME COLUMN code TO slug",
        "DELETE FROM label",
    )
    change = rig.captured_since(last).get()
    rig.run("ALTER TABLE label RENAME COLUMN slug TO code", "ALTER TABLE label RENAME TO todos_tag")
    assert (change.table, change.before) == ("label", {"slug": "t"})
    change.revert()
    assert [tag.code for tag in Tag.objects.all()] == ["t"]


def test_name_that_no_table_of_the_plan_has_is_an_error(rig):
    last = rig.last()
    Tag.objects.create(code="t")
    with pytest.raises(FieldError, match="prize"):
        rig.captured_since(last).revert(fields=["code", "prize"])
    assert Tag.objects.exists()
