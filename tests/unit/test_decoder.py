"""pgoutput's messages: what is written comes back, and what is malformed is a DecodeError."""

from struct import pack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bemi_orm.exceptions import DecodeError
from bemi_orm.wal.decoder import decode
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


def encode(message):
    """Write a message as the manual lays it out, field by field."""
    match message:
        case Begin(lsn, time, xid):
            return b"B" + pack(">QqI", lsn, time, xid)
        case Commit(lsn, end, time):
            return b"C\0" + pack(">QQq", lsn, end, time)
        case Origin(lsn, name):
            return b"O" + pack(">Q", lsn) + encode_text(name)
        case Relation(oid, schema, table, identity, columns):
            head = b"R" + pack(">I", oid) + encode_text(schema) + encode_text(table) + identity.encode()
            return head + pack(">H", len(columns)) + b"".join(map(encode_column, columns))
        case Type(oid, schema, name):
            return b"Y" + pack(">I", oid) + encode_text(schema) + encode_text(name)
        case Insert(oid, new):
            return b"I" + pack(">I", oid) + b"N" + encode_tuple(new)
        case Update(oid, None, None, new):
            return b"U" + pack(">I", oid) + b"N" + encode_tuple(new)
        case Update(oid, kind, old, new):
            old_image = kind.encode() + encode_tuple(old)
            return b"U" + pack(">I", oid) + old_image + b"N" + encode_tuple(new)
        case Delete(oid, kind, old):
            return b"D" + pack(">I", oid) + kind.encode() + encode_tuple(old)
        case Truncate(oids, cascade, restart):
            return b"T" + pack(">IB", len(oids), cascade | restart << 1) + pack(f">{len(oids)}I", *oids)
        case Message(transactional, lsn, prefix, content):
            head = b"M" + pack(">?Q", transactional, lsn) + encode_text(prefix)
            return head + pack(">I", len(content)) + content


def encode_text(text):
    return text.encode() + b"\0"


def encode_column(column):
    return (
        pack(">?", column.in_identity)
        + encode_text(column.name)
        + pack(">Ii", column.type_oid, column.type_modifier)
    )


def encode_tuple(values):
    return pack(">H", len(values)) + b"".join(map(encode_value, values))


def encode_value(value):
    if value is None:
        return b"n"
    return b"u" if value is UNCHANGED else b"t" + pack(">I", len(value)) + value


U32 = st.integers(0, 2**32 - 1)
U64 = st.integers(0, 2**64 - 1)
TIMES = st.integers(-(2**63), 2**63 - 1)
NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=8)
TUPLES = st.lists(st.none() | st.just(UNCHANGED) | st.binary(max_size=12), max_size=6).map(tuple)
KINDS = st.sampled_from("KO")
COLUMNS = st.builds(Column, NAMES, U32, st.integers(-(2**31), 2**31 - 1), st.booleans())
MESSAGES = st.one_of(
    st.builds(Begin, U64, TIMES, U32),
    st.builds(Commit, U64, U64, TIMES),
    st.builds(Origin, U64, NAMES),
    st.builds(Relation, U32, NAMES, NAMES, st.sampled_from("dnfi"), st.lists(COLUMNS, max_size=4).map(tuple)),
    st.builds(Type, U32, NAMES, NAMES),
    st.builds(Insert, U32, TUPLES),
    st.builds(Update, U32, st.none(), st.none(), TUPLES),
    st.builds(Update, U32, KINDS, TUPLES, TUPLES),
    st.builds(Delete, U32, KINDS, TUPLES),
    st.builds(Truncate, st.lists(U32, max_size=4).map(tuple), st.booleans(), st.booleans()),
    st.builds(Message, st.booleans(), U64, NAMES | st.just(""), st.binary(max_size=20)),
)


@given(MESSAGES)
def test_round_trip(message):
    assert decode(encode(message)) == message


