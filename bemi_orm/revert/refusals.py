"""What the server refused, as a conflict: which constraint, of which table, and which row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from bemi_orm.revert.steps import Conflict, ConflictKind, Step, TableName
from bemi_orm.revert.tables import Table, Tables

_REFUSING: Final = ("22", "23", "44000", "42501", "P0")
"""SQLSTATEs, or their classes: data, integrity, check option, rights and row security, RAISE of a trigger."""


def is_refusal(error: Exception) -> bool:
    """Tell whether the server refused what was written, which a deadlock or a lost connection is not."""
    return _text(_diagnosis(error), "sqlstate").startswith(_REFUSING)


def refusal(error: Exception, step: Step | None, steps: Sequence[Step], tables: Tables) -> Conflict:
    """Give the conflict that an error of the server stands for.

    step: the one that was being taken; None where constraints are checked later, at COMMIT by default. Then
    the row is named if only one of the steps is on the constraint's table.
    """
    diagnosis = _diagnosis(error)
    name = _text(diagnosis, "constraint_name")
    blamed = TableName(_text(diagnosis, "schema_name"), _text(diagnosis, "table_name"))
    if step is None:
        there = [one for one in steps if one.table == blamed]
        step = there[0] if len(there) == 1 else None
    known = blamed if blamed.table else (step or steps[0]).table
    table = tables.get(known)
    columns = _columns(table, name) if table else ()
    return Conflict(
        ConflictKind.REFUSED,
        known,
        step.key if step and step.table == known else None,
        columns,
        f"{type(error).__name__} {name or _text(diagnosis, 'sqlstate')}",
        model=table.model._meta.label if table and table.model else None,
        fields=tuple(map(table.field_name, columns)) if table else (),
    )


def _columns(table: Table, constraint: str) -> tuple[str, ...]:
    keys = {key.name: key.child_columns for key in table.parents}
    indexes = {index.name: index.columns for index in table.unique_indexes}
    found = keys.get(constraint) or indexes.get(constraint) or ()
    return tuple(column for column in found if column is not None)


def _diagnosis(error: Exception) -> Any:
    return getattr(error.__cause__, "diag", None)


def _text(diagnosis: Any, name: str) -> str:
    return getattr(diagnosis, name, None) or ""
