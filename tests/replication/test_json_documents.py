"""`json` values, of which `jsonb` holds most: the server says which."""

import json

import psycopg2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bemi_orm.wal.jsontext import encoder_for
from tests.replication.oracle import ScratchDatabase

JSON_EDGES = [
    r'"\u0000"',
    r'"a\\u0000"',
    r'"a\\\u0000"',
    r'{"\u0000": 1}',
    r'"\ud800"',
    r'"\udc00"',
    r'"\uDBFF"',
    r'"\uD83D\uDD11"',
    r'"\ud83d\ud83d\udd11"',
    r'"\ud83dx\udd11"',
    r'"\ud83d\\udd11"',
    r'"\ud83d\u0041"',
    r'"\u00e9 \" \/"',
    r'["1e999999", "\"1e999999"]',
    "1e400",
    "1E+131071",
    "1e131072",
    "0e131072",
    "0e131073",
    "0e9999999999",
    "-12.5e131070",
    "-12.5e131071",
    "0.01e131073",
    "0.01e131074",
    "1e-16383",
    "1e-16384",
    "0e-16384",
    "[1.5e-16382, 2]",
    "[1.5e-16383, 2]",
    "1e1073741823",
    "1e-99999999999999999999",
    "1e-" + "0" * 5000 + "1",
    "1" + "0" * 131071,
    "1" + "0" * 131072,
    "0." + "0" * 16382 + "1",
    "0." + "0" * 16383 + "1",
]


@pytest.fixture(scope="module")
def server():
    with ScratchDatabase() as server:
        yield server


@pytest.mark.parametrize("document", JSON_EDGES, ids=lambda text: text[:30])
def test_s51_json_that_jsonb_cannot_hold_is_a_string_of_its_text(server, document):
    encoded = encoder_for(114, {})(document.encode())
    try:
        expected = server.one("SELECT to_jsonb(%s::json)::text", document)
    except psycopg2.DataError:
        assert server.one("SELECT %s::jsonb #>> '{}'", encoded.decode()) == document
    else:
        assert server.canonical(encoded) == expected


@settings(max_examples=100, deadline=None)
@given(
    body=st.lists(
        st.sampled_from([r"\ud83d", r"\udd11", r"\u0000", r"\u0041", r"\\", r"\"", "u0000", "x"]), max_size=6
    )
)
def test_s51_escapes_are_judged_as_the_server_judges_them(server, body):
    document = '"' + "".join(body) + '"'
    encoded = encoder_for(114, {})(document.encode())
    try:
        expected = server.one("SELECT to_jsonb(%s::json)::text", document)
    except psycopg2.DataError:
        expected = json.dumps(document)
    assert server.canonical(encoded) == expected
