"""PostgreSQL as the judge of what is sent to it."""

import json
import os
import re

import psycopg2
import pytest
from django.db import InternalError, connections
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from bemi_orm.demo.postgres import EmbeddedPostgres
from bemi_orm.timetravel.guard import install_wrapper
from bemi_orm.transport import counters
from bemi_orm.transport.emission import literal
from bemi_orm.transport.message import context_text
from bemi_orm.transport.prepared import prepare
from bemi_orm.transport.scope import Scope, context
from bemi_orm.transport.statements import find_write

LENIENT = hypothesis_settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()) | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters()), inner),
    max_leaves=8,
)


@pytest.fixture
def cursor():
    connection = psycopg2.connect(os.environ["BEMI_TEST_DSN"])
    connection.autocommit = True
    with connection.cursor() as cursor:
        yield cursor
    connection.close()


@pytest.fixture(autouse=True)
def _fresh_counters():
    yield
    counters.reset()


@pytest.mark.parametrize("standard", ["on", "off"])
@LENIENT
@given(data=st.dictionaries(st.text(st.characters()), VALUES))
def test_a4_jsonb_takes_every_context(cursor, standard, data):
    prepared = prepare("UPDATE t SET a = '%s' -- \\", 150_000)
    message = prepared.message(context_text(Scope(data)))
    if cursor.connection.info.server_version < 190000:
        cursor.execute(f"SET standard_conforming_strings = {standard}")
    cursor.execute(f"SELECT ({literal(message)})::jsonb::text")
    (text,) = cursor.fetchone()
    found = json.loads(text)
    assert found["SQL"] == "UPDATE t SET a = '%s' -- \\"
    assert len(found) >= len({key.encode("utf-8", "replace") for key in data})


QUERIES = st.sampled_from(
    [
        "SELECT 1",
        "SELECT a update FROM pg_temp.t",
        "SELECT 'it''s ; DELETE FROM pg_temp.t'",
        "SELECT E'\\'; DELETE FROM pg_temp.t'",
        "SELECT $a$ $b$; DELETE FROM pg_temp.t $a$",
        'SELECT 1 AS "a""; DELETE FROM pg_temp.t"',
        "SELECT ( ( 1 ) ) AS x, 2 AS y",
        "VALUES ( 1 )",
        "TABLE pg_temp.t",
    ]
)
ROW_WRITES = st.sampled_from(
    [
        "INSERT INTO pg_temp.t VALUES ( 1 ) RETURNING a",
        "UPDATE pg_temp.t SET a = 1 RETURNING a",
        "DELETE FROM pg_temp.t RETURNING a",
    ]
)
COMMON_TABLE_EXPRESSIONS = st.tuples(QUERIES | ROW_WRITES, QUERIES | ROW_WRITES).map(
    lambda parts: f"WITH delete AS ( {parts[0]} ) {parts[1]}"
)
PLANNED = QUERIES | ROW_WRITES | COMMON_TABLE_EXPRESSIONS
EXPLAINED = st.tuples(
    st.sampled_from(
        [
            "",
            "ANALYZE",
            "ANALYZE VERBOSE",
            "VERBOSE",
            "( ANALYZE )",
            "( COSTS OFF, ANALYZE OFF )",
            "( VERBOSE )",
        ]
    ),
    PLANNED,
).map(" ".join)
STATEMENTS = st.one_of(
    PLANNED,
    EXPLAINED.map("EXPLAIN {}".format),
    QUERIES.map("CREATE TEMP TABLE IF NOT EXISTS u AS {}".format),
    st.sampled_from(
        ["SELECT a INTO pg_temp.v FROM pg_temp.t", "TRUNCATE pg_temp.t", "SET LOCAL lock_timeout = 0"]
    ),
)
SPACES = st.sampled_from([" ", "\n", " /* ; /* DELETE */ ; */ ", " -- ; DELETE FROM t\n"])
SCRIPTS = st.tuples(st.lists(STATEMENTS, min_size=1, max_size=3, unique=True).map(" ; ".join), SPACES).map(
    lambda parts: parts[1] + re.sub(" ([(;]) ", rf"{parts[1]}\1{parts[1]}", parts[0])
)


@LENIENT
@given(sql=SCRIPTS)
def test_a7_the_server_agrees_on_what_writes(cursor, sql):
    cursor.execute("DROP TABLE IF EXISTS pg_temp.t; CREATE TEMP TABLE t AS SELECT 1 AS a")
    cursor.execute("BEGIN")
    try:
        cursor.execute(sql)
        cursor.execute("SELECT pg_current_xact_id_if_assigned() IS NOT NULL")
        (has_written,) = cursor.fetchone()
    finally:
        cursor.execute("ROLLBACK")
    assert (find_write(sql) is not None) == has_written


@pytest.mark.django_db(databases=["default"])
def test_a_standby_refuses_the_statement_not_the_message():
    with EmbeddedPostgres() as server:
        server.shut_down()
        (server._data / "standby.signal").touch()
        server.start()
        connection = connections["default"].copy()
        connection.settings_dict.update(HOST="127.0.0.1", PORT=server.port, NAME="postgres")
        install_wrapper(None, connection)
        try:
            refused = pytest.raises(InternalError, match="CREATE TABLE AS in a read-only transaction")
            with context(user=1), connection.cursor() as cursor, refused:
                cursor.execute("CREATE TABLE t AS SELECT 1")
        finally:
            connection.close()
