"""A worker that dies, loses its connections, or is told to stop, at each bad moment."""

import hashlib
import logging
import signal

import pytest

from bemi_orm.exceptions import ConfigurationError, SetupError, StorageError
from bemi_orm.replication.source import ReplicationSource
from bemi_orm.wal.frames import Keepalive, XLogData
from bemi_orm.wal.lsn import format_lsn
from bemi_orm.worker import session
from bemi_orm.worker.loop import Worker
from tests.replication.harness import DEADLINE_SECONDS

ALL = lambda own: lambda schema, table: True  # noqa: E731


@pytest.mark.parametrize("fault", ["before the checkpoint moves", "before the commit", "after the commit"])
def test_e3_s02_a_death_at_each_step_of_storing(tracked, fault):
    """Rows and checkpoint are there together or not at all, and the slot is never ahead of them."""
    tracked.sql.execute("INSERT INTO item SELECT n, 'x' FROM generate_series(1, 100) n")
    process = tracked.spawn_worker(fault)
    assert process.wait(DEADLINE_SECONDS) == 9
    tracked.wait_until(tracked.slot_is_free, "the server notices the death")

    assert tracked.confirmed_flush() <= tracked.checkpoint()
    assert len(tracked.stored_ids()) == (100 if fault == "after the commit" else 0)
    assert tracked.drain() == (0 if fault == "after the commit" else 100)
    assert tracked.stored_ids() == list(range(1, 101))


def test_a_transaction_that_commits_at_the_checkpoint_is_not_skipped(tracked):
    """An end LSN can equal the next commit LSN, so only a smaller commit LSN is stored already."""
    second = f"{tracked.slot}_b"
    tracked.sql.execute("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", [second])
    tracked.sql.execute("INSERT INTO item VALUES (1)")
    tracked.drain()
    [[commit_lsn]] = tracked.changes("position")
    tracked.sql.execute("TRUNCATE changes")
    tracked.sql.execute(
        "INSERT INTO bemi_checkpoint "
        "(source, system_identifier, timeline, database_oid, slot, confirmed_lsn) "
        "SELECT source || '_b', system_identifier, timeline, database_oid, "
        "%s, %s FROM bemi_checkpoint",
        [second, format_lsn(commit_lsn)],
    )
    first, tracked.slot = tracked.slot, second
    try:
        assert tracked.drain() == 1
        assert tracked.stored_ids() == [1]
        tracked.sql.execute("SELECT pg_drop_replication_slot(%s)", [second])
    finally:
        tracked.slot = first


class InterruptedSource(ReplicationSource):
    """Slips in one keep-alive, from far ahead, within a transaction, and keeps the server's own out."""

    interrupt_at = frames = rests = 0

    def read(self):
        if self.frames == self.interrupt_at:
            self.frames += 1
            return Keepalive(wal_end=1 << 50, sent_at_us=0, reply_requested=True)
        while isinstance(frame := super().read(), Keepalive):
            pass
        self.frames += isinstance(frame, XLogData)
        self.rests += frame is None and self.frames > self.interrupt_at
        return frame


@pytest.mark.parametrize(
    "interrupt_at", [2, 3, 4], ids=["before its first row", "after it", "after the second"]
)
def test_a_position_told_within_a_transaction_is_not_taken(tracked, monkeypatch, interrupt_at):
    """Frames: Begin, Relation, Insert, Insert, Commit; then the worker rests and might take the position."""
    monkeypatch.setattr(session, "CHECKPOINT_SECONDS", 0.0)
    source = InterruptedSource(tracked.parameters, slot=tracked.slot, publication=tracked.publication)
    source.interrupt_at = interrupt_at
    tracked.sql.execute("INSERT INTO item VALUES (1), (2)")
    worker = Worker(source, tracked.writer(), tracking_for=ALL, should_stop=lambda: source.rests >= 4)
    worker.run()
    assert tracked.stored_ids() == [1, 2]
    assert tracked.confirmed_flush() <= tracked.checkpoint() <= tracked.wal_position()


class PausingSource(ReplicationSource):
    """A position is told just before a large transaction, which then comes with a pause in its midst."""

    rig = seen_in_the_pause = None
    frames = 0

    def start(self, checkpoint_lsn):
        super().start(checkpoint_lsn)
        self.script = self.play(checkpoint_lsn)

    def read(self):
        return next(self.script)

    def play(self, checkpoint_lsn):
        while not isinstance(begin := super().read(), XLogData):
            self.wait(0.1)
        yield Keepalive(wal_end=checkpoint_lsn + 1, sent_at_us=0, reply_requested=True)
        yield begin
        for _ in range(3000):
            yield super().read()
        yield None
        self.seen_in_the_pause = len(self.rig.changes()), self.rig.checkpoint()
        while True:
            yield super().read()


