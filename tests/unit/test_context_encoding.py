"""Any context becomes JSON that jsonb accepts; what had to be altered is named and counted."""

import datetime
import decimal
import json
import logging
import math
import re
import sys
import threading
import uuid

import pytest
from django.contrib.auth.models import User
from django.utils.functional import SimpleLazyObject
from django.utils.translation import gettext_lazy
from hypothesis import given
from hypothesis import strategies as st

from bemi_orm.stitching import read_context
from bemi_orm.transport import counters, message
from bemi_orm.transport.emission import emit, literal, without_message
from bemi_orm.transport.encoding import encode, encode_plain
from bemi_orm.transport.message import context_text
from bemi_orm.transport.prepared import prepare
from bemi_orm.transport.scope import Scope

LIMIT = 65_536


class StrSubclass(str):
    pass


class IntSubclass(int):
    pass


@pytest.fixture(autouse=True)
def _fresh_counters():
    counters.reset()
    yield
    counters.reset()


class Unprintable:
    def __str__(self):
        raise LookupError("secret")


class Printable:
    def __str__(self):
        return "as text"


def message_of(scope, sql):
    return prepare(sql, 150_000).message(context_text(scope))


def decoded(context, limit=LIMIT):
    text = encode(context, limit)
    assert text.isascii()
    assert len(text) <= limit
    assert encode_plain(context, limit) in (None, text)
    return json.loads(text)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (datetime.datetime(2024, 1, 2, tzinfo=datetime.UTC), "2024-01-02T00:00:00Z"),
        (datetime.time(1, 2, tzinfo=datetime.UTC), "01:02:00+00:00"),
        (decimal.Decimal("1.10"), "1.10"),
        (datetime.timedelta(seconds=1), "P0DT00H00M01S"),
        (gettext_lazy("word"), "word"),
        (SimpleLazyObject(Printable), "as text"),
        ({2, 1}, [1, 2]),
        (b"caf\xc3\xa9\xff", "café\\xff"),
        (memoryview(b"a"), "a"),
        (Printable(), "as text"),
        ({"deep": [Printable()]}, {"deep": ["as text"]}),
        (math.nan, "nan"),
        (-math.inf, "-inf"),
        ([1.5, math.inf], [1.5, "inf"]),
        ({1: "a", None: "b", 1.5: "c", (1, 2): "d"}, {"1": "a", "null": "b", "1.5": "c", "(1, 2)": "d"}),
        (User(username="ann"), "ann"),
        (2**80, 2**80),
        (True, True),
    ],
)
def test_a15_values(value, expected):
    assert decoded({"key": value, "other": 1}) == {"key": expected, "other": 1}


def test_a15_keys_become_strings():
    assert decoded({1: "a", (1, 2): "b"}) == {"1": "a", "(1, 2)": "b"}


@pytest.mark.parametrize("key", [None, True, 7, 1.5, math.inf])
def test_a15_a_key_does_not_depend_on_the_values_beside_it(key):
    alone, beside = decoded({key: 1}), decoded({key: 1, "other": math.nan})
    assert alone == {name: value for name, value in beside.items() if name != "other"}


def test_a15_the_worst_value_costs_only_its_key(caplog):
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert decoded({"bad": Unprintable(), "huge": 10**5_000, "good": 1}) == {
                "bad": "[Unprintable: LookupError]",
                "huge": "[int: ValueError]",
                "good": 1,
            }
    assert counters.counts()[counters.VALUE_DROPPED] == 6
    assert len([record for record in caplog.records if "value_dropped" in record.message]) == 2
    assert "secret" not in caplog.text


def test_a15_the_worst_key_costs_only_itself():
    assert decoded({Unprintable(): 1, 10**5_000: 2, "good": {Unprintable(): 3}}) == {
        "[Unprintable: LookupError]": 1,
        "[int: ValueError]": 2,
        "good": {"[Unprintable: LookupError]": 3},
    }
    assert counters.counts() == {counters.VALUE_DROPPED: 3}


def test_a15_cycles_and_depth():
    cycle = {"a": 1}
    cycle["self"] = cycle
    deep = []
    for _ in range(5_000):
        deep = [deep]
    found = decoded({"cycle": cycle, "deep": deep, "good": 1})
    assert found["cycle"] == {"a": 1, "self": "[cycle]"}
    assert "[too deep]" in json.dumps(found["deep"])
    assert found["good"] == 1


