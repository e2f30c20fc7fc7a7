"""LSNs as PostgreSQL writes them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bemi_orm.wal.lsn import MAX_LSN, format_lsn, parse_lsn


@pytest.mark.parametrize(
    ("text", "lsn"),
    [("16/B374D848", 0x16B374D848), ("0/0", 0), ("0/A", 10), ("FFFFFFFF/FFFFFFFF", MAX_LSN), ("1/0", 2**32)],
)
def test_text_and_number(text, lsn):
    assert parse_lsn(text) == lsn
    assert format_lsn(lsn) == text


def test_digits_may_be_small_and_padded():
    assert parse_lsn("0016/0000d848") == 0x160000D848


@given(st.integers(0, MAX_LSN))
def test_round_trip(lsn):
    assert parse_lsn(format_lsn(lsn)) == lsn


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/",
        "16",
        "16/",
        "/B3",
        "16/B374D8480",
        "123456789/0",
        "-1/0",
        "0x1/0",
        "1/G",
        "1/0\n",
        " 1/0",
        "1/٣",
    ],
)
def test_other_text_is_refused(text):
    with pytest.raises(ValueError, match="Not an LSN"):
        parse_lsn(text)


@given(st.text())
def test_any_text_is_a_number_or_a_value_error(text):
    try:
        lsn = parse_lsn(text)
    except ValueError:
        return
    assert parse_lsn(format_lsn(lsn)) == lsn


@pytest.mark.parametrize("lsn", [-1, 2**64])
def test_numbers_out_of_64_bits_are_refused(lsn):
    with pytest.raises(ValueError, match="64 bits"):
        format_lsn(lsn)
