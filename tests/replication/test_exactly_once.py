"""Every change once, none lost: acknowledgement, crashes, order of commit."""

import signal
import threading
import time

import pytest

from bemi_orm.exceptions import FencedError, GapError, SetupError
from bemi_orm.rows import source_hash
from bemi_orm.wal.frames import XLogData
from bemi_orm.wal.lsn import format_lsn
from bemi_orm.worker.assembly import Assembler
from bemi_orm.worker.positions import source_name


def open_writer(rig, identity):
    """A writer that owns the checkpoint, as the worker opens it."""
    writer = rig.writer()
    checkpoint = writer.open(
        source_name(identity, rig.slot),
        timeline=identity.timeline,
        database=identity.database,
        source_hash=source_hash(identity.system_identifier, identity.timeline, identity.database),
    )
    return writer, checkpoint


def test_drain_stores_all_that_was_committed_before_it(tracked):
    tracked.sql.execute("INSERT INTO item SELECT n, 'x' FROM generate_series(1, 3) n")
    tracked.sql.execute("UPDATE item SET body = 'y' WHERE id = 2")
    tracked.sql.execute("DELETE FROM item WHERE id = 3")

    assert tracked.drain() == 5
    assert tracked.changes("operation, primary_key, primary_key_int, before, after, ordinal") == [
        ("CREATE", "1", 1, {}, {"id": 1, "body": "x"}, 0),
        ("CREATE", "2", 2, {}, {"id": 2, "body": "x"}, 1),
        ("CREATE", "3", 3, {}, {"id": 3, "body": "x"}, 2),
        ("UPDATE", "2", 2, {"id": 2, "body": "x"}, {"id": 2, "body": "y"}, 0),
        ("DELETE", "3", 3, {"id": 3, "body": "x"}, {}, 0),
    ]
    assert tracked.drain() == 0


def test_committed_at_and_transaction_id_are_the_servers(tracked):
    tracked.sql.execute(
        "WITH written AS (INSERT INTO item VALUES (1, 'x') RETURNING 1) "
        "SELECT pg_current_xact_id()::text::bigint FROM written"
    )
    [[transaction_id]] = tracked.sql.fetchall()
    tracked.drain()

    assert tracked.changes(
        "transaction_id, committed_at = pg_xact_commit_timestamp(transaction_id::text::xid), "
        "committed_at <= queued_at, queued_at <= created_at, database = current_database()"
    ) == [(transaction_id, True, True, True, True)]


def test_s01_a_transaction_in_memory_is_not_acknowledged(tracked):
    """Long transaction, early commit, a pause in reading: psycopg2's own feedback loses T2 here."""
    tracked.sql.execute("ALTER SYSTEM SET wal_sender_timeout = '12s'")
    tracked.sql.execute("SELECT pg_reload_conf()")
    long = tracked.connect()
    long.autocommit = False
    long.cursor().execute("INSERT INTO item SELECT n, repeat('x', 10000) FROM generate_series(1001, 7000) n")
    source = tracked.source()
    identity = source.identify()
    source.start(tracked.checkpoint())
    writer, _ = open_writer(tracked, identity)
    try:
        assembler = Assembler(
            describe=source.describe,
            is_tracked=lambda schema, table: True,
            encoding=identity.encoding,
            stored_lsn=tracked.checkpoint(),
            next_xid=source.next_xid(),
        )

        def read_one():
            while (frame := source.read()) is None:
                source.keep_alive()
                source.wait(0.1)
            if isinstance(frame, XLogData):
                assembler.feed(frame)
            source.keep_alive()

        def read_all_that_is_committed():
            mark = source.mark()
            while assembler.completed_lsn is None or assembler.completed_lsn <= mark:
                read_one()

        tracked.sql.execute("INSERT INTO item VALUES (1, 'T1')")
        read_all_that_is_committed()
        stored_lsn = assembler.completed_lsn
        writer.begin_write(assembler.take())
        writer.begin_commit(stored_lsn)
        assert writer.is_free()
        source.acknowledge(stored_lsn)
        tracked.sql.execute("INSERT INTO item VALUES (2, 'T2')")
        t2_end = tracked.wal_position()
        read_all_that_is_committed()  # T2 is only in memory
        long.commit()
        for _ in range(5):
            read_one()
        pause_until = time.monotonic() + 7  # the scenario itself: longer than half of wal_sender_timeout
        threading.Event().wait(pause_until - time.monotonic())
        read_all_that_is_committed()
        tracked.wait_until(lambda: tracked.confirmed_flush() >= stored_lsn, "T1 is acknowledged")
        assert tracked.confirmed_flush() < t2_end
    finally:
        source.close()
        writer.close()
        tracked.sql.execute("ALTER SYSTEM RESET wal_sender_timeout")
        tracked.sql.execute("SELECT pg_reload_conf()")

    tracked.drain()  # from the checkpoint, as after a crash
    ids = tracked.stored_ids()
    assert ids[:2] == [1, 2]
    assert sorted(ids[2:]) == list(range(1001, 7001))


