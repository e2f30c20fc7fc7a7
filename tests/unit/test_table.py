"""Tables of text: never wider than asked, nothing lost, nothing that steers a terminal."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bemi_orm.demo.table import Column, display_width, pad, printable, render_table, wrap

COLUMNS = (Column("key"), Column("what changed", 12), Column("who"))


def render(rows, width, columns=COLUMNS):
    return list(render_table(columns, rows, width))


def test_a_table_that_fits_has_one_line_a_row():
    assert render([("1", "task: a -> b", "alice (1)"), ("20", "", "-")], 40) == [
        "key  what changed  who",
        "---  ------------  ---------",
        "1    task: a -> b  alice (1)",
        "20                 -",
    ]


def test_a_cell_that_is_too_wide_is_wrapped_and_the_others_stay():
    assert render([("1", "task: Buy milk -> Buy oat milk", "alice")], 26)[2:] == [
        "1    task: Buy milk  alice",
        "     -> Buy oat",
        "     milk",
    ]


def test_where_no_table_fits_each_row_becomes_a_block():
    assert render([("1", "task: a -> b, done: no -> yes", "alice")], 23) == [
        "key           1",
        "what changed  task: a ->",
        "              b, done:",
        "              no -> yes",
        "who           alice",
        "",
    ]


def test_a_table_without_rows_is_its_heading():
    assert render([], 40) == ["key  what changed  who", "---  ------------  ---"]


def test_colour_does_not_change_the_alignment():
    columns = (Column("operation", paint=lambda text: f"<{text}>"), Column("who"))
    assert render([("UPDATE", "bob")], 40, columns)[2] == "<UPDATE   >  bob"


@pytest.mark.parametrize(
    ("text", "width"),
    [("abc", 3), ("Zoë", 3), ("Zoe\u0308", 3), ("漢字", 4), ("💾", 2), ("", 0)],
)
def test_the_width_is_that_of_the_terminal(text, width):
    assert display_width(text) == width
    assert pad(text, 6).startswith(text)
    assert display_width(pad(text, 6)) == 6


@pytest.mark.parametrize("text", ["\x1b[31mred", "a\nb", "tab\there", "\u202eright to left", "\x00"])
def test_a_value_cannot_steer_the_terminal(text):
    [_, _, line] = render([("1", text, "eve")], 60)
    assert line.isprintable()
    assert printable(text) in line


def test_a_word_that_is_too_long_is_broken():
    assert wrap("a verylongword b", 5) == ["a", "veryl", "ongwo", "rd b"]


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


@given(st.lists(st.tuples(texts, texts, texts), max_size=4), st.integers(30, 120))
def test_no_line_is_wider_than_asked_and_no_character_is_lost(rows, width):
    columns = tuple(Column(title, 4) for title in ("one", "two", "three"))
    lines = render(rows, width, columns)
    assert all(display_width(line) <= width for line in lines)
    shown = sorted("".join(lines[2:]).replace(" ", ""))
    assert shown == sorted("".join(printable(cell) for row in rows for cell in row).replace(" ", ""))
