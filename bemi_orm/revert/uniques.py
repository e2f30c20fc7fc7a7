"""What a row holds in a unique index before a step and after it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

from bemi_orm.revert.steps import ABSENT, PARKED, Effect, Image, Step, TableName, freeze
from bemi_orm.revert.tables import Table, UniqueIndex

Computed: TypeAlias = Mapping[tuple[TableName, str, Any], Any]
"""What the server makes of rows: by table, index, and the frozen values of the index's `sources`."""


def sides(step: Step) -> Iterator[Image | None]:
    """Give the whole row before and after the step, as far as it is known."""
    yield step.expected
    if step.effect is Effect.DELETE:
        yield None
    else:
        yield {**(step.expected or {}), **step.new_values}


def held(step: Step, table: Table, index: UniqueIndex, computed: Computed) -> tuple[Any, Any]:
    """Give what the row holds in the index before and after the step, in a form to compare.

    None where it holds nothing that another row could want: NULL, parked, outside the predicate.
    """
    if index.is_computed:
        old, new = (
            computed.get((table.name, index.name, frozen_values(image, index.sources)))
            for image in sides(step)
        )
    else:
        old, new = (_tuple(image, index.concerned, index.nulls_are_equal) for image in sides(step))
    return old, new


def values(step: Step, columns: tuple[str, ...]) -> tuple[Any, Any]:
    """Give these columns before and after the step; None where one of them is NULL or not known."""
    old, new = (_tuple(image, columns) for image in sides(step))
    return old, new


def frozen_values(image: Image | None, columns: tuple[str, ...]) -> Any:
    """Give these columns of a row in a form to compare; None where one of them is not known."""
    return _tuple(image, columns, nulls_are_equal=True)


def _tuple(image: Image | None, columns: tuple[str, ...], nulls_are_equal: bool = False) -> Any:
    found = [ABSENT if image is None else image.get(column, ABSENT) for column in columns]
    if any(value is ABSENT or value is PARKED or (value is None and not nulls_are_equal) for value in found):
        return None
    return tuple(map(freeze, found))