def test_s07_a_crash_within_a_copy_stores_its_rows_once(tracked):
    """SIGKILL while the destination holds the batch back; all rows of one COPY share their LSN."""
    lock = tracked.connect()
    lock.autocommit = False
    process = tracked.spawn_worker()
    try:
        tracked.sql.execute("INSERT INTO item VALUES (0)")
        tracked.wait_until(tracked.changes, "the worker stores")
        lock.cursor().execute("LOCK TABLE changes IN ACCESS EXCLUSIVE MODE")
        tracked.sql.execute("COPY item FROM PROGRAM 'seq -f \"%.0f\tx\" 1 1000'")
        tracked.wait_until(tracked.is_blocked, "the worker waits to store")
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    lock.rollback()
    tracked.wait_until(
        tracked.slot_is_free,
        "the server notices the crash",
    )

    tracked.drain()
    rows = tracked.changes("id, position, ordinal, after ->> 'id'")
    assert [int(row[3]) for row in rows] == list(range(1001))
    assert [row[2] for row in rows] == [0, *range(1000)]
    assert len({row[0] for row in rows}) == len({row[1:3] for row in rows}) == 1001


def test_s09_order_is_that_of_commit_also_over_a_restart(tracked):
    first, second = tracked.connect(), tracked.connect()
    first.autocommit = second.autocommit = False
    first.cursor().execute("INSERT INTO item VALUES (1, 'A')")
    second.cursor().execute("INSERT INTO item VALUES (2, 'B')")
    second.commit()
    assert tracked.drain() == 1
    first.commit()
    assert tracked.drain() == 1

    rows = tracked.changes("after ->> 'body', position, transaction_id, id")
    assert [row[0] for row in rows] == ["B", "A"]
    assert rows[0][1] < rows[1][1]
    assert rows[0][2] > rows[1][2]  # A began first
    assert rows[0][3] < rows[1][3]


def test_s10_a_message_in_a_savepoint_precedes_the_row_after_it(tracked):
    tracked.sql.execute("BEGIN")
    tracked.sql.execute("INSERT INTO item VALUES (0)")
    tracked.sql.execute("SAVEPOINT s")
    tracked.sql.execute("""SELECT pg_logical_emit_message(true, '_bemi', '{"c": 1}')""")
    tracked.sql.execute("RELEASE s")
    tracked.sql.execute("INSERT INTO item VALUES (1)")
    tracked.sql.execute("COMMIT")
    tracked.drain()

    assert tracked.changes("after -> 'id', context") == [(0, {}), (1, {"c": 1})]


def test_s11_d1_each_row_has_the_message_before_it(tracked):
    tracked.sql.execute("BEGIN")
    for number in (1, 2):
        tracked.sql.execute(f"""SELECT pg_logical_emit_message(true, '_bemi', '{{"user": {number}}}')""")
        tracked.sql.execute(f"INSERT INTO item VALUES ({number})")
    tracked.sql.execute("COMMIT")
    tracked.drain()

    assert tracked.changes("after -> 'id', context") == [(1, {"user": 1}), (2, {"user": 2})]


