"""Stitching and contexts against a real server: arrival order, rollbacks, cascades, encodings, jsonb."""

import io
import json

import psycopg2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bemi_orm.exceptions import ContextError
from bemi_orm.stitching import MAX_CONTEXT_DEPTH, read_context
from tests.replication.logical import connect, run, source

SCHEMA = """
CREATE TABLE item (id int PRIMARY KEY);
CREATE TABLE part (id int PRIMARY KEY, item_id int REFERENCES item ON DELETE CASCADE);
CREATE TABLE log (id serial PRIMARY KEY, item_id int);
CREATE FUNCTION write_log() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN INSERT INTO log (item_id) VALUES (NEW.id); RETURN NEW; END';
CREATE TRIGGER logs AFTER UPDATE ON item FOR EACH ROW EXECUTE FUNCTION write_log();
CREATE PROCEDURE add_two(int) LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO item VALUES ($1);
    BEGIN INSERT INTO item VALUES ($1 + 1); EXCEPTION WHEN OTHERS THEN END; -- a subtransaction
END $$;
"""


@pytest.fixture(scope="module")
def database():
    with source(SCHEMA) as database:
        yield database


@pytest.fixture(autouse=True)
def empty(database):
    database.run("TRUNCATE item, part, log RESTART IDENTITY")
    database.read()


def emit(user, transactional=True, prefix="_bemi"):
    return f"SELECT pg_logical_emit_message({transactional}, '{prefix}', '{json.dumps({'user': user})}');"


def by(user):
    return json.dumps({"user": user}).encode()


def add(number):
    return f"INSERT INTO item VALUES ({number});"


def test_d1_s11_s12_contexts_change_inside_a_transaction(database):
    database.run(add(0) + emit(1) + add(1) + emit(2) + add(2) + emit(3))
    assert database.read_stitched() == [[("item 0", b"{}"), ("item 1", by(1)), ("item 2", by(2))]]


def test_d1_one_context_does_not_reach_the_next_transaction(database):
    database.run(emit(1) + add(1))
    database.run(add(2))
    assert database.read_stitched() == [[("item 1", by(1))], [("item 2", b"{}")]]


def test_s10_message_in_a_released_savepoint(database):
    database.run(f"BEGIN; {add(0)} SAVEPOINT s; {emit(1)} RELEASE s; {add(1)} COMMIT")
    assert database.read_stitched() == [[("item 0", b"{}"), ("item 1", by(1))]]


def test_s10_many_savepoints(database):
    """Where records cross a page, LSNs are not equal; so many of them, to see both."""
    rounds = "".join(f"SAVEPOINT s; {emit(n)} RELEASE s; {add(n)}" for n in range(400))
    database.run(f"BEGIN; {rounds} COMMIT")
    assert database.read_stitched() == [[(f"item {n}", by(n)) for n in range(400)]]


def test_s13_message_in_a_rolled_back_savepoint(database):
    database.run(f"BEGIN; SAVEPOINT s; {emit(1)} ROLLBACK TO s; {add(1)} COMMIT")
    assert database.read_stitched() == [[("item 1", b"{}")]]


def test_d4_nested_savepoints(database):
    database.run(
        f"BEGIN; {emit(1)} {add(1)} SAVEPOINT a; {emit(2)} {add(2)} SAVEPOINT b; {emit(3)} {add(3)}"
        f" ROLLBACK TO b; {add(4)} RELEASE a; {emit(5)} {add(5)} COMMIT"
    )
    assert database.read_stitched() == [
        [("item 1", by(1)), ("item 2", by(2)), ("item 4", by(2)), ("item 5", by(5))]
    ]


def test_s14_non_transactional_messages(database):
    database.run(f"BEGIN; {emit(1, transactional=False)} {add(1)} COMMIT")
    database.run(f"BEGIN; {emit(2, transactional=False)} {add(2)} ROLLBACK")
    database.run(f"BEGIN; {emit(3)} {emit(4, transactional=False)} {add(3)} COMMIT")
    assert database.read_stitched() == [[("item 1", b"{}")], [("item 3", by(3))]]


def test_s16_foreign_prefixes(database):
    database.run(emit(1) + emit(2, prefix="") + emit(3, prefix="_bemi_heartbeat") + add(1))
    assert database.read_stitched() == [[("item 1", by(1))]]


def test_s07_s15_a_copy_of_10_000_rows(database):
    database.run("BEGIN;" + emit(1))
    database.copy("COPY item FROM STDIN", io.StringIO("".join(f"{n}\n" for n in range(10_000))))
    database.run("COMMIT")
    assert database.read_stitched() == [[(f"item {n}", by(1)) for n in range(10_000)]]


def test_d6_s17_cascades_triggers_and_procedures(database):
    database.run(add(1) + "INSERT INTO part VALUES (7, 1), (8, 1)")
    database.read()
    database.run(
        emit(1) + "UPDATE item SET id = 1;" + emit(2) + "DELETE FROM item;" + emit(3) + "CALL add_two(5)"
    )
    (pairs,) = database.read_stitched()
    assert pairs[:2] == [("item 1", by(1)), ("log 1", by(1))]
    assert sorted(pairs[2:5]) == [("item 1", by(2)), ("part 7", by(2)), ("part 8", by(2))]
    assert pairs[5:] == [("item 5", by(3)), ("item 6", by(3))]


