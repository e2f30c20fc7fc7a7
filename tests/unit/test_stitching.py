"""Which context a row gets, and what a context message may hold."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bemi_orm.exceptions import ContextError
from bemi_orm.stitching import EMPTY_CONTEXT, Stitcher, is_context, read_context
from bemi_orm.wal.messages import Message

C1, C2 = b'{"user_id":1}', b'{"user_id":2}'


def stitch(*events):
    """Push (lsn, row) and (lsn, bytes) in order and give all pairs."""
    stitcher = Stitcher()
    pairs = []
    for lsn, event in events:
        push = stitcher.push_message if isinstance(event, bytes) else stitcher.push_row
        pairs += push(lsn, event)
    return pairs + stitcher.finish()


def test_d1_s11_each_row_gets_the_nearest_preceding_message():
    assert stitch((10, C1), (20, "a"), (30, C2), (40, "b")) == [("a", C1), ("b", C2)]


def test_s10_a_message_precedes_a_row_with_its_lsn_in_either_order_of_arrival():
    assert stitch((10, "r0"), (20, "r1"), (20, C1)) == [("r0", EMPTY_CONTEXT), ("r1", C1)]
    assert stitch((10, "r0"), (20, C1), (20, "r1")) == [("r0", EMPTY_CONTEXT), ("r1", C1)]


def test_s12_a_message_after_the_row_does_not_count():
    assert stitch((10, "r1"), (20, C1)) == [("r1", EMPTY_CONTEXT)]


def test_s15_one_message_reaches_10_000_rows():
    rows = [(20 + number, number) for number in range(10_000)]
    assert stitch((10, C1), *rows) == [(number, C1) for number in range(10_000)]


def test_s15_rows_of_one_record_keep_their_order():
    assert stitch((10, C1), *[(20, number) for number in range(300)]) == [
        (number, C1) for number in range(300)
    ]


def test_d2_an_empty_context_ends_the_one_before():
    assert stitch((10, C1), (20, "a"), (30, b"{}"), (40, "b")) == [("a", C1), ("b", b"{}")]


def test_s16_context_does_not_outlive_its_transaction():
    stitcher = Stitcher()
    stitcher.push_message(10, C1)
    stitcher.push_row(10, "a")
    assert stitcher.finish() == [("a", C1)]
    assert stitcher.push_row(10, "b") == []
    assert stitcher.finish() == [("b", EMPTY_CONTEXT)]
    assert stitcher.finish() == []


EVENTS = st.lists(
    st.tuples(st.integers(0, 12), st.just("row") | st.sampled_from([C1, C2, EMPTY_CONTEXT])), max_size=40
).map(lambda events: sorted(events, key=lambda event: event[0]))


@given(EVENTS)
def test_d3_streaming_equals_sorting_the_whole_transaction(events):
    events = [(lsn, number if event == "row" else event) for number, (lsn, event) in enumerate(events)]
    context, expected = EMPTY_CONTEXT, []
    for _, event in sorted(events, key=lambda event: (event[0], not isinstance(event[1], bytes))):
        if isinstance(event, bytes):
            context = event
        else:
            expected.append((event, context))
    assert stitch(*events) == expected


@given(st.lists(st.integers(0, 5), max_size=30).map(sorted))
def test_d8_s46_only_rows_of_the_newest_lsn_are_held(lsns):
    stitcher = Stitcher()
    given_back = 0
    for place, lsn in enumerate(lsns):
        given_back += len(stitcher.push_row(lsn, place))
        assert given_back == lsns.index(lsn)


@pytest.mark.parametrize(
    ("transactional", "prefix", "wanted"),
    [(True, "_bemi", True), (False, "_bemi", False), (True, "", False), (True, "_bemi_heartbeat", False)],
)
def test_s14_s16_only_transactional_messages_with_our_prefix_are_context(transactional, prefix, wanted):
    assert is_context(Message(transactional, 1, prefix, b"{}")) is wanted


@pytest.mark.parametrize(
    "content",
    [
        b"{}",
        b'{"user_id":1}',
        b' \n{ "a" : [ 1.10, -0, 1e5, 1E+400, null, true, {"b": ""} ] }\t',
        '{"email":"user@example.com","path":"/s?q=a&b=c","name":"José 日本 😀"}'.encode(),
        rb'{"a--b":"100%40","c":"\u002a\u002f","d":"\ud83d\ude00","e":"\\u0000","f":"\\\\ud800"}',
        b'{"a":1,"a":2}',
    ],
)
def test_a3_a4_a5_a_good_context_comes_back_byte_for_byte(content):
    assert read_context(content, "UTF8") == content


TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=10)
NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(TEXTS, JSON, max_size=3), st.booleans())
def test_a3_any_json_object_without_nul_comes_back_byte_for_byte(value, ascii_only):
    content = json.dumps(value, ensure_ascii=ascii_only).encode()
    assert read_context(content, "UTF8") == content


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"null",
        b"[1]",
        b'"text"',
        b"not JSON",
        b"\x00\xff\x80",
        b'{"a":1',
        b'{"a":1}}',
        b"{'a':1}",
        b'{"a":"\x00"}',
        b'{"a":"\n"}',
        b'{"a":01}',
        b'{"a":"\\x"}',
        b'\xef\xbb\xbf{"a":1}',
        b'{"a":NaN}',
        b'{"a":-Infinity}',
        b'{"a":1e131072}',
        b'{"a":1e-16384}',
        b'{"a":0e131072}',
        b'{"a":1e99999999999999999999}',
        b'{"a":' + b"9" * 131_073 + b"}",
        b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"a":' * 600 + b"1" + b"}" * 600,
        b"[" * 600,
        b'"' + b'\\"' * 300_000 + b"[" * 600,
        b'{"a":"' + b"x" * 2**20 + b'"}',
    ],
    ids=lambda content: repr(content[:30]),
)
def test_s16_other_content_is_a_context_error_that_does_not_quote_it(content):
    with pytest.raises(ContextError, match=r"^it (is|has) ") as caught:
        read_context(content, "UTF8")
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_s16_brackets_inside_strings_are_no_nesting():
    content = json.dumps({"html": '[{"\\' * 1_000, "list": [[] for _ in range(1_000)]}).encode()
    assert read_context(content, "UTF8") == content


def test_a19_the_limit_can_be_raised():
    content = b'{"a":"' + b"x" * 2**20 + b'"}'
    assert read_context(content, "UTF8", max_bytes=2**21) == content


@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        (rb'{"a\u0000b":"\u0000"}', rb'{"a\ufffdb":"\ufffd"}'),
        (rb'{"a":"\\\u0000"}', rb'{"a":"\\\ufffd"}'),
        (rb'{"a":"\ud800"}', rb'{"a":"\ufffd"}'),
        (rb'{"a":"\uDC00\uD83D\uDE00"}', rb'{"a":"\ufffd\uD83D\uDE00"}'),
        (rb'{"a":"\ud800\ud800\udc00"}', rb'{"a":"\ufffd\ud800\udc00"}'),
        (rb'{"a":"\ud83dx\ude00"}', rb'{"a":"\ufffdx\ufffd"}'),
        (b'{"a":"\xff","b":1}', '{"a":"\ufffd","b":1}'.encode()),
        (b'{"a":"\xed\xa0\x80"}', '{"a":"\ufffd\ufffd\ufffd"}'.encode()),
    ],
)
def test_s16_what_jsonb_cannot_hold_is_made_visible(content, wanted):
    assert read_context(content, "UTF8") == wanted


@pytest.mark.parametrize(
    ("encoding", "content"),
    [
        ("LATIN1", b'{"a":"\xe9"}'),
        ("LATIN9", b'{"a":"\xe9"}'),
        ("WIN1252", b'{"a":"\xe9"}'),
        ("SQL_ASCII", b'{"a":"\xc3\xa9"}'),
        ("UTF8", b'{"a":"\xc3\xa9"}'),
        ("EUC_JIS_2004", '{"a":"é"}'.encode("euc_jis_2004")),
    ],
)
def test_content_comes_in_the_databases_encoding(encoding, content):
    assert read_context(content, encoding) == '{"a":"é"}'.encode()


@pytest.mark.parametrize("encoding", ["EUC_TW", "MULE_INTERNAL"])
def test_an_encoding_that_python_lacks_keeps_the_ascii_part(encoding):
    assert (
        read_context(b'{"user_id":7,"a":"\xc4\xe3"}', encoding) == '{"user_id":7,"a":"\ufffd\ufffd"}'.encode()
    )
