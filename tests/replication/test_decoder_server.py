"""The decoder against what a real server sends: every message type, every kind of value."""

import pytest

from bemi_orm.exceptions import DecodeError
from bemi_orm.wal.decoder import decode
from bemi_orm.wal.lsn import format_lsn, parse_lsn
from bemi_orm.wal.messages import (
    UNCHANGED,
    Begin,
    Column,
    Commit,
    Delete,
    Insert,
    Message,
    Origin,
    Relation,
    Truncate,
    Type,
    Update,
)
from tests.replication.logical import source

SCHEMA = """
CREATE SCHEMA "My Schema";
CREATE TYPE "My Schema"."Mood é" AS ENUM ('sad', 'happy');
CREATE TABLE plain (id bigint PRIMARY KEY, name text, big text);
ALTER TABLE plain ALTER big SET STORAGE EXTERNAL;
CREATE TABLE whole (LIKE plain INCLUDING ALL);
ALTER TABLE whole REPLICA IDENTITY FULL;
CREATE TABLE indexed (id int PRIMARY KEY, a int NOT NULL, b int NOT NULL);
CREATE UNIQUE INDEX by_b ON indexed (b);
ALTER TABLE indexed REPLICA IDENTITY USING INDEX by_b;
CREATE TABLE keyless (a int);
CREATE TABLE "My Schema"."my ""table"" é" (
    "ID" int, id varchar(20), "select" numeric(10, 2), mood "My Schema"."Mood é", PRIMARY KEY (id, "ID")
);
CREATE TABLE child (id int PRIMARY KEY, plain_id bigint REFERENCES plain);
"""
BIG = "x" * 12_000
INT4, INT8, TEXT, VARCHAR, NUMERIC = 23, 20, 25, 1043, 1700


@pytest.fixture
def database():
    with source(SCHEMA) as database:
        yield database


def only(messages, kind):
    (message,) = (message for message in messages if isinstance(message, kind))
    return message


def test_a_transaction_from_begin_to_commit(database):
    clock = "(extract(epoch FROM clock_timestamp() - '2000-01-01Z'::timestamptz) * 1000000)::int8"
    [(xid, started_at_us)] = database.run(
        f"INSERT INTO plain VALUES (9007199254740993, NULL, '') RETURNING pg_current_xact_id()::text, {clock}"
    )
    [(finished_at_us, finished_lsn)] = database.run(f"SELECT {clock}, pg_current_wal_lsn()::text")
    (_, begin), (_, relation), (row_lsn, insert), (_, commit) = database.read()
    assert (type(begin), type(relation), type(insert), type(commit)) == (Begin, Relation, Insert, Commit)
    assert begin.xid == int(xid) % 2**32
    assert row_lsn < begin.commit_lsn == commit.commit_lsn < commit.end_lsn <= parse_lsn(finished_lsn)
    assert started_at_us <= begin.committed_at_us == commit.committed_at_us <= finished_at_us
    assert insert == Insert(relation.relation_id, (b"9007199254740993", None, b""))


def test_lsns_are_written_as_the_server_writes_them(database):
    for lsn in (0, 1, 0xABC, 2**32 - 1, 2**32, 0x16B374D848, 2**64 - 1):
        [(text, number)] = database.run("SELECT %s::pg_lsn::text, %s::pg_lsn - '0/0'", [format_lsn(lsn)] * 2)
        assert (format_lsn(lsn), parse_lsn(text)) == (text, number)


def test_s33_names_that_need_quotes(database):
    database.run("""INSERT INTO "My Schema"."my ""table"" é" VALUES (1, 'k', 1.10, 'happy')""")
    messages = database.read_messages()
    mood = only(messages, Type)
    assert (mood.schema, mood.name) == ("My Schema", "Mood é")
    relation = only(messages, Relation)
    assert (relation.schema, relation.table) == ("My Schema", 'my "table" é')
    assert relation.columns == (
        Column("ID", INT4, -1, True),
        Column("id", VARCHAR, 24, True),
        Column("select", NUMERIC, (10 << 16 | 2) + 4, False),
        Column("mood", mood.type_oid, -1, False),
    )
    assert only(messages, Insert).new == (b"1", b"k", b"1.10", b"happy")


@pytest.mark.parametrize(
    ("table", "identity", "flags"),
    [
        ("plain", "d", [True, False, False]),
        ("whole", "f", [True, True, True]),
        ("indexed", "i", [False, False, True]),
        ("keyless", "d", [False]),
    ],
)
def test_replica_identity(database, table, identity, flags):
    database.run(
        f"INSERT INTO {table} SELECT 1, 2, 3" if len(flags) == 3 else f"INSERT INTO {table} SELECT 1"
    )
    relation = only(database.read_messages(), Relation)
    assert (relation.table, relation.replica_identity) == (table, identity)
    assert [column.in_identity for column in relation.columns] == flags


