"""The steps against the live rows: what is done already, what stands in the way."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from bemi_orm.revert.drafting import conflict
from bemi_orm.revert.folding import differing
from bemi_orm.revert.moving import moved_to
from bemi_orm.revert.rows import LiveRow, Rows
from bemi_orm.revert.steps import (
    ABSENT,
    UNFIT,
    ColumnEffect,
    Conflict,
    ConflictKind,
    Effect,
    Image,
    Reference,
    Step,
    TableName,
    freeze,
)
from bemi_orm.revert.tables import Tables
from bemi_orm.rows import key_text
from bemi_orm.values.pgtext import postgres_text

RowId: TypeAlias = tuple[TableName, Any]


@dataclass(frozen=True, slots=True)
class Finding:
    """A conflict of one step, or of a row for which there can be no step.

    blamed: table and key of the rows whose changes since have caused it. missing: a parent's table and key.
    """

    step: Reference | None
    conflict: Conflict
    blamed: tuple[tuple[TableName, str | None], ...]
    missing: tuple[TableName, Image] | None = None


@dataclass(slots=True)
class Examination:
    """The steps that are left to do, the live rows by step, and what was found against the steps."""

    steps: list[Step]
    live: dict[Reference, Image | None] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)


def examine(rows: Rows, tables: Tables, steps: list[Step], *, exact: bool, overwrite: bool) -> Examination:
    """Compare the steps with the live rows, see `bemi_orm.revert.constraints` for what is around them.

    exact: any column may tell that a row was changed since, not only those that its step writes.
    overwrite: turn a step into what reaches its target from whatever there is now; what can be overwritten is
    then no finding.
    A step whose target is reached already is left out: it is no conflict that somebody else did the same.
    """
    result = Examination([])
    by_row = {_row_id(s.table, s.identity): s for s in steps if s.effect is not Effect.INSERT}
    for drafted, found_row in read_live(rows, tables, steps):
        step = _without_lost_references(drafted, found_row) if drafted.returned else drafted
        if drafted.returned and not step.columns:
            continue
        # A row whose key is inserted anew is not in the way if another step takes it out of it.
        live = found_row if _holder(step, by_row) is None else found_row._replace(row=None)
        is_missing = live.row is None and step.effect is not Effect.INSERT
        moved = moved_to(step, rows.alias) if is_missing else None
        if moved is None and _is_done(step, live):
            continue
        found = _gone_to(step, moved, tables) if moved else _compare(step, live, tables, exact=exact)
        adapted = _adapt(step, live, tables, exact=exact) if found and overwrite and not moved else None
        left = adapted or step
        unfit = _unfit(left, live)
        if unfit:
            found, adapted = _refuse(left, unfit, tables), None
            left = replace(left, columns=tuple(e for e in left.columns if e.column not in unfit))
        if found and adapted is None:
            result.findings.append(found)
        result.steps.append(left)
        result.live[step.reference] = live.row
    return result


def row_key_text(identity: Image) -> str | None:
    """Give the key of a live row as `changes` has it."""
    return key_text([postgres_text(value) for value in identity.values()])


def read_live(rows: Rows, tables: Tables, steps: list[Step]) -> Iterator[tuple[Step, LiveRow]]:
    """Give each step with its live row; one query a table and kind of step."""
    answers: dict[int, LiveRow] = {}
    groups = defaultdict[TableName, list[tuple[int, Step]]](list)
    for number, step in enumerate(steps):
        groups[step.table].append((number, step))
    for name, group in groups.items():
        answers.update(rows.read(tables[name], group))
    return ((step, answers[number]) for number, step in enumerate(steps))


def _row_id(table: TableName, identity: Image) -> RowId:
    return table, freeze(dict(identity))


def _without_lost_references(step: Step, live: LiveRow) -> Step:
    """Leave out the references to write again, where the row is gone, or others have changed them since."""
    if live.row is not None and step.returned.isdisjoint(differing(live.expected, live.row)):
        return step
    kept = tuple(effect for effect in step.columns if effect.column not in step.returned)
    return replace(step, columns=kept, returned=frozenset())


def _is_done(step: Step, live: LiveRow) -> bool:
    if step.returned:
        return False
    if step.effect is Effect.DELETE:
        return live.row is None and not _unfit(step, live)
    if live.row is None:
        return False
    wanted = {column: live.target[column] for column in step.touched if column in live.target}
    return bool(wanted) and not differing(wanted, live.row)


def _gone_to(step: Step, key: str, tables: Tables) -> Finding:
    """Report a row under another key: to make it anew under its own would leave two of it."""
    found = conflict(ConflictKind.ROW_GONE, step, tables[step.table], (), f"its key was changed to {key}")
    return Finding(step.reference, found, ((step.table, step.key),))


def _unfit(step: Step, live: LiveRow) -> set[str]:
    """Give the columns that do not take what the step would write, or by which it would find its row."""
    written = {column for column in step.new_values if live.target.get(column) is UNFIT}
    return written | {column for column in step.identity if live.expected.get(column) is UNFIT}


def _refuse(step: Step, columns: set[str], tables: Tables) -> Finding:
    table, names = tables[step.table], tuple(sorted(columns))
    detail = f"a stored value is none of {', '.join(table.columns[name].type for name in names)}"
    return Finding(step.reference, conflict(ConflictKind.REFUSED, step, table, names, detail), ())


def _holder(step: Step, by_row: Mapping[RowId, Step]) -> Step | None:
    """Give another step of the plan whose row now has the key that this step inserts."""
    if step.effect is not Effect.INSERT:
        return None
    return by_row.get(_row_id(step.table, step.identity))


def _compare(step: Step, live: LiveRow, tables: Tables, *, exact: bool) -> Finding | None:
    table = tables[step.table]
    blamed = ((step.table, step.key),)
    if step.effect is Effect.INSERT:
        if live.row is None:
            return None
        return Finding(step.reference, conflict(ConflictKind.ROW_EXISTS, step, table), blamed)
    if live.row is None:
        return Finding(step.reference, conflict(ConflictKind.ROW_GONE, step, table), blamed)
    changed = differing(live.expected, live.row)
    if step.effect is Effect.UPDATE and not exact:
        changed &= step.touched & differing(live.target, live.row)
    changed = {column for column in changed if table.writable(column)}
    if not changed:
        return None
    found = conflict(ConflictKind.ROW_CHANGED, step, table, tuple(sorted(changed)))
    return Finding(step.reference, found, blamed)


def _adapt(step: Step, live: LiveRow, tables: Tables, *, exact: bool) -> Step | None:
    """Give the step that reaches the target from the row as it is, None where that is not known."""
    target = step.target
    is_whole = target is not None and target.keys() >= (step.expected or {}).keys()
    is_update = step.effect is Effect.UPDATE and live.row is not None
    if step.effect is Effect.DELETE or (is_update and not (exact and is_whole)):
        return _from_live(step, live.row or {})
    if target is None or not is_whole:
        return None
    writable = {c: value for c, value in target.items() if tables[step.table].writable(c)}
    if live.row is None:
        columns = tuple(ColumnEffect(c, ABSENT, value) for c, value in writable.items())
        identity = {column: target[column] for column in step.identity}
        return replace(step, effect=Effect.INSERT, columns=columns, identity=identity, expected=None)
    changed = differing(writable, live.row)
    columns = tuple(ColumnEffect(c, live.row[c], target[c]) for c in writable if c in changed)
    return replace(step, effect=Effect.UPDATE, columns=columns, expected=live.row)


def _from_live(step: Step, row: Image) -> Step:
    columns = tuple(replace(effect, old=row.get(effect.column, effect.old)) for effect in step.columns)
    return replace(step, columns=columns, expected=row)
