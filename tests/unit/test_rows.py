"""Identity of a change: its id, its key's text, its transaction id."""

import hashlib
import json
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bemi_orm.rows import (
    MAX_ORDINAL,
    MAX_SOURCE_HASH,
    PG_EPOCH_US,
    change_id_bytes,
    key_text,
    moment_from_pg_us,
    source_hash,
    widen_xid,
)

MAX_LSN = 2**64 - 1
PLACES = st.tuples(st.integers(0, MAX_LSN), st.integers(0, MAX_ORDINAL), st.integers(0, MAX_SOURCE_HASH))


def test_id_has_its_bits_in_their_places():
    assert str(UUID(bytes=change_id_bytes(0x123456789ABCDEF1, 0xFFFFFFFF, 0))) == (
        "12345678-9abc-8def-87ff-fffffc000000"
    )
    assert str(UUID(bytes=change_id_bytes(0, 1, 0x3FFFFFF))) == "00000000-0000-8000-8000-000007ffffff"


@given(PLACES)
def test_id_is_a_uuid_of_version_8_that_holds_the_place(place):
    change_id = UUID(bytes=change_id_bytes(*place))
    assert change_id.version == 8
    assert change_id.variant == "specified in RFC 4122"
    bits = f"{change_id.int:0128b}"
    lsn, ordinal, source = bits[:48] + bits[52:64] + bits[66:70], bits[70:102], bits[102:]
    assert (int(lsn, 2), int(ordinal, 2), int(source, 2)) == place


@given(PLACES, PLACES)
def test_ids_sort_as_lsn_then_ordinal(one, other):
    assert (change_id_bytes(*one) < change_id_bytes(*other)) == (one < other)


@given(PLACES, st.integers(0, 127))
def test_ids_of_near_places_sort_too(place, bit):
    """Random places differ in their first bits; these differ in any."""
    number = (place[0] << 58 | place[1] << 26 | place[2]) ^ 1 << min(bit, 121)
    near = (number >> 58, number >> 26 & MAX_ORDINAL, number & MAX_SOURCE_HASH)
    assert (change_id_bytes(*place) < change_id_bytes(*near)) == (place < near)


@pytest.mark.parametrize(
    "place",
    [(-1, 0, 0), (2**64, 0, 0), (0, -1, 0), (0, 2**32, 0), (0, 0, -1), (0, 0, 2**26)],
)
def test_places_out_of_range_have_no_id(place):
    with pytest.raises(ValueError, match="No change id"):
        change_id_bytes(*place)


def test_source_hash_is_stable():
    """Ids that are stored must come out the same in every later version."""
    assert source_hash("7301234567890123456", 1, "shop") == 15_326_691


def test_source_hash_tells_sources_apart():
    sources = [("1", 1, "a"), ("2", 1, "a"), ("1", 2, "a"), ("1", 1, "b"), ("1", 11, "a"), ("11", 1, "a")]
    assert len({source_hash(*source) for source in sources}) == len(sources)


@given(st.text(), st.integers(0), st.text())
def test_source_hash_has_26_bits(system_identifier, timeline, database):
    assert 0 <= source_hash(system_identifier, timeline, database) <= MAX_SOURCE_HASH


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ([], None),
        (["7"], "7"),
        ([""], ""),
        (["a", "7"], '["a","7"]'),
        (['é"\\', "\n日本"], '["é\\"\\\\","\\n日本"]'),
        (["x" * 1000], "x" * 1000),
        (["é" * 500], "é" * 500),
    ],
)
def test_s33_key_text(values, text):
    assert key_text(values) == text


@pytest.mark.parametrize("values", [["x" * 1001], ["é" * 500 + "x"], ["x" * 500, "y" * 500], ["😀" * 251]])
def test_c11_key_text_over_the_limit_is_a_digest(values):
    whole = values[0] if len(values) == 1 else json.dumps(values, ensure_ascii=False, separators=(",", ":"))
    assert key_text(values) == "sha256:" + hashlib.sha256(whole.encode()).hexdigest()


KEYS = st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=2, max_size=3)


@given(KEYS, KEYS)
def test_s33_key_texts_of_several_columns_are_unambiguous(one, other):
    assert (key_text(one) == key_text(other)) == (one == other)


@pytest.mark.parametrize(
    ("xid32", "near", "xid"),
    [
        (5, 3, 5),
        (5, 2**32 - 1, 2**32 + 5),
        (2**32 - 1, 2**32, 2**32 - 1),
        (2**32 - 1, 5, 2**32 - 1),
        (7, 3 * 2**32 + 7, 3 * 2**32 + 7),
    ],
)
def test_xid_is_widened_to_the_nearest(xid32, near, xid):
    assert widen_xid(xid32, near) == xid


@given(st.integers(0, 2**40), st.integers(-(2**31) + 1, 2**31 - 1))
def test_xid_is_found_again_within_half_an_epoch(near, distance):
    xid = abs(near + distance)
    if abs(xid - near) < 2**31:
        assert widen_xid(xid % 2**32, near) == xid


@pytest.mark.parametrize(("xid32", "near"), [(-1, 0), (2**32, 0), (0, -1)])
def test_xid_out_of_range_is_refused(xid32, near):
    with pytest.raises(ValueError, match="No 64-bit transaction id"):
        widen_xid(xid32, near)


def test_moments_count_from_2000():
    assert datetime(2000, 1, 1, tzinfo=UTC).timestamp() * 1_000_000 == PG_EPOCH_US
    assert moment_from_pg_us(0) == datetime(2000, 1, 1, tzinfo=UTC)
    assert moment_from_pg_us(-1) == datetime(1999, 12, 31, 23, 59, 59, 999_999, UTC)
    assert moment_from_pg_us(789_004_800_000_001) == datetime(2025, 1, 1, 0, 0, 0, 1, UTC)