def test_half_a_transaction_is_not_made_visible_by_a_pause(tracked, monkeypatch):
    monkeypatch.setattr(session, "CHECKPOINT_SECONDS", 0.0)
    tracked.sql.execute("INSERT INTO item SELECT n, 'x' FROM generate_series(1, 5000) n")
    before = tracked.checkpoint()
    source = PausingSource(tracked.parameters, slot=tracked.slot, publication=tracked.publication)
    source.rig = tracked
    Worker(source, tracked.writer(), tracking_for=ALL, should_stop=bool, drain=True).run()
    assert source.seen_in_the_pause == (0, before)
    assert tracked.stored_ids() == list(range(1, 5001))


def test_e4_lost_connections_are_made_again(tracked):
    """Every connection of the worker is ended by the server, again and again, while rows are written."""
    process = tracked.spawn_worker()
    try:
        for number in range(1, 6):
            tracked.sql.execute("INSERT INTO item VALUES (%s)", [number])
            tracked.wait_until(lambda number=number: len(tracked.stored_ids()) == number, "the row is stored")
            tracked.sql.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE application_name = 'bemi_orm' AND datname = current_database()"
            )
        assert tracked.stored_ids() == [1, 2, 3, 4, 5]
        assert process.poll() is None
    finally:
        process.terminate()
        assert process.wait(DEADLINE_SECONDS) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_signal_ends_a_worker_that_waits_for_a_lock(tracked, number):
    lock = tracked.connect()
    lock.autocommit = False
    process = tracked.spawn_worker()
    try:
        tracked.sql.execute("INSERT INTO item VALUES (1)")
        tracked.wait_until(tracked.changes, "the worker stores")
        lock.cursor().execute("LOCK TABLE changes IN ACCESS EXCLUSIVE MODE")
        tracked.sql.execute("INSERT INTO item VALUES (2)")
        tracked.wait_until(tracked.is_blocked, "the worker waits to store")
        process.send_signal(number)
        assert process.wait(DEADLINE_SECONDS) == 0
    finally:
        process.kill()
        process.wait()
        lock.rollback()
    tracked.wait_until(tracked.slot_is_free, "the server notices the end")
    tracked.drain()
    assert tracked.stored_ids() == [1, 2]


@pytest.mark.parametrize("name", ["PGTZ", "PGDATESTYLE", "PGOPTIONS"])
def test_the_environment_does_not_change_values(tracked, monkeypatch, name):
    values = {"PGTZ": "America/New_York", "PGDATESTYLE": "SQL,DMY", "PGOPTIONS": "-c IntervalStyle=iso_8601"}
    tracked.sql.execute("CREATE TABLE times (id int PRIMARY KEY, t timestamptz, d date, i interval)")
    tracked.sql.execute("ALTER TABLE times REPLICA IDENTITY FULL")
    tracked.sql.execute(f"ALTER PUBLICATION {tracked.publication} ADD TABLE times")
    tracked.sql.execute("INSERT INTO times VALUES (1, '2026-03-04 05:06:07Z', '2026-03-04', '1 day 2:00')")
    monkeypatch.setenv(name, values[name])
    tracked.drain()
    monkeypatch.delenv(name)
    assert tracked.changes("after") == [
        ({"id": 1, "t": "2026-03-04T05:06:07+00:00", "d": "2026-03-04", "i": "1 day 02:00:00"},)
    ]


@pytest.mark.parametrize(
    "harm",
    ["DROP PUBLICATION {p}", "ALTER PUBLICATION {p} SET (publish = 'insert')"],
    ids=["dropped", "narrowed"],
)
def test_s38_a_publication_that_loses_changes_is_an_error_at_the_start(tracked, harm):
    before = tracked.checkpoint()
    tracked.sql.execute(harm.format(p=tracked.publication))
    tracked.sql.execute("INSERT INTO item VALUES (1)")
    with pytest.raises(SetupError, match="bemi setup"):
        tracked.drain()
    assert tracked.checkpoint() == before


def test_s38_a_publication_dropped_under_a_running_worker_ends_it(tracked):
    process = tracked.spawn_worker()
    tracked.wait_until(tracked.slot_is_active, "the worker follows the slot")
    tracked.sql.execute(f"DROP PUBLICATION {tracked.publication}")
    tracked.sql.execute("INSERT INTO item VALUES (1)")
    assert process.wait(DEADLINE_SECONDS) == 1
    assert tracked.changes() == []