def test_s12_s13_s14_messages_that_are_nobodys_context(tracked):
    for statements in (
        ["INSERT INTO item VALUES (12)", "SELECT pg_logical_emit_message(true, '_bemi', '{\"late\": 1}')"],
        [
            "SAVEPOINT s",
            "SELECT pg_logical_emit_message(true, '_bemi', '{}')",
            "ROLLBACK TO s",
            "INSERT INTO item VALUES (13)",
        ],
        ["SELECT pg_logical_emit_message(false, '_bemi', '{\"x\": 1}')", "INSERT INTO item VALUES (14)"],
        ["SELECT pg_logical_emit_message(true, 'other', '{\"x\": 1}')", "INSERT INTO item VALUES (15)"],
        ["SELECT pg_logical_emit_message(true, '_bemi', 'no JSON')", "INSERT INTO item VALUES (16)"],
    ):
        for statement in ("BEGIN", *statements, "COMMIT"):
            tracked.sql.execute(statement)
    tracked.drain()

    assert tracked.changes("after -> 'id', context") == [(n, {}) for n in (12, 13, 14, 15, 16)]


def test_s15_ten_thousand_rows_share_one_message(tracked):
    tracked.sql.execute(
        """SELECT pg_logical_emit_message(true, '_bemi', '{"u": 7}');"""
        "INSERT INTO item SELECT n, 'x' FROM generate_series(1, 10000) n"
    )
    assert tracked.drain() == 10_000
    assert tracked.changes("DISTINCT ON (position, ordinal) context") == [({"u": 7},)] * 10_000
    assert tracked.fetch(
        "SELECT array_agg(ordinal ORDER BY id) = array_agg(n) FROM changes, LATERAL (SELECT ordinal) o(n)"
    ) == [(True,)]


def test_s48_messages_alone_move_the_checkpoint_and_store_nothing(tracked):
    before = tracked.checkpoint()
    for _ in range(200):
        tracked.sql.execute("SELECT pg_logical_emit_message(true, '_bemi', '{}')")
    end = tracked.wal_position()

    assert tracked.drain() == 0
    assert tracked.checkpoint() >= end > before
    assert tracked.fetch("SELECT count(*) FROM changes") == [(0,)]


def test_a_running_worker_stores_within_a_second_and_acknowledges_after(tracked):
    process = tracked.spawn_worker()
    try:
        tracked.wait_until(
            tracked.slot_is_active,
            "the worker follows the slot",
        )
        written_at = time.monotonic()
        tracked.sql.execute("INSERT INTO item VALUES (1, 'x')")
        tracked.wait_until(tracked.changes, "the change is stored")
        assert time.monotonic() - written_at < 1
        end = tracked.mark()
        tracked.wait_until(lambda: tracked.confirmed_flush() >= end, "the slot moves on")
        assert tracked.confirmed_flush() <= tracked.checkpoint()
    finally:
        process.terminate()
        process.wait()


