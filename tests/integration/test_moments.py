import threading
from datetime import UTC, datetime, timedelta

import pytest

from bemi_orm import After, Before, Change
from bemi_orm.exceptions import MomentError, NotCapturedError
from bemi_orm.history.moments import NOTHING, Bound, resolve
from bemi_orm.management.capture import open_source, open_writer, tracking_for
from bemi_orm.rows import MAX_ORDINAL
from bemi_orm.wal.lsn import format_lsn
from bemi_orm.worker.loop import Worker
from tests.integration.rows import START, store
from tests.todos.models import TodoList


def change(position, ordinal=0):
    return Change(position=position, ordinal=ordinal)


def test_a_change_is_the_moment_right_after_it():
    assert resolve(change(1024, 3)) == resolve(After(change(1024, 3))) == Bound(1024, 3)
    assert resolve(Before(change(1024, 3))) == Bound(1024, 2)
    assert resolve(Before(change(1024, 0))) < Bound(1024, 0)


@pytest.mark.parametrize("what", [None, 1.5, True, "yesterday", "0/XYZ", -1, 2**64, START.date()])
def test_what_is_no_moment_is_told(what):
    with pytest.raises(MomentError):
        resolve(what)


def test_a_naive_time_is_refused_with_time_zones():
    with pytest.raises(MomentError, match="no time zone"):
        resolve(datetime(2026, 1, 1))


@pytest.mark.django_db
def test_a_naive_time_is_local_without_time_zones(settings):
    settings.USE_TZ, settings.TIME_ZONE = False, "Europe/Berlin"
    store(transaction=1, committed_at=datetime(2026, 1, 1, 11, 0, tzinfo=UTC))
    store(transaction=2, committed_at=datetime(2026, 1, 1, 11, 30, tzinfo=UTC))
    assert resolve(datetime(2026, 1, 1, 12, 15)) == Bound(1024, MAX_ORDINAL)


@pytest.mark.django_db
@pytest.mark.parametrize(
    "gap", [timedelta(microseconds=1), timedelta(seconds=2), timedelta(days=2), timedelta(days=400)]
)
def test_e17_a_time_means_the_last_transaction_until_then(gap):
    store(transaction=1, committed_at=START)
    store(transaction=2, committed_at=START)
    store(transaction=3, committed_at=START + 2 * gap)
    assert resolve(START - gap) == NOTHING
    assert resolve(START) == resolve(START + gap) == Bound(2 * 1024, MAX_ORDINAL)


@pytest.mark.django_db
def test_e17_commit_times_that_fall_give_a_state_that_existed():
    store(transaction=1, committed_at=START)
    store(transaction=2, committed_at=START + timedelta(seconds=2))
    store(transaction=3, committed_at=START + timedelta(seconds=1))
    store(transaction=4, committed_at=START + timedelta(seconds=3))
    assert resolve(START + timedelta(seconds=1)) == Bound(3 * 1024, MAX_ORDINAL)


@pytest.mark.django_db
def test_changes_of_another_database_do_not_count():
    store(transaction=1, committed_at=START)
    store(transaction=2, committed_at=START + timedelta(days=1))
    store(transaction=9, committed_at=START, database="elsewhere")
    assert resolve(START) == Bound(1024, MAX_ORDINAL)


def test_an_lsn_is_behind_what_ends_there(trail):
    TodoList.objects.create(name="first")
    lsn = trail.lsn()
    TodoList.objects.create(name="second")
    trail.drain()
    assert [c.after["name"] for c in Change.objects.as_of(lsn)] == ["first"]
    first, second = Change.objects.asc()
    assert resolve(second.position) == Bound(second.position - 1, MAX_ORDINAL)
    assert resolve(format_lsn(first.position + 1)) == Bound(first.position, MAX_ORDINAL)


def test_a_moment_that_is_not_stored_yet_raises_with_the_lag(trail):
    TodoList.objects.create(name="stored")
    trail.drain()
    TodoList.objects.create(name="not stored")
    for moment in (trail.now(), trail.lsn()):
        with pytest.raises(NotCapturedError, match="bytes behind") as caught:
            resolve(moment)
        assert caught.value.lag_bytes > 0
        assert caught.value.retry_helps
    with pytest.raises(NotCapturedError, match="bytes behind"):
        resolve(trail.now(), wait=0.01)
    assert caught.value.lag_seconds >= 0


def test_a_moment_in_the_future_raises_at_once(trail):
    for moment in (trail.now() + timedelta(hours=1), 2**62):
        with pytest.raises(NotCapturedError, match="in the future"):
            resolve(moment, wait=True)


@pytest.fixture
def running_worker(trail):
    stop = threading.Event()
    worker = Worker(open_source(), open_writer(), tracking_for=tracking_for, should_stop=stop.is_set)
    thread = threading.Thread(target=worker.run)
    thread.start()
    yield worker
    stop.set()
    thread.join()


def test_waiting_ends_when_it_is_stored(trail, running_worker):
    TodoList.objects.create(name="soon")
    changes = Change.objects.as_of(trail.now(), wait=True)
    assert [c.after["name"] for c in changes] == ["soon"]


def test_a_worker_that_is_up_to_date_is_believed(trail, running_worker):
    TodoList.objects.create(name="soon")
    resolve(trail.now(), wait=True)
    trail.execute("SELECT pg_logical_emit_message(true, 'noise', 'moves the WAL')")
    newest = Change.objects.desc()[0]
    assert resolve(trail.now()) == Bound(newest.position, MAX_ORDINAL)


def test_after_a_drain_all_that_was_before_it_can_be_travelled_to(trail):
    """No worker runs, and nothing was written for a while: the drain's own mark is the proof."""
    TodoList.objects.create(name="stored")
    moment = trail.now()
    trail.drain()
    assert [c.after["name"] for c in Change.objects.as_of(moment)] == ["stored"]