def test_characters_that_jsonb_cannot_hold_are_replaced_and_named():
    found = decoded(
        {"nul": "a\0b", "half": ["\ud83d x"], "\udc00": 1, "whole": "\U0001f600", "text": r"\u0000"}
    )
    assert found == {
        "nul": "a\ufffdb",
        "half": ["\ufffd x"],
        "\ufffd": 1,
        "whole": "\U0001f600",
        "text": r"\u0000",
        "_bemi_replaced": ["nul", "half", "\ufffd"],
    }
    assert counters.counts() == {counters.CHARACTERS_REPLACED: 1}


def test_a19_the_largest_keys_give_way():
    found = decoded({"small": 1, "large": "x" * 900, "larger": "x" * 1_000, "medium": "x" * 100}, 1_000)
    assert found == {
        "small": 1,
        "large": "[truncated]",
        "larger": "[truncated]",
        "medium": "x" * 100,
        "_bemi_truncated": ["larger", "large"],
    }
    assert counters.counts() == {counters.TRUNCATED: 1}


def test_a19_nothing_fits():
    assert decoded({str(number): number for number in range(1_000)}, 100) == {"_bemi_truncated": ["*"]}


def test_a19_ten_megabytes():
    large = "é\0" * 2_000_000
    assert decoded({"a": large, "b": 1, "c": [large]}) == {
        "a": "[truncated]",
        "b": 1,
        "c": "[truncated]",
        "_bemi_replaced": ["a", "c"],
        "_bemi_truncated": ["c", "a"],
    }


def test_a15_logged_once_per_place_and_counted_always(caplog):
    def here():
        encode({"a": Printable()}, LIMIT)

    def there():
        encode({"a": Printable(), "secret": "x" * 100}, 50)

    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            here()
            there()
    records = sorted(record.getMessage() for record in caplog.records)
    lines = [function.__code__.co_firstlineno + 1 for function in (there, here, there)]
    kinds = [counters.TRUNCATED, counters.VALUE_AS_TEXT, counters.VALUE_AS_TEXT]
    assert sorted(kind for record in records for kind in kinds[:2] if kind in record) == kinds
    assert all(any(f"{__file__}:{line} " in record for record in records) for line in lines)
    assert "secret" not in caplog.text
    assert counters.counts()[counters.TRUNCATED] == 3


def test_a20_the_key_sql_is_reserved():
    found = json.loads(message_of(Scope({"SQL": "mine", "a": 1}), "UPDATE t"))
    assert found == {"a": 1, "_SQL": "mine", "SQL": "UPDATE t"}
    found = json.loads(message_of(Scope({"SQL": "mine", "_SQL": "too"}), "UPDATE t"))
    assert found == {"_SQL": "too", "__SQL": "mine", "SQL": "UPDATE t"}


def test_sql_is_cut_to_its_limit(settings):
    settings.BEMI_SQL_MAX_LENGTH = 10
    assert json.loads(message_of(None, "UPDATE t SET a = 1")) == {"SQL": "UPDATE t \u2026"}


def test_a20_sql_is_optional(settings):
    settings.BEMI_CAPTURE_SQL = False
    assert json.loads(message_of(Scope({"a": 1}), "UPDATE t")) == {"a": 1}
    assert json.loads(message_of(None, "UPDATE t")) == {}


def test_a16_whatever_fails_leaves_a_message():
    def source():
        raise LookupError("secret")

    found = json.loads(message_of(Scope({"a": 1}, source), "UPDATE t"))
    assert found == {"_bemi_error": "LookupError", "SQL": "UPDATE t"}
    assert counters.counts() == {counters.MESSAGE_FAILED: 1}


@pytest.mark.parametrize("server_version", [150_000, 170_000])
def test_the_statement_is_shown_without_its_message(server_version):
    message = emit(literal(message_of(Scope({"a": "') WHERE"}), "UPDATE t")), server_version)
    assert without_message(f"BEGIN; {message}UPDATE t") == "BEGIN; UPDATE t"
    assert without_message("UPDATE t") == "UPDATE t"


SCALARS = st.none() | st.booleans() | st.integers() | st.text(st.characters())


@given(st.dictionaries(st.text(st.characters()), SCALARS))
def test_plain_values_are_written_as_json_writes_them(data):
    expected = json.dumps(data, separators=(",", ":"))
    is_left_to_encode = any(special in expected for special in ("'", "%", "*", "--", r"\u"))
    assert encode_plain(data, len(expected)) == (None if is_left_to_encode else expected)
    assert encode_plain(data, len(expected) - 1) is None
    found = json.loads(encode(data, 1_000_000))
    assert found == data or "_bemi_replaced" in found


