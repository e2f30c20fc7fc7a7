"""What a plan is made of: steps, their effects on columns, and conflicts. Data only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, StrEnum
from typing import Any, Final, NamedTuple, TypeAlias
from uuid import UUID

Image: TypeAlias = Mapping[str, Any]
"""A row, or the part of it that is known: decoded JSON by column, as `to_jsonb` gives it."""


class _Marker(Enum):
    ABSENT = "absent"
    PARKED = "parked"
    UNFIT = "unfit"

    def __repr__(self) -> str:
        return self.name


ABSENT: Final = _Marker.ABSENT
"""Stands for the side on which there is no row: before an insert, after a delete."""

PARKED: Final = _Marker.PARKED
"""Stands for a value made up at apply, which keeps a unique place free until the row's own step."""

UNFIT: Final = _Marker.UNFIT
"""Stands for a stored value that its column does not take now; it differs from all that a row can hold."""


class TableName(NamedTuple):
    """A table of the source database."""

    schema: str
    table: str

    def __str__(self) -> str:
        return self.table if self.schema == "public" else f"{self.schema}.{self.table}"


Reference: TypeAlias = tuple[TableName, str | None, tuple[UUID, ...]]


class Effect(StrEnum):
    """What a step does to its row."""

    INSERT = "insert"
    UPDATE = "update"
    DELETE = "delete"


class ConflictKind(StrEnum):
    """Why a step cannot simply be taken."""

    ROW_CHANGED = "row changed since"
    CHANGED_BETWEEN = "changed in between by a change that is not reverted"
    ROW_GONE = "row gone"
    ROW_EXISTS = "row exists again"
    UNIQUE_TAKEN = "unique value taken"
    PARENT_GONE = "target of a foreign key gone"
    CHILDREN_EXIST = "other rows point to the row"
    COLUMN_GONE = "column gone"
    TABLE_GONE = "table gone"
    PARTIAL_IMAGE = "image partial"
    NO_KEY = "table without a primary key"
    REFUSED = "the database refuses it"
    CYCLE = "no order of the steps satisfies the constraints"

    @property
    def can_overwrite(self) -> bool:
        """Whether `on_conflict="overwrite"` settles it without touching a row that the plan is not about."""
        return self in _OVERWRITABLE


_OVERWRITABLE: Final = frozenset(
    {
        ConflictKind.ROW_CHANGED,
        ConflictKind.CHANGED_BETWEEN,
        ConflictKind.ROW_GONE,
        ConflictKind.ROW_EXISTS,
        ConflictKind.COLUMN_GONE,
    }
)


@dataclass(frozen=True, slots=True)
class ColumnEffect:
    """One column of a step.

    old: what the row is expected to hold, ABSENT where it is expected not to exist.
    new: what it will hold, ABSENT where it will be gone, PARKED for a value made up at apply.
    """

    column: str
    old: Any
    new: Any


@dataclass(frozen=True, slots=True)
class Step:
    """One statement on one row.

    key: the row's key as `changes` has it. identity: the key's columns, by which the live row is found.
    expected: the row as the reverted changes left it, None for an insert.
    target: the row as it is to be, as far as it is known; None for a delete.
    changes: the ids of the changes that this step undoes.
    is_detour: it only makes room for another step (a reference set to NULL for a while, a value parked).
    returned: columns of references that the changes changed and changed back (`bemi_orm.revert.returning`).
    """

    table: TableName
    key: str | None
    effect: Effect
    columns: tuple[ColumnEffect, ...]
    identity: Image
    expected: Image | None
    target: Image | None
    changes: tuple[UUID, ...] = ()
    is_detour: bool = False
    returned: frozenset[str] = frozenset()

    @property
    def reference(self) -> Reference:
        """What tells the row of this step from all others of its plan."""
        return self.table, self.key, self.changes

    @property
    def touched(self) -> frozenset[str]:
        """The columns that this step writes; of a row that comes or goes, all that are known."""
        return frozenset(effect.column for effect in self.columns)

    @property
    def old_values(self) -> Image:
        """What the columns touched are expected to hold, by column."""
        return {effect.column: effect.old for effect in self.columns if effect.old is not ABSENT}

    @property
    def new_values(self) -> Image:
        """What the columns touched will hold, by column."""
        return {effect.column: effect.new for effect in self.columns if effect.new is not ABSENT}

    def __str__(self) -> str:
        note = " (to make room)" if self.is_detour else ""
        return f"{self.effect} {self.table} {self.key}{_describe(self)}{note}"


@dataclass(frozen=True, slots=True)
class Culprit:
    """A change that is not reverted and stands in the way: whose, and when."""

    change: UUID
    context: Mapping[str, Any]
    committed_at: datetime

    def __str__(self) -> str:
        who = ", ".join(f"{key}={value}" for key, value in self.context.items() if key != "SQL")
        when = f"{self.committed_at:%Y-%m-%d %H:%M:%S %Z}"
        return f"{_cut(who, 200) or 'no context'} at {when} (change {self.change})"


@dataclass(frozen=True, slots=True)
class Conflict:
    """One reason why one row cannot simply be reverted.

    model: label of the table's model, None without one. key: the row's key.
    columns: those it is about. fields: their names in the model, or the columns' own.
    detail: what exactly, for a person; may hold keys of rows, no other values.
    by: the changes that caused it, as far as they are captured.
    """

    kind: ConflictKind
    table: TableName
    key: str | None
    columns: tuple[str, ...] = ()
    detail: str = ""
    by: tuple[Culprit, ...] = ()
    model: str | None = None
    fields: tuple[str, ...] = ()

    def __str__(self) -> str:
        names = f" ({', '.join(self.fields or self.columns)})" if self.columns else ""
        detail = f": {self.detail}" if self.detail else ""
        by = f"; by {'; by '.join(map(str, self.by))}" if self.by else ""
        return f"{self.model or self.table} {self.key}: {self.kind}{names}{detail}{by}"


def _describe(step: Step) -> str:
    if step.effect is Effect.DELETE:
        return ""
    if step.effect is Effect.INSERT:
        parts = [f"{effect.column}={_show(effect.new)}" for effect in step.columns]
    else:
        parts = [f"{e.column} {_show(e.old)} -> {_show(e.new)}" for e in step.columns]
    return f": {', '.join(parts)}"


def _show(value: Any) -> str:
    return _cut("(a free value)" if value is PARKED else "NULL" if value is None else str(value), 60)


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def freeze(value: Any) -> Any:
    """Give a hashable form of a JSON value; values that are the same in jsonb are equal."""
    if isinstance(value, list):
        return tuple(map(freeze, value))
    if isinstance(value, dict):
        return frozenset((key, freeze(item)) for key, item in value.items())
    return (value,) if isinstance(value, bool) else value
