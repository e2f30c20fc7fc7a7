"""From the net effect on a row to the step that undoes it, and what the images alone say against it."""

from __future__ import annotations

from dataclasses import replace

from bemi_orm.revert.folding import RowNet, differing
from bemi_orm.revert.returning import returned_columns
from bemi_orm.revert.steps import (
    ABSENT,
    ColumnEffect,
    Conflict,
    ConflictKind,
    Effect,
    Image,
    Step,
)
from bemi_orm.revert.tables import Table


def draft(net: RowNet, table: Table | None) -> tuple[Step | None, list[Conflict]]:
    """Give the step that undoes the net effect, None where there is nothing to do or it cannot be.

    A step without columns, but with references that are as they were, is one only if others need it.
    """
    reason = _impossible(net, table)
    if reason is not None or table is None:
        return None, [Conflict(reason or ConflictKind.TABLE_GONE, net.table, net.key)]
    step = _step(net, table)
    if step.effect is Effect.UPDATE and not step.columns and not _missing(net, table):
        return step if step.returned else None, _gone(net, table)
    return step, [*_gone(net, table), *_partial(net, table), *_between(net, table)]


def restrict(step: Step, columns: set[str]) -> Step | None:
    """Give the step for these columns only; None where none is left, or where a whole row comes or goes."""
    if step.effect is not Effect.UPDATE:
        return None
    kept = tuple(effect for effect in step.columns if effect.column in columns)
    # With part of a target the row cannot be made anew, which would write more than was asked for.
    target = {effect.column: effect.new for effect in kept}
    return replace(step, columns=kept, target=target) if kept or step.returned else None


def conflict(
    kind: ConflictKind, step: Step, table: Table, columns: tuple[str, ...] = (), detail: str = ""
) -> Conflict:
    """Give a conflict about a step, with the names that its model has for things."""
    return Conflict(
        kind,
        step.table,
        step.key,
        columns,
        detail,
        model=table.model._meta.label if table.model else None,
        fields=tuple(map(table.field_name, columns)),
    )


def _impossible(net: RowNet, table: Table | None) -> ConflictKind | None:
    if table is None:
        return ConflictKind.TABLE_GONE
    if net.key is None or not table.key:
        return ConflictKind.NO_KEY
    image = net.origin if net.current is None else net.current
    return None if image is not None and image.keys() >= set(table.key) else ConflictKind.PARTIAL_IMAGE


def _step(net: RowNet, table: Table) -> Step:
    image = net.origin if net.current is None else net.current
    assert image is not None
    return Step(
        table=net.table,
        key=net.key,
        effect=_effect(net),
        columns=_columns(net, table),
        identity={column: image[column] for column in table.key},
        expected=net.current,
        target=net.origin,
        changes=tuple(net.changes),
        returned=returned_columns(net, table),
    )


def _effect(net: RowNet) -> Effect:
    if net.origin is None:
        return Effect.DELETE
    return Effect.INSERT if net.current is None else Effect.UPDATE


def _columns(net: RowNet, table: Table) -> tuple[ColumnEffect, ...]:
    origin, current = net.origin, net.current
    if origin is None or current is None:
        image: Image = (current if origin is None else origin) or {}
        effects = [
            ColumnEffect(c, ABSENT if current is None else image[c], ABSENT if origin is None else image[c])
            for c in image
        ]
    else:
        changed = differing(origin, current) & net.touched
        effects = [ColumnEffect(c, current[c], origin[c]) for c in current if c in changed]
    return tuple(effect for effect in effects if table.writable(effect.column))


def _missing(net: RowNet, table: Table) -> set[str]:
    """Give the columns whose former value is needed and not known.

    Under REPLICA IDENTITY DEFAULT or USING INDEX the WAL has the columns of a unique index only; any other
    column that is not in an image was added to the table later, and takes its default.
    """
    if net.origin is None:
        return set()
    writable = {column for column in table.columns if table.writable(column)}
    missing = (net.unknown - net.origin.keys()) & writable
    if net.current is None and _is_identity_only(net.origin, table):
        missing |= writable - net.origin.keys()
    return missing


def _is_identity_only(image: Image, table: Table) -> bool:
    return any(image.keys() <= set(index.columns) for index in table.unique_indexes)


def _names(columns: set[str]) -> tuple[str, ...]:
    return tuple(sorted(columns))


def _gone(net: RowNet, table: Table) -> list[Conflict]:
    """Report columns that are to be restored, hold something, and no longer exist."""
    if net.origin is None:
        return []
    gone = {column for column in net.origin if column not in table.columns}
    if net.current is not None:
        gone &= differing(net.origin, net.current) & net.touched
    held = {column for column in gone if net.origin[column] is not None}
    return [_about(ConflictKind.COLUMN_GONE, net, table, held)] if held else []


def _partial(net: RowNet, table: Table) -> list[Conflict]:
    missing = _missing(net, table)
    detail = "the WAL did not carry the values before (the table has no REPLICA IDENTITY FULL)"
    return [_about(ConflictKind.PARTIAL_IMAGE, net, table, missing, detail)] if missing else []


def _between(net: RowNet, table: Table) -> list[Conflict]:
    if not net.disputed and not net.was_remade:
        return []
    return [_about(ConflictKind.CHANGED_BETWEEN, net, table, net.disputed)]


def _about(kind: ConflictKind, net: RowNet, table: Table, columns: set[str], detail: str = "") -> Conflict:
    return conflict(kind, _step(net, table), table, _names(columns), detail)
