from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bemi_orm.diffing import UNKNOWN, FieldChange, appeared, diff_images, disappeared, is_same

SCALARS = (
    st.none() | st.booleans() | st.integers(-2, 2) | st.decimals(-2, 2, places=1) | st.text("ab", max_size=2)
)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("xy"), inner),
    max_leaves=4,
)
IMAGES = st.dictionaries(st.sampled_from("abcdef"), JSON)


def test_bq6_update_names_what_differs_in_the_order_of_after():
    before = {"id": 1, "task": "a", "done": False}
    after = {"id": 1, "done": True, "task": "b"}
    assert diff_images(before, after) == (FieldChange("done", False, True), FieldChange("task", "a", "b"))


def test_bq6_value_that_was_not_sent_is_unknown_and_not_none():
    [change] = diff_images({"id": 1}, {"id": 1, "task": None})
    assert change == FieldChange("task", UNKNOWN, None)
    assert not change.is_known
    assert change != FieldChange("task", None, None)


def test_bq6_unchanged_toast_that_was_not_sent_is_unknown_after():
    [change] = diff_images({"id": 1, "body": "long"}, {"id": 1})
    assert (change.old, change.new, change.is_known) == ("long", UNKNOWN, False)


def test_change_from_null_is_known():
    [change] = diff_images({"task": None}, {"task": "x"})
    assert change == FieldChange("task", None, "x")
    assert change.is_known


def test_p23_new_row_is_none_to_value_and_gone_row_value_to_none():
    assert appeared({"id": 1, "list_id": None}) == (
        FieldChange("id", None, 1),
        FieldChange("list_id", None, None),
    )
    assert disappeared({"id": 1}) == (FieldChange("id", 1, None),)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (Decimal("1.10"), Decimal("1.1"), True),
        (1, Decimal("1.0"), True),
        (9007199254740993, Decimal(9007199254740992), False),
        (True, 1, False),
        (False, 0, False),
        (0, None, False),
        ("1", 1, False),
        ("NaN", "NaN", True),
        ([1, [True]], [1, [1]], False),
        ([1, 2], [2, 1], False),
        ([1], [1, 2], False),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, True),
        ({"a": [False]}, {"a": [0]}, False),
        ({"a": None}, {}, False),
        ({}, [], False),
    ],
)
def test_p22_values_compare_as_jsonb_does(one, other, same):
    assert is_same(one, other) is same
    assert is_same(other, one) is same


@given(IMAGES)
def test_image_does_not_differ_from_itself(image):
    assert diff_images(image, dict(image)) == ()


@given(IMAGES, IMAGES)
def test_diff_turns_one_image_into_the_other(before, after):
    result = dict(before)
    for change in diff_images(before, after):
        if change.new is UNKNOWN:
            del result[change.field]
        else:
            result[change.field] = change.new
    assert is_same(result, after)


def test_unknown_says_so():
    assert repr(FieldChange("a", UNKNOWN, 1)) == "FieldChange(field='a', old=UNKNOWN, new=1)"


@pytest.mark.parametrize("nan", [Decimal("NaN"), float("nan")])
def test_p22_nan_is_nan_and_nothing_else(nan):
    assert is_same(nan, nan)
    assert is_same([nan], [nan])
    assert not is_same(nan, 1)
    assert not is_same(nan, None)
    assert not is_same(nan, "NaN")
