"""The rows after an apply: triggers, and receivers of signals, may have altered what the steps wrote."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from bemi_orm.revert.examining import read_live
from bemi_orm.revert.folding import differing
from bemi_orm.revert.rows import Rows
from bemi_orm.revert.steps import Effect, Image, Reference, Step, TableName
from bemi_orm.revert.tables import Tables


@dataclass(frozen=True, slots=True)
class AlteredRow:
    """A row that is not as its step wrote it.

    key: as `changes` had it before the revert. columns: those that differ, all of them if the row is gone.
    """

    table: TableName
    key: str | None
    columns: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.table} {self.key}: {', '.join(self.columns)}"


def find_altered(
    rows: Rows, tables: Tables, steps: Sequence[Step], moved: Mapping[Reference, Image]
) -> Iterator[AlteredRow]:
    """Compare the rows that steps wrote with what they wrote.

    steps: one for each row. moved: the keys that rows have since.
    """
    written = [
        replace(step, identity=moved.get(step.reference, step.identity))
        for step in steps
        if step.effect is not Effect.DELETE
    ]
    for step, live in read_live(rows, tables, written):
        columns = step.touched if live.row is None else differing(live.target, live.row) & step.touched
        if columns:
            yield AlteredRow(step.table, step.key, tuple(sorted(columns)))
