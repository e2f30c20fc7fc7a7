"""The order of steps that are in two already: no database."""

import pytest

from bemi_orm.revert.detours import detour
from bemi_orm.revert.ordering import arrange
from bemi_orm.revert.steps import ABSENT, ColumnEffect, Effect, Step, TableName
from bemi_orm.revert.tables import Column, Table

NAME = TableName("public", "t")
BOSS = Column("boss", "integer", "N", None, is_generated=False, is_nullable=True)
TABLE = Table(NAME, {"boss": BOSS}, (), (), None)
ROW = {"id": 1, "boss": 2}


def step(effect, before, after):
    return Step(
        table=NAME,
        key="1",
        effect=effect,
        columns=tuple(
            ColumnEffect(column, (before or {}).get(column, ABSENT), (after or {}).get(column, ABSENT))
            for column in ROW
        ),
        identity={"id": 1},
        expected=before,
        target=after,
    )


@pytest.mark.parametrize(
    "whole",
    [
        step(Effect.INSERT, None, ROW),
        step(Effect.DELETE, ROW, None),
        step(Effect.UPDATE, ROW, ROW | {"boss": 3}),
    ],
    ids=lambda whole: whole.effect,
)
def test_both_steps_of_one_row_keep_their_order_whatever_their_ranks(whole):
    """Deletes are taken early and inserts late, but a row lets go before it goes, and is there to point."""
    parts = detour(whole, TABLE, ("boss",))
    assert [part.is_detour for part in parts].count(True) == 1
    assert arrange(list(parts), {NAME: TABLE}).steps == parts
