"""What differs between two images of a row; pure, over decoded JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from typing import Any, Final


class _Unknown(Enum):
    UNKNOWN = "unknown"

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN: Final = _Unknown.UNKNOWN
"""Stands for a value that the WAL did not carry; never the same as None, which is SQL NULL or no row."""


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field of a change, or one column where it has no field.

    old, new: None for SQL NULL, and for the side on which there is no row; UNKNOWN where the
        server did not send the value, as it does not for most columns under REPLICA IDENTITY DEFAULT.
    """

    field: str
    old: Any
    new: Any

    @property
    def is_known(self) -> bool:
        """Whether both values are known, so that the column is known to have changed."""
        return self.old is not UNKNOWN and self.new is not UNKNOWN


def diff_images(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[FieldChange, ...]:
    """Give the columns of an UPDATE whose values differ, or of which one value is not known.

    before, after: the images; an absent key is a value not known. The order is that of `after`.
    """
    changes = (
        FieldChange(name, before.get(name, UNKNOWN), after.get(name, UNKNOWN)) for name in {**after, **before}
    )
    return tuple(change for change in changes if not is_same(change.old, change.new))


def appeared(image: Mapping[str, Any]) -> tuple[FieldChange, ...]:
    """Give every column of a new row, each from None to its value."""
    return tuple(FieldChange(name, None, value) for name, value in image.items())


def disappeared(image: Mapping[str, Any]) -> tuple[FieldChange, ...]:
    """Give every known column of a row that went, each from its value to None."""
    return tuple(FieldChange(name, value, None) for name, value in image.items())


def is_same(one: Any, other: Any) -> bool:
    """Compare as jsonb and PostgreSQL's numbers do: 1.10 is 1.1, NaN is NaN, but true is not 1, at any depth.

    Works on decoded JSON and on values of fields.
    """
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(is_same(value, other[key]) for key, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(is_same, one, other))
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    return bool(one == other) or (_is_nan(one) and _is_nan(other))


def _is_nan(value: Any) -> bool:
    return isinstance(value, float | Decimal) and math.isnan(value)