def test_s30_unchanged_toast_under_the_default_identity(database):
    database.run("INSERT INTO plain VALUES (1, 'a', %s)", [BIG])
    database.run("UPDATE plain SET name = 'b'")
    database.run("UPDATE plain SET big = NULL")
    insert, *updates = [m for m in database.read_messages() if isinstance(m, Insert | Update)]
    assert insert.new == (b"1", b"a", BIG.encode())
    assert [(u.old_kind, u.old, u.new) for u in updates] == [
        (None, None, (b"1", b"b", UNCHANGED)),
        (None, None, (b"1", b"b", None)),
    ]


def test_s30_unchanged_toast_under_full_identity(database):
    database.run("INSERT INTO whole VALUES (1, 'a', %s)", [BIG])
    database.run("UPDATE whole SET name = 'b'")
    update = only(database.read_messages(), Update)
    assert (update.old_kind, update.old) == ("O", (b"1", b"a", BIG.encode()))
    assert update.new == (b"1", b"b", UNCHANGED)


def test_s32_key_image_of_an_update_that_moves_the_key(database):
    database.run("INSERT INTO plain VALUES (5, 'a')")
    database.run("UPDATE plain SET id = 6")
    update = only(database.read_messages(), Update)
    assert (update.old_kind, update.old, update.new) == ("K", (b"5", None, None), (b"6", b"a", None))


@pytest.mark.parametrize(
    ("table", "kind", "old"),
    [
        ("plain", "K", (b"1", None, None)),
        ("whole", "O", (b"1", b"2", b"3")),
        ("indexed", "K", (None, None, b"3")),
    ],
)
def test_c7_old_image_of_a_delete(database, table, kind, old):
    database.run(f"INSERT INTO {table} VALUES (1, 2, 3)")
    database.run(f"DELETE FROM {table}")
    delete = only(database.read_messages(), Delete)
    assert (delete.old_kind, delete.old) == (kind, old)


def test_s36_truncate_of_several_tables(database):
    database.run("TRUNCATE plain, whole RESTART IDENTITY CASCADE")
    messages = database.read_messages()
    names = {m.relation_id: m.table for m in messages if isinstance(m, Relation)}
    truncate = only(messages, Truncate)
    assert sorted(names[relation_id] for relation_id in truncate.relation_ids) == ["child", "plain", "whole"]
    assert (truncate.cascade, truncate.restart_identity) == (True, True)


def test_c9_truncate_without_options(database):
    database.run("TRUNCATE keyless")
    truncate = only(database.read_messages(), Truncate)
    assert (len(truncate.relation_ids), truncate.cascade, truncate.restart_identity) == (1, False, False)


def test_s16_messages_of_both_kinds_with_any_content(database):
    lsns = [
        database.run(
            "SELECT pg_logical_emit_message(%s, %s, %s::bytea)::text", [transactional, prefix, content]
        )
        for transactional, prefix, content in [
            (True, "_bemi", b"{}"),
            (False, "é", b"\x00\xff\x80"),
            (True, "", b""),
        ]
    ]
    messages = [message for message in database.read_messages() if isinstance(message, Message)]
    assert messages == [
        Message(transactional, parse_lsn(lsns[place][0][0]), prefix, content)
        for place, transactional, prefix, content in [
            (0, True, "_bemi", b"{}"),
            (1, False, "é", b"\x00\xff\x80"),
            (2, True, "", b""),
        ]
    ]


def test_the_origin_of_a_replayed_transaction(database):
    database.run("SELECT pg_replication_origin_create('far é')")
    try:
        database.run(
            "SELECT pg_replication_origin_session_setup('far é');"
            "SELECT pg_replication_origin_xact_setup('1/A', now());"
            "INSERT INTO keyless VALUES (1)"
        )
        database.run("SELECT pg_replication_origin_session_reset()")
        messages = database.read_messages()
    finally:
        database.run("SELECT pg_replication_origin_drop('far é')")
    assert only(messages, Origin) == Origin(0x10000000A, "far é")


def test_c13_s41_a_table_is_described_anew_after_it_changed(database):
    database.run("INSERT INTO keyless VALUES (1)")
    database.run("ALTER TABLE keyless ADD b text DEFAULT 'x', ALTER a TYPE bigint")
    database.run("INSERT INTO keyless VALUES (2)")
    before, after = [m for m in database.read_messages() if isinstance(m, Relation)]
    assert before.columns == (Column("a", INT4, -1, False),)
    assert after.columns == (Column("a", INT8, -1, False), Column("b", TEXT, -1, False))


def test_values_in_binary_form_are_refused(database):
    database.run("INSERT INTO keyless VALUES (1)")
    rows = database.run(
        "SELECT data FROM pg_logical_slot_get_binary_changes(%s, NULL, NULL,"
        " 'proto_version', '1', 'publication_names', 'p', 'binary', 'true')",
        [database.name],
    )
    (insert,) = (bytes(data) for (data,) in rows if bytes(data)[:1] == b"I")
    with pytest.raises(DecodeError, match="Unknown kind of value 'b'"):
        decode(insert)
