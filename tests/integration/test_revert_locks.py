"""Reverts beside other writers: rows are locked, and looked at again under the lock."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
from django.db import IntegrityError, connection, transaction

from bemi_orm.exceptions import RevertConflict
from bemi_orm.management.databases import libpq_parameters
from bemi_orm.replication.connections import connect_sql
from bemi_orm.revert.steps import ConflictKind
from tests.acceptance.site import eventually
from tests.integration.revert_rig import capture, publish
from tests.todos.models import Tag, Todo, TodoList

pytestmark = pytest.mark.django_db(transaction=True)

WAITING = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
)


@pytest.fixture
def rig():
    with capture() as rig:
        yield rig


@pytest.fixture
def other():
    """Give a connection of somebody else, with a transaction of its own."""
    with closing(connect_sql(libpq_parameters("default"))) as other:
        other.autocommit = False
        yield other


def in_thread(function):
    """Run in a thread, with a connection that is closed there."""

    def run():
        try:
            return function()
        finally:
            connection.close()

    return run


def wait_for_waiters(rig, number):
    eventually(lambda: rig.fetch(WAITING) == [(number,)], f"{number} transactions wait for a lock")


def test_row_changed_while_the_revert_waits_for_its_lock(rig, other):
    todo = Todo.objects.create(task="a")
    last = rig.last()
    Todo.objects.filter(pk=todo.pk).update(task="b")
    plan = rig.captured_since(last).revert_plan()
    other.cursor().execute("UPDATE todos_todo SET task = 'theirs'")
    with ThreadPoolExecutor(1) as pool:
        applied = pool.submit(in_thread(plan.apply))
        wait_for_waiters(rig, 1)
        other.commit()
        with pytest.raises(RevertConflict) as caught:
            applied.result()
    assert caught.value.conflicts[0].kind is ConflictKind.ROW_CHANGED
    todo.refresh_from_db()
    assert todo.task == "theirs"


def test_two_applies_of_one_plan_do_it_once(rig, other):
    last = rig.last()
    Tag.objects.bulk_create(Tag(code=str(number)) for number in range(20))
    plan = rig.captured_since(last).revert_plan()
    other.cursor().execute("SELECT FROM todos_tag ORDER BY code FOR UPDATE")
    with ThreadPoolExecutor(2) as pool:
        applied = [pool.submit(in_thread(plan.apply)) for _ in range(2)]
        wait_for_waiters(rig, 2)
        other.commit()
        assert sorted(len(one.result().steps) for one in applied) == [0, 20]
    assert not Tag.objects.exists()


def test_child_that_comes_meanwhile_waits_for_the_lock_of_its_parent(rig, other):
    last = rig.last()
    parent = TodoList.objects.create(name="l")
    plan = rig.captured_since(last).revert_plan()

    def add_child():
        with other.cursor() as cursor:
            cursor.execute(
                "INSERT INTO todos_todo (list_id, task, is_completed, price, meta, updated_at) "
                "VALUES (%s, 'x', false, 1, '{}', now()); SET CONSTRAINTS ALL IMMEDIATE",
                [parent.pk],
            )

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            plan.apply()
            adding = pool.submit(add_child)
            waits = "SELECT count(*) FROM pg_locks WHERE NOT granted"
            eventually(lambda: rig.fetch(waits) == [(1,)], "the child waits")
        with pytest.raises(Exception, match="foreign key"):
            adding.result()
    other.rollback()
    assert not TodoList.objects.exists()


def test_child_that_somebody_is_adding_is_waited_for_and_named_with_who(rig, other):
    last = rig.last()
    parent = TodoList.objects.create(name="l")
    plan = rig.captured_since(last).revert_plan()
    with other.cursor() as cursor:
        cursor.execute(
            "SELECT pg_logical_emit_message(true, '_bemi', '{\"user_id\": 9}');"
            "INSERT INTO todos_todo (list_id, task, is_completed, price, meta, updated_at) "
            "VALUES (%s, 'x', false, 1, '{}', now()); SET CONSTRAINTS ALL IMMEDIATE",
            [parent.pk],
        )
    with ThreadPoolExecutor(1) as pool:
        applied = pool.submit(in_thread(plan.apply))
        wait_for_waiters(rig, 1)
        other.commit()
        with pytest.raises(RevertConflict) as caught:
            applied.result()
    [conflict] = caught.value.conflicts
    child = Todo.objects.get()
    assert conflict.kind is ConflictKind.CHILDREN_EXIST
    assert f"todos_todo {child.pk} (list_id)" in conflict.detail
    rig.drain()
    with pytest.raises(RevertConflict, match="by user_id=9"):
        plan.apply()


def orphan_of(rig):
    """Give the plan to bring a todo back, whose list still exists, and the list."""
    parent = TodoList.objects.create(name="l")
    todo = Todo.objects.create(task="a", list=parent)
    last = rig.last()
    todo.delete()
    return rig.captured_since(last).revert_plan(), parent


def test_parent_that_somebody_is_deleting_is_waited_for_and_named(rig, other):
    plan, parent = orphan_of(rig)
    assert not plan.conflicts
    send_context = "SELECT pg_logical_emit_message(true, '_bemi', '{\"user_id\": 9}')"
    other.cursor().execute(f"{send_context}; DELETE FROM todos_todolist")
    with ThreadPoolExecutor(1) as pool:
        applied = pool.submit(in_thread(plan.apply))
        wait_for_waiters(rig, 1)
        other.commit()
        with pytest.raises(RevertConflict) as caught:
            applied.result()
    [conflict] = caught.value.conflicts
    assert (conflict.kind, conflict.fields) == (ConflictKind.PARENT_GONE, ("list",))
    assert f"todos_todolist {parent.pk} does not exist" in conflict.detail
    assert not Todo.objects.exists()
    rig.drain()
    with pytest.raises(RevertConflict, match="by user_id=9"):
        plan.apply()


def test_parent_cannot_be_deleted_until_the_revert_is_over(rig, other):
    plan, _ = orphan_of(rig)

    def delete_parent():
        with other.cursor() as cursor:
            cursor.execute("DELETE FROM todos_todolist; SET CONSTRAINTS ALL IMMEDIATE")

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            plan.apply()
            deleting = pool.submit(delete_parent)
            wait_for_waiters(rig, 1)
        with pytest.raises(Exception, match="foreign key"):
            deleting.result()
    other.rollback()
    assert Todo.objects.get().list == TodoList.objects.get()


def test_parent_may_be_changed_meanwhile_as_long_as_its_key_stays(rig, other):
    rig.run(
        "CREATE SCHEMA revert",
        "CREATE TABLE revert.a (id int PRIMARY KEY, note text)",
        "CREATE TABLE revert.b (id int PRIMARY KEY, a int REFERENCES revert.a)",
    )
    publish()
    rig.run("INSERT INTO revert.a VALUES (1, 'x')", "INSERT INTO revert.b VALUES (1, 1)")
    plan = rig.changes("DELETE FROM revert.b").revert_plan()
    with transaction.atomic():
        plan.apply()
        other.cursor().execute("SET LOCAL lock_timeout = '5s'; UPDATE revert.a SET note = 'y'")
        other.commit()
    assert (rig.table("revert.a"), rig.table("revert.b")) == (["(1,y)"], ["(1,1)"])


def test_unique_value_that_somebody_takes_meanwhile_is_named_with_who(rig, other):
    gone = TodoList.objects.create(name="l")
    last = rig.last()
    gone.delete()
    plan = rig.captured_since(last).revert_plan()
    other.cursor().execute("INSERT INTO todos_todolist (name) VALUES ('l') RETURNING id")
    with ThreadPoolExecutor(1) as pool:
        applied = pool.submit(in_thread(plan.apply))
        wait_for_waiters(rig, 1)
        other.commit()
        with pytest.raises(RevertConflict) as caught:
            applied.result()
    [conflict] = caught.value.conflicts
    holder = TodoList.objects.get()
    assert (conflict.kind, conflict.fields) == (ConflictKind.UNIQUE_TAKEN, ("name",))
    assert f"row {holder.pk} holds it" in conflict.detail
    assert isinstance(caught.value.__cause__, IntegrityError)


def test_row_that_somebody_makes_meanwhile_is_named_and_the_callers_transaction_goes_on(rig, other):
    gone = TodoList.objects.create(name="l")
    last, key = rig.last(), gone.pk
    gone.delete()
    plan = rig.captured_since(last).revert_plan()
    other.cursor().execute("INSERT INTO todos_todolist VALUES (%s, 'theirs')", [key])

    def apply_inside():
        with transaction.atomic():
            Tag.objects.create(code="before")
            with pytest.raises(RevertConflict) as caught:
                plan.apply()
            Tag.objects.create(code="after")
            return caught.value.conflicts

    with ThreadPoolExecutor(1) as pool:
        applied = pool.submit(in_thread(apply_inside))
        wait_for_waiters(rig, 1)
        other.commit()
        [conflict] = applied.result()
    assert (conflict.kind, conflict.model, conflict.key) == (
        ConflictKind.ROW_EXISTS,
        "todos.TodoList",
        str(key),
    )
    assert sorted(tag.code for tag in Tag.objects.all()) == ["after", "before"]
    assert TodoList.objects.get().name == "theirs"


def test_parents_are_locked_in_the_order_of_all_tables_so_that_reverts_do_not_wait_crosswise(rig, other):
    rig.run(
        "CREATE SCHEMA revert",
        "CREATE TABLE revert.a (id int PRIMARY KEY)",
        "CREATE TABLE revert.b (id int PRIMARY KEY, a int REFERENCES revert.a)",
    )
    publish()
    rig.run("INSERT INTO revert.a VALUES (1)", "INSERT INTO revert.b VALUES (1, 1)")
    plan = rig.changes("UPDATE revert.b SET a = NULL").revert_plan()
    other.cursor().execute("SELECT FROM revert.b FOR UPDATE")
    with ThreadPoolExecutor(1) as pool:
        applied = pool.submit(in_thread(plan.apply))
        wait_for_waiters(rig, 1)
        free = rig.fetch("SELECT id FROM revert.a FOR UPDATE SKIP LOCKED")
        other.commit()
        applied.result()
    assert (free, rig.table("revert.b")) == ([], ["(1,1)"])