@pytest.mark.parametrize("value", [1.5, StrSubclass("a"), IntSubclass(1), [1], {"a": 1}])
def test_other_values_are_left_to_the_encoder(value):
    assert encode_plain({"a": 1, "b": value}, LIMIT) is None
    assert json.loads(encode({"a": 1, "b": value}, LIMIT)) == {"a": 1, "b": value}


def test_a_number_too_long_to_print_costs_only_its_key():
    assert json.loads(context_text(Scope({"user": 1, "n": 10**5000}))) == {
        "user": 1,
        "n": "[int: ValueError]",
    }


def test_what_is_altered_is_counted_each_time():
    scope = Scope({"a": "x" * 100_000})
    for _ in range(3):
        context_text(scope)
    assert counters.counts() == {counters.TRUNCATED: 3}


@pytest.mark.parametrize("value", ["'" * 20_000, "%*--" * 5_000, "🦉" * 9_000])
def test_the_limit_is_that_of_what_is_sent(value):
    assert len(encode({"user": 1, "a": value}, LIMIT)) <= LIMIT
    assert json.loads(encode({"user": 1, "a": value}, LIMIT))["user"] == 1


def test_no_setting_makes_a_message_that_the_worker_refuses(settings):
    settings.BEMI_CONTEXT_MAX_BYTES = settings.BEMI_SQL_MAX_LENGTH = 100_000_000
    text = message_of(
        Scope({"user": 1, "a": "'" * 400_000, "b": "x" * 2_000_000}), "CALL " + "🦉" * 1_000_000
    )
    assert json.loads(read_context(text.encode(), "utf-8"))["user"] == 1


@pytest.mark.parametrize("depth", [70, 600])
def test_a_client_cannot_hide_by_nesting(depth):
    body = json.loads("[" * depth + "]" * depth)
    text = context_text(Scope({"user": 1, "body": body}))
    assert json.loads(read_context(text.encode(), "utf-8"))["user"] == 1
    assert "[too deep]" in text


@pytest.mark.parametrize(
    ("value", "is_replaced"),
    [
        ("\\ud83d\udc00", True),
        ("\\ud83d\\udc00", False),
        ("\\\ud83d\\udc00", True),
        ("\U0001f400", False),
        ("\\\U0001f400", False),
        ("\\\\\udc00", True),
        ("\\u0000", False),
        ("\\\0", True),
    ],
)
def test_backslashes_before_what_cannot_be_stored(value, is_replaced):
    found = json.loads(encode({"v": value}, LIMIT))
    assert ("_bemi_replaced" in found) is is_replaced
    assert found["v"] == re.sub("[\0\ud800-\udfff]", "\ufffd", value)


def test_threads_that_share_a_scope_never_mix():
    ids = threading.local()

    def source():
        return {"id": ids.value}

    scope = Scope({}, source)
    wrong = []

    def write(value):
        ids.value = value
        for _ in range(20_000):
            if json.loads(context_text(scope)) != {"id": value}:
                wrong.append(value)

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=write, args=[f"thread {number}"]) for number in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(before)
    assert not wrong


def test_a_context_is_encoded_once_while_it_is_the_same(monkeypatch):
    calls = []
    monkeypatch.setattr(message, "encode_plain", lambda *given: calls.append(given) or encode_plain(*given))
    words, number = ["a"], [1]
    plain = Scope({"a": "b"}, lambda: {"n": number[0]})
    assert [json.loads(context_text(plain))["n"] for _ in range(3)] == [1, 1, 1]
    own = Scope({"at": uuid.UUID(int=1)})
    assert len({context_text(own) for _ in range(3)}) == 1
    assert len(calls) == 2
    number[0] = True
    assert json.loads(context_text(plain))["n"] is True
    nested = Scope({"words": words})
    assert json.loads(context_text(nested)) == {"words": ["a"]}
    words.append("b")
    assert json.loads(context_text(nested)) == {"words": ["a", "b"]}


@given(st.dictionaries(st.text(), st.text() | st.integers() | st.floats() | st.lists(st.text())))
def test_a4_no_value_leaves_the_literal(data):
    message = context_text(Scope({"a": data}))
    assert literal(message).count("'") == 2
    for sign in ("%", "*", "--"):
        assert sign not in message
    assert json.loads(message)["a"].keys() == {key.replace("\0", "\ufffd") for key in data}