@given(MESSAGES, st.data())
def test_a_message_cut_short_is_a_decode_error(message, data):
    payload = encode(message)
    end = data.draw(st.integers(0, len(payload) - 1))
    with pytest.raises(DecodeError) as caught:
        decode(payload[:end])
    assert 0 <= caught.value.offset <= end


@given(MESSAGES, st.binary(min_size=1, max_size=5))
def test_a_message_too_long_is_a_decode_error(message, surplus):
    payload = encode(message)
    with pytest.raises(DecodeError) as caught:
        decode(payload + surplus)
    assert caught.value.offset == len(payload)


@given(MESSAGES, st.data())
def test_a_mutated_message_is_a_message_or_a_decode_error(message, data):
    payload = bytearray(encode(message))
    start = data.draw(st.integers(0, len(payload)))
    end = data.draw(st.integers(start, len(payload)))
    payload[start:end] = data.draw(st.binary(max_size=6))
    assert_decodes_or_decode_error(bytes(payload))


@given(st.sampled_from(b"BCORYIUDTM"), st.binary(max_size=60))
def test_any_bytes_are_a_message_or_a_decode_error(kind, body):
    assert_decodes_or_decode_error(bytes([kind]) + body)


def assert_decodes_or_decode_error(payload):
    try:
        message = decode(payload)
    except DecodeError as error:
        assert 0 <= error.offset <= len(payload)  # noqa: PT017 - either outcome is right
    else:
        assert decode(encode(message)) == message


ROW = b"I\0\0\0\1N"


@pytest.mark.parametrize(
    ("payload", "reason", "offset"),
    [
        (b"", "Unknown message type", 0),
        (b"Z", "Unknown message type", 0),
        (b"S\0\0\0\1\0", "Unknown message type", 0),
        (b"P" + bytes(40), "Unknown message type", 0),
        (ROW + b"\0\1b\0\0\0\1x", "Unknown kind of value 'b'", 8),
        (ROW + b"\0\2n", "cut short", 9),
        (ROW + b"\0\1t\0\0\0\5abc", "longer than its message", 16),
        (ROW + b"\0\1t\xff\xff\xff\xffabc", "longer than its message", 16),
        (ROW + b"\xff\xffn", "cut short", 9),
        (b"I\0\0\0\1K\0\0", "INSERT without its new row", 5),
        (b"U\0\0\0\1K\0\1nO\0\1n", "UPDATE without its new row", 9),
        (b"U\0\0\0\1X\0\1n", "Unknown kind of row image 'X'", 5),
        (b"D\0\0\0\1N\0\1n", "Unknown kind of row image 'N'", 5),
        (b"D\0\0", "cut short", 3),
        (b"T\xff\xff\xff\xff\0", "do not fit", 1),
        (b"T\0\0\0\0\4", "Unknown flags 0x04", 5),
        (b"C\1" + bytes(24), "Unknown flags 0x01", 1),
        (b"M\2" + bytes(13), "Unknown flags 0x02", 1),
        (b"M\1" + bytes(8) + b"a\0\xff\xff\xff\xff", "Expected 4294967295 more bytes, found 0", 16),
        (b"M\1" + bytes(8) + b"abc", "closing zero byte", 10),
        (b"Y\0\0\0\1a\xffb\0c\0", "not UTF-8", 6),
        (b"R\0\0\0\1s\0t\0x\0\0", "Expected one of 'dnfi', found 'x'", 9),
    ],
)
def test_malformed_messages_say_what_is_wrong_and_where(payload, reason, offset):
    with pytest.raises(DecodeError, match=reason) as caught:
        decode(payload)
    assert caught.value.offset == offset


def test_the_catalog_schema_is_sent_as_an_empty_text():
    assert decode(b"Y\0\0\0\1\0cube\0") == Type(1, "pg_catalog", "cube")
    assert decode(b"R\0\0\0\1\0pg_class\0n\0\0") == Relation(1, "pg_catalog", "pg_class", "n", ())