def test_d6_two_writes_in_one_cte(database):
    database.run(add(1))
    database.read()
    database.run(
        emit(1)
        + "WITH gone AS (DELETE FROM item RETURNING id), new AS (INSERT INTO log (item_id) VALUES (9))"
        " INSERT INTO item SELECT id + 1 FROM gone"
    )
    (pairs,) = database.read_stitched()
    assert sorted(pairs) == [("item 1", by(1)), ("item 2", by(1)), ("log 1", by(1))]


def test_c9_s36_truncates_carry_the_context(database):
    database.run(emit(1) + "TRUNCATE item CASCADE")
    (pairs,) = database.read_stitched()
    assert sorted(pairs) == [("item", by(1)), ("part", by(1))]


def test_d7_interleaved_transactions_come_in_commit_order(database):
    other = connect(database.name)
    try:
        database.run("BEGIN;" + emit(1) + add(1))
        run(other, emit(2) + add(2))
        database.run(add(3) + "COMMIT")
    finally:
        other.close()
    assert database.read_stitched() == [[("item 2", by(2))], [("item 1", by(1)), ("item 3", by(1))]]


@pytest.mark.parametrize("encoding", ["LATIN1", "WIN1251", "EUC_JP", "SQL_ASCII"])
def test_a3_messages_of_a_database_with_another_encoding(encoding):
    name = {"LATIN1": "é", "WIN1251": "Юлия", "EUC_JP": "日本", "SQL_ASCII": "é日"}[encoding]
    with source("CREATE TABLE item (id int PRIMARY KEY)", encoding) as database:
        database.connection.set_client_encoding("UTF8" if encoding != "SQL_ASCII" else "SQL_ASCII")
        content = json.dumps({"name": name}, ensure_ascii=False)
        statement = f"SELECT pg_logical_emit_message(true, '_bemi', '{content}'); INSERT INTO item VALUES (1)"
        database.run(statement.encode())
        assert database.read_stitched() == [[("item 1", content.encode())]]


NASTY = st.sampled_from(
    [r"\u0000", r"\ud83d\ude00", r"\ud800", r"\udc00", r"\\", r"\u00e9", r"\x", "é", "\x7f", "\x1f", "\uffff"]
)
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=3)
STRINGS = st.lists(NASTY | TEXTS, max_size=4).map(lambda parts: '"' + "".join(parts) + '"')
DIGITS = st.integers(0, 99).map(str)
NUMBERS = st.builds(
    "{}{}{}{}".format,
    st.sampled_from(["", "-", "+"]),
    st.sampled_from(["1", "01", "12.50", ".5", "5.", "0.001", "-9"]),
    st.sampled_from(["", "e", "E+", "e-"]),
    st.sampled_from(["", "0", "400", "16380", "16383", "16384", "131070", "131071", "131072", "9999999999"]),
)
WORDS = st.sampled_from(["null", "true", "nul", "NaN", "Infinity", "-Infinity", "'a'", ""])
ZEROS = st.sampled_from(["0", "-0", "0.00", "0e5"])
SCALARS = STRINGS | NUMBERS | ZEROS | WORDS
SPACES = st.sampled_from(["", " ", "\n\t\r", "\u00a0", "\v", "\ufeff", ","])
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.builds("[{}{}]".format, inner, SPACES) | st.builds("{{{}:{}}}".format, STRINGS, inner),
    max_leaves=4,
)
OBJECTS = st.builds("{}{{{}:{}}}{}".format, SPACES, STRINGS, VALUES, SPACES)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(OBJECTS | VALUES)
def test_s16_jsonb_accepts_what_read_context_gives_and_nothing_good_is_lost(database, text):
    try:
        context = read_context(text.encode(), "UTF8")
    except ContextError:
        assert jsonb_type(database, text) != "object"
        return
    assert jsonb_type(database, context.decode()) == "object"
    if jsonb_type(database, text) is not None:
        assert context == text.encode()


def test_s16_the_deepest_context_passes_at_the_smallest_stack(database):
    depth = MAX_CONTEXT_DEPTH
    deepest = '{"a":' * depth + "1" + "}" * depth
    assert read_context(deepest.encode(), "UTF8") == deepest.encode()
    database.run("SET max_stack_depth = '100kB'")
    try:
        assert jsonb_type(database, deepest) == "object"
    finally:
        database.run("RESET max_stack_depth")


def jsonb_type(database, text):
    """PostgreSQL's own word: the type of this JSON, or None where jsonb refuses it."""
    try:
        [(kind,)] = database.run("SELECT jsonb_typeof(%s::jsonb)", [text])
    except (psycopg2.DataError, psycopg2.errors.StatementTooComplex, psycopg2.errors.UntranslatableCharacter):
        return None
    return kind
