"""PostgreSQL as the judge of what is sent to it."""

import json
import os

import psycopg2
import pytest
from django.db import InternalError, connections
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from bemi_orm.demo.postgres import EmbeddedPostgres
from bemi_orm.transport import counters
from bemi_orm.transport.message import build_message
from bemi_orm.transport.scope import Scope, context
from bemi_orm.transport.statements import find_write
from bemi_orm.transport.wrapper import install_on_connection

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
    literal = build_message(Scope(data), "UPDATE t SET a = '%s' -- \\").partition("'_bemi', ")[2]
    literal = literal[: literal.rindex("'") + 1]
    if cursor.connection.info.server_version < 190000:
        cursor.execute(f"SET standard_conforming_strings = {standard}")
    cursor.execute(f"SELECT ({literal})::jsonb::text")
    (text,) = cursor.fetchone()
    found = json.loads(text)
    assert found["SQL"] == "UPDATE t SET a = '%s' -- \\"
    assert len(found) >= len({key.encode("utf-8", "replace") for key in data})


STATEMENTS = st.lists(
    st.sampled_from(
        [
            "SELECT 1",
            "DELETE FROM pg_temp.t",
            "'a''b;'",
            "E'\\';'",
            '"x;"',
            "$a$;$b$ $a$",
            "/* ; /* */ ; */",
            "--;\n",
            ";",
            "(",
            ")",
            "WITH x AS (",
            "UPDATE pg_temp.t SET a = 1",
            "RETURNING 1",
            "INTO pg_temp.u",
            "FOR UPDATE",
            "AS a",
            ", 2",
            "FROM pg_temp.t",
            "EXPLAIN",
            "EXPLAIN ANALYZE",
            "UNION",
        ]
    ),
    max_size=6,
).map(" ".join)


@LENIENT
@given(sql=STATEMENTS)
def test_a7_the_server_agrees_on_what_writes(cursor, sql):
    cursor.execute("DROP TABLE IF EXISTS pg_temp.t, pg_temp.u; CREATE TEMP TABLE t AS SELECT 1 AS a")
    cursor.execute("BEGIN")
    try:
        cursor.execute(sql)
    except psycopg2.Error:  # not SQL: what it is taken for does not matter
        return
    else:
        cursor.execute("SELECT pg_current_xact_id_if_assigned() IS NOT NULL")
        (has_written,) = cursor.fetchone()
        assert (find_write(sql) is not None) == has_written or "FOR UPDATE" in sql
    finally:
        cursor.execute("ROLLBACK")


@pytest.mark.django_db(databases=["default"])
def test_a_standby_refuses_the_statement_not_the_message():
    with EmbeddedPostgres() as server:
        server.shut_down()
        (server._data / "standby.signal").touch()
        server.start()
        connection = connections["default"].copy()
        connection.settings_dict.update(HOST="127.0.0.1", PORT=server.port, NAME="postgres")
        install_on_connection(None, connection)
        try:
            refused = pytest.raises(InternalError, match="CREATE TABLE AS in a read-only transaction")
            with context(user=1), connection.cursor() as cursor, refused:
                cursor.execute("CREATE TABLE t AS SELECT 1")
        finally:
            connection.close()
