"""Rows of random values of every kind equal `to_jsonb` of the row."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg2 import sql

from bemi_orm.wal.encoders import compile_encoder
from bemi_orm.wal.messages import Insert
from tests.replication.oracle import ScratchDatabase, relation_of

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)
ESCAPABLE = st.text(st.sampled_from(',;{}"\\ \n[]=NULLnulé'), max_size=8)
MICROSECONDS = st.integers(-(2**62), 2**62)
INTERVAL = st.builds(
    "{} mons {} days {} microseconds".format, *[st.integers(-(2**30), 2**30)] * 2, MICROSECONDS
)
DOCUMENT = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**40), 10**40)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
JSON = st.builds(json.dumps, DOCUMENT, ensure_ascii=st.booleans(), indent=st.sampled_from([None, 1]))
DATE = st.dates().map(str) | st.sampled_from(["infinity", "-infinity", "4713-01-02 BC", "99999-12-31"])
FAR_DATETIMES = ["infinity", "0044-03-15 01:00:00 BC", "294276-12-31 23:59:59.999999"]
DATETIME = st.datetimes().map(str) | st.sampled_from(FAR_DATETIMES)
MOMENT = st.builds(
    "{}{}".format, st.datetimes(), st.sampled_from(["Z", "+05:30", "-15:59"])
) | st.sampled_from(["-infinity", "4714-11-24 00:00:00+00 BC", "2000-01-01 00:00:00+00"])
NUMERIC = st.decimals(allow_infinity=True, allow_nan=False).map(str) | st.just("NaN")


def matrix_of(strategy):
    """Arrays of two dimensions, as ARRAY constructors: the server writes the literals."""
    return st.integers(1, 3).flatmap(
        lambda width: st.lists(
            st.lists(st.none() | strategy, min_size=width, max_size=width), min_size=1, max_size=3
        )
    )


RANDOM = {
    "bool": st.booleans(),
    "int2": st.integers(-(2**15), 2**15 - 1),
    "int4": st.integers(-(2**31), 2**31 - 1),
    "int8": st.integers(-(2**63), 2**63 - 1),
    "float4": st.floats(width=32).map(repr),
    "float8": st.floats().map(repr),
    "numeric": NUMERIC,
    "text": TEXT | ESCAPABLE,
    "char(50)": TEXT,
    "citext": TEXT,
    "bytea": st.binary(max_size=40),
    "json": JSON,
    "jsonb": JSON,
    "uuid": st.uuids().map(str),
    "date": DATE,
    "time": st.times().map(str),
    "timestamp": DATETIME,
    "timestamptz": MOMENT,
    "interval": INTERVAL,
    "varbit": st.text("01"),
    "inet": st.ip_addresses().map(str),
    "mood": st.sampled_from(["sad", "ok", 'so "so"', "a,b"]),
    "positive": st.integers(1, 10**9 - 1),
    "int8multirange": st.builds("{{[{},{}]}}".format, st.integers(-9, 0), st.integers(0, 9)),
    "bool[]": st.lists(st.none() | st.booleans()),
    "text[]": st.lists(st.none() | ESCAPABLE | TEXT, max_size=5) | matrix_of(ESCAPABLE),
    "numeric[]": st.lists(st.none() | NUMERIC, max_size=5),
    "timestamptz[]": st.lists(st.none() | MOMENT, max_size=5) | matrix_of(MOMENT),
    "jsonb[]": st.lists(st.none() | JSON, max_size=3),
    "mood[]": st.lists(st.none() | st.sampled_from(["sad", 'so "so"', "a,b"]), max_size=3),
}


@pytest.fixture(scope="module")
def server():
    with ScratchDatabase() as server:
        yield server


@pytest.fixture(scope="module")
def random_table(server):
    columns = ", ".join(f'"{name}" {name}' for name in RANDOM)
    server.execute(f"CREATE TABLE random_row ({columns})")
    yield compile_encoder(relation_of(server.cursor, "random_row"), [], server.types)
    server.execute("DROP TABLE random_row")


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(row=st.tuples(*(st.none() | values for values in RANDOM.values())))
def test_random_row_equals_to_jsonb(server, random_table, row):
    columns = [sql.Identifier(name) for name in RANDOM]
    statement = sql.SQL(
        "WITH row AS (INSERT INTO random_row VALUES ({}) RETURNING *) SELECT to_jsonb(row)::text, {} FROM row"
    )
    texts = [
        sql.SQL("CASE WHEN {0} IS NOT NULL THEN format('%%s', {0}) END").format(name) for name in columns
    ]
    casts = [sql.SQL("CAST(%s AS {})").format(sql.SQL(name)) for name in RANDOM]
    [[expected, *found]] = server.execute(
        statement.format(sql.SQL(", ").join(casts), sql.SQL(", ").join(texts)), row
    )
    change = random_table.encode(Insert(1, tuple(None if text is None else text.encode() for text in found)))
    assert server.canonical(change.after) == expected
