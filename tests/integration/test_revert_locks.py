"""Reverts beside other writers: rows are locked, and looked at again under the lock."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
from django.db import connection, transaction

from bemi_orm.exceptions import RevertConflict
from bemi_orm.management.databases import libpq_parameters
from bemi_orm.replication.connections import connect_sql
from bemi_orm.revert.steps import ConflictKind
from tests.acceptance.site import eventually
from tests.integration.revert_rig import capture
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