def test_a_table_that_is_not_published_is_named_once(tracked, caplog):
    tracked.sql.execute("CREATE TABLE forgotten (id int PRIMARY KEY)")
    with caplog.at_level(logging.WARNING, "bemi_orm"):
        tracked.drain()
    assert caplog.text.count("public.forgotten is not published") == 1


@pytest.mark.parametrize("right", ["changes", "bemi_checkpoint"])
def test_a_destination_that_forbids_is_an_error_that_names_the_grant(tracked, right):
    role = f"writer_{tracked.name}"
    tracked.sql.execute(f"CREATE ROLE {role} LOGIN")
    tracked.sql.execute(f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}")
    tracked.sql.execute(f"REVOKE ALL ON {right} FROM {role}")
    tracked.sql.execute("INSERT INTO item VALUES (1)")
    writer = tracked.writer()
    writer._parameters = {**tracked.parameters, "user": role}
    try:
        with pytest.raises(ConfigurationError, match="Grant"):
            Worker(tracked.source(), writer, tracking_for=ALL, should_stop=bool).run()
    finally:
        tracked.sql.execute(f"DROP OWNED BY {role}")
        tracked.sql.execute(f"DROP ROLE {role}")


def test_a_change_that_is_refused_is_an_error_without_its_values(tracked):
    tracked.sql.execute("ALTER TABLE changes ADD CONSTRAINT nope CHECK (primary_key <> '7')")
    tracked.sql.execute("INSERT INTO item VALUES (7, 'top secret')")
    with pytest.raises(StorageError) as caught:
        tracked.drain()
    assert "nope" in str(caught.value)
    assert "top secret" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
    tracked.sql.execute("ALTER TABLE changes DROP CONSTRAINT nope")
    assert tracked.drain() == 1


def test_time_outs_of_the_database_do_not_count(tracked):
    for name in ("statement_timeout", "idle_session_timeout", "idle_in_transaction_session_timeout"):
        tracked.sql.execute(f"ALTER DATABASE {tracked.name} SET {name} = '50ms'")
    rows = 20_000
    loader = tracked.connect()
    loader.cursor().execute("SET statement_timeout = 0")
    loader.cursor().execute("INSERT INTO item SELECT n, 'x' FROM generate_series(1, %s) n", [rows])
    assert tracked.drain() == rows


def test_no_replication_privilege_is_an_error_at_once(tracked):
    role = f"plain_{tracked.name}"
    tracked.sql.execute(f"CREATE ROLE {role} LOGIN")
    source = tracked.source()
    source._parameters = {**tracked.parameters, "user": role}
    try:
        with pytest.raises(SetupError, match="REPLICATION"):
            Worker(source, tracked.writer(), tracking_for=ALL, should_stop=bool).run()
    finally:
        tracked.sql.execute(f"DROP ROLE {role}")


def test_two_workers_take_turns_without_a_false_gap(tracked):
    """The second waits while the first stores at full speed, and takes over when it is gone."""
    first, second = tracked.spawn_worker(), tracked.spawn_worker()
    try:
        for number in range(1, 301):
            tracked.sql.execute("INSERT INTO item VALUES (%s)", [number])
        tracked.wait_until(lambda: len(tracked.stored_ids()) == 300, "all is stored")
        assert (first.poll(), second.poll()) == (None, None)
        owner = tracked.walsender()
        tracked.sql.execute("SELECT pg_terminate_backend(%s)", [owner])
        tracked.sql.execute("INSERT INTO item VALUES (301)")
        tracked.wait_until(lambda: len(tracked.stored_ids()) == 301, "one of them goes on")
        assert (first.poll(), second.poll()) == (None, None)
    finally:
        for process in (first, second):
            process.kill()
            process.wait()
    assert tracked.stored_ids() == list(range(1, 302))


def test_s47_s53_a_value_that_jsonb_cannot_hold_is_stored_as_its_digest(tracked):
    tracked.sql.execute("INSERT INTO item VALUES (1, repeat('x', 270000000))")
    tracked.sql.execute("INSERT INTO item VALUES (2, 'neighbour')")
    assert tracked.drain() == 2
    digest = hashlib.sha256(b"x" * 270_000_000).hexdigest()
    assert tracked.changes("after") == [
        ({"id": 1, "body": f"sha256:{digest} (270000000 bytes)"},),
        ({"id": 2, "body": "neighbour"},),
    ]