def test_e3_kill_at_random_moments_under_load(tracked):
    """Two writers go on while workers are killed in turn; in the end all is there once, in order."""
    stop = threading.Event()
    written = [0, 0]

    def write(lane):
        connection = tracked.connect()
        while not stop.is_set():
            number = lane * 1_000_000 + written[lane]
            connection.cursor().execute("INSERT INTO item VALUES (%s, 'x')", [number])
            written[lane] += 1

    writers = [threading.Thread(target=write, args=[lane]) for lane in (0, 1)]
    for writer in writers:
        writer.start()
    try:
        for _ in range(4):
            known = tracked.checkpoint()
            process = tracked.spawn_worker()
            tracked.wait_until(lambda known=known: tracked.checkpoint() > known, "the worker stores")
            process.kill()
            process.wait()
    finally:
        stop.set()
        for writer in writers:
            writer.join()
    tracked.wait_until(
        tracked.slot_is_free,
        "the last worker's walsender ends",
    )
    tracked.drain()

    ids = tracked.stored_ids()
    for lane in (0, 1):
        mine = [number - lane * 1_000_000 for number in ids if number // 1_000_000 == lane]
        assert mine == list(range(written[lane]))
    assert len(ids) == sum(written)


def test_s04_a_worker_that_lost_the_checkpoint_cannot_commit(tracked):
    source = tracked.source()
    identity = source.identify()
    (old, checkpoint), (new, _) = open_writer(tracked, identity), open_writer(tracked, identity)
    try:
        old.begin_commit(checkpoint.confirmed_lsn + 1)
        with pytest.raises(FencedError):
            old.is_free()
        new.begin_commit(checkpoint.confirmed_lsn + 2)
        assert new.is_free()
    finally:
        source.close()
        old.close()
        new.close()
    assert tracked.checkpoint() == checkpoint.confirmed_lsn + 2


def test_s18_a_slot_past_the_checkpoint_is_a_gap_and_an_error(tracked):
    tracked.sql.execute("INSERT INTO item VALUES (1)")
    tracked.sql.execute("SELECT pg_replication_slot_advance(%s, pg_current_wal_lsn())", [tracked.slot])

    with pytest.raises(GapError, match="accept-gap"):
        tracked.drain()
    assert tracked.changes() == []


def test_s20_a_checkpoint_past_the_wal_is_refused(tracked):
    far = format_lsn(tracked.wal_position() + (1 << 40))
    tracked.sql.execute("UPDATE bemi_checkpoint SET confirmed_lsn = %s", [far])

    with pytest.raises(GapError, match="older backup"):
        tracked.drain()


def test_a_missing_slot_says_to_run_setup(tracked):
    tracked.sql.execute("SELECT pg_drop_replication_slot(%s)", [tracked.slot])
    with pytest.raises(SetupError, match="bemi setup"):
        tracked.drain()


def test_a_table_of_many_rows_in_one_transaction_is_stored_whole(tracked):
    """More rows than a batch: copied in parts, visible at once."""
    tracked.sql.execute("INSERT INTO item SELECT n, 'x' FROM generate_series(1, 5001) n")
    tracked.sql.execute("TRUNCATE item")
    assert tracked.drain() == 5002
    assert tracked.changes("operation")[-1] == ("TRUNCATE",)
    assert stored_ids_of_creates(tracked) == list(range(1, 5002))


def stored_ids_of_creates(rig):
    return [after["id"] for operation, after in rig.changes("operation, after") if operation == "CREATE"]


def test_s27_a_blocked_destination_does_not_cost_the_replication_connection(tracked):
    """A lock on `changes` for three times wal_sender_timeout: the walsender stays, nothing is lost."""
    tracked.sql.execute("ALTER SYSTEM SET wal_sender_timeout = '1s'")
    tracked.sql.execute("SELECT pg_reload_conf()")
    tracked.wait_until(lambda: tracked.fetch("SHOW wal_sender_timeout") == [("1s",)], "the setting holds")
    lock = tracked.connect()
    lock.autocommit = False
    process = tracked.spawn_worker()
    try:
        tracked.sql.execute("INSERT INTO item VALUES (0)")
        tracked.wait_until(tracked.changes, "the worker stores")
        walsender = tracked.walsender()
        lock.cursor().execute("LOCK TABLE changes IN ACCESS EXCLUSIVE MODE")
        tracked.sql.execute("INSERT INTO item SELECT n, 'x' FROM generate_series(1, 10000) n")
        threading.Event().wait(3)  # the scenario itself
        lock.rollback()
        tracked.wait_until(lambda: len(tracked.changes()) == 10_001, "all is stored")
        assert tracked.walsender() == walsender
    finally:
        process.terminate()
        process.wait()
        tracked.sql.execute("ALTER SYSTEM RESET wal_sender_timeout")
        tracked.sql.execute("SELECT pg_reload_conf()")
