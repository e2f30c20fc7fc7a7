"""The envelope of the replication stream."""

from struct import pack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bemi_orm.exceptions import DecodeError
from bemi_orm.wal.frames import Keepalive, XLogData, decode_frame, encode_status_update

LSNS = st.integers(0, 2**64 - 1)
TIMES = st.integers(-(2**63), 2**63 - 1)


@given(LSNS, LSNS, TIMES, st.binary(max_size=40))
def test_xlog_data(wal_start, wal_end, sent_at_us, payload):
    data = b"w" + pack(">QQq", wal_start, wal_end, sent_at_us) + payload
    frame = decode_frame(data)
    assert isinstance(frame, XLogData)
    assert frame == XLogData(wal_start, wal_end, sent_at_us, payload)


@given(LSNS, TIMES, st.booleans())
def test_keepalive(wal_end, sent_at_us, reply_requested):
    frame = decode_frame(b"k" + pack(">Qq?", wal_end, sent_at_us, reply_requested))
    assert isinstance(frame, Keepalive)
    assert frame == Keepalive(wal_end, sent_at_us, reply_requested)


@given(LSNS, LSNS, LSNS, TIMES, st.booleans())
def test_status_update(written_lsn, flushed_lsn, applied_lsn, sent_at_us, reply_requested):
    data = encode_status_update(
        written_lsn=written_lsn,
        flushed_lsn=flushed_lsn,
        applied_lsn=applied_lsn,
        sent_at_us=sent_at_us,
        reply_requested=reply_requested,
    )
    assert data == b"r" + pack(">QQQq?", written_lsn, flushed_lsn, applied_lsn, sent_at_us, reply_requested)


def test_status_update_asks_for_no_reply_by_default():
    data = encode_status_update(written_lsn=3, flushed_lsn=2, applied_lsn=1, sent_at_us=0)
    assert len(data) == 34
    assert data.endswith(b"\0")


@pytest.mark.parametrize(
    ("data", "offset"),
    [
        (b"", 0),
        (b"w", 1),
        (b"w" + bytes(23), 24),
        (b"k", 1),
        (b"k" + bytes(16), 17),
        (b"k" + bytes(18), 19),
        (b"r" + bytes(33), 0),
    ],
)
def test_malformed_frames_are_decode_errors(data, offset):
    with pytest.raises(DecodeError) as caught:
        decode_frame(data)
    assert caught.value.offset == offset


@given(st.binary(max_size=60), st.sampled_from([b"", b"w", b"k"]))
def test_any_bytes_are_a_frame_or_a_decode_error(data, kind):
    try:
        frame = decode_frame(kind + data)
    except DecodeError:
        return
    assert isinstance(frame, XLogData | Keepalive)
