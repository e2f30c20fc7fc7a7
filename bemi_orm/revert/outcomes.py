"""The rows after an apply: triggers, and receivers of signals, may have altered what the steps wrote."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

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
    """Compare the rows that steps wrote with what they wrote; one query a table and kind of step.

    steps: one for each row. moved: the keys that rows have since.
    """
    written = defaultdict[TableName, list[tuple[int, Step]]](list)
    for number, step in enumerate(steps):
        if step.effect is not Effect.DELETE:
            identity = moved.get(step.reference, step.identity)
            written[step.table].append((number, replace(step, identity=identity)))
    for name, group in written.items():
        for number, live in rows.read(tables[name], group):
            step = steps[number]
            columns = step.touched if live.row is None else differing(live.target, live.row) & step.touched
            if columns:
                yield AlteredRow(name, step.key, tuple(sorted(columns)))
