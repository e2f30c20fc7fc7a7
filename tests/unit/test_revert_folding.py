"""The net effect of changes on rows: no database."""

from uuid import UUID

from bemi_orm.revert.folding import RowEvent, fold
from bemi_orm.revert.steps import TableName

TABLE = TableName("public", "t")


def event(number, before, after, transaction=None):
    return RowEvent(
        change=UUID(int=number),
        position=number if transaction is None else transaction,
        table=TABLE,
        key_before=None if before is None else str(before["id"]),
        key_after=None if after is None else str(after["id"]),
        before=before,
        after=after,
    )


def row(key, **values):
    return {"id": key, **values}


def nets(*events):
    return [(net.origin, net.current) for net in fold(events)]


def test_updates_add_up():
    [net] = fold([event(1, row(1, a=1, b=1), row(1, a=2, b=1)), event(2, row(1, a=2, b=1), row(1, a=3, b=1))])
    assert (net.origin, net.current, net.touched) == (row(1, a=1, b=1), row(1, a=3, b=1), {"a"})


def test_row_that_came_and_went_is_nothing():
    assert nets(event(1, None, row(1)), event(2, row(1), None)) == []


def test_row_that_went_and_came_is_one_row():
    assert nets(event(1, row(1, a=1), None), event(2, None, row(1, a=2))) == [(row(1, a=1), row(1, a=2))]


def test_s32a_key_that_moves_and_is_used_again():
    assert nets(event(1, row(5, a=1), row(6, a=1)), event(2, None, row(5, a=2))) == [
        (row(5, a=1), row(6, a=1)),
        (None, row(5, a=2)),
    ]


def test_s32b_key_held_by_two_rows_for_a_moment():
    shift = [
        event(1, row(1, a="x"), row(2, a="x"), transaction=7),
        event(2, row(2, a="y"), row(3, a="y"), transaction=7),
    ]
    assert nets(*shift) == [(row(1, a="x"), row(2, a="x")), (row(2, a="y"), row(3, a="y"))]
    replaced = [event(1, None, row(2, a="x"), transaction=7), event(2, row(2, a="y"), None, transaction=7)]
    assert nets(*replaced) == [(None, row(2, a="x")), (row(2, a="y"), None)]


def test_s32b_twins_that_hold_one_key_and_go_together():
    twins = [
        event(1, None, row(3, a="x")),
        event(2, None, row(3, a="x"), transaction=7),
        event(3, row(3, a="x"), None, transaction=7),
        event(4, row(3, a="x"), None, transaction=7),
    ]
    assert fold(twins, {TABLE}) == []


def test_gap_in_a_column_that_the_set_changed_is_disputed():
    [net] = fold([event(1, row(1, a=1), row(1, a=2)), event(2, row(1, a=3), row(1, a=4))])
    assert (net.origin, net.disputed) == (row(1, a=1), {"a"})


def test_gap_in_another_column_belongs_to_others():
    [net] = fold([event(1, row(1, a=1, b=1), row(1, a=2, b=1)), event(2, row(1, a=2, b=9), row(1, a=3, b=9))])
    assert (net.origin, net.disputed) == (row(1, a=1, b=9), set())


def test_gap_in_a_row_that_the_set_made_is_disputed():
    [net] = fold([event(1, None, row(1, a=1, b=1)), event(2, row(1, a=1, b=9), row(1, a=2, b=9))])
    assert net.disputed == {"b"}


def test_row_made_anew_by_others_in_between():
    [net] = fold([event(1, row(1, a=1), None), event(2, row(1, a=5), row(1, a=6))])
    assert net.was_remade
    [net] = fold([event(1, None, row(1, a=1)), event(2, None, row(1, a=2))])
    assert net.was_remade


def test_numbers_of_one_value_are_no_gap():
    [net] = fold([event(1, row(1, a=1), row(1, a=2)), event(2, row(1, a=2.0), row(1, a=3))])
    assert not net.disputed


def test_value_not_sent_before_is_unknown_unless_an_earlier_change_had_it():
    [net] = fold([event(1, {"id": 1}, row(1, a=2, b=1))])
    assert net.unknown == {"a", "b"}
    [net] = fold([event(1, None, row(1, a=1)), event(2, {"id": 1}, row(1, a=2))])
    assert (net.unknown, net.touched - {"id"}) == (set(), {"a"})


def test_value_not_sent_after_is_the_last_one_known():
    [net] = fold([event(1, row(1, a=1, long="x"), row(1, a=2))])
    assert net.current == row(1, a=2, long="x")
