"""Rows in batches of a size that a statement bears."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterator, Sequence
from itertools import islice
from typing import Final, TypeVar

BATCH_ROWS: Final = 1_000

T = TypeVar("T")


def batches(items: Sequence[T]) -> Iterator[list[T]]:
    """Give the items in batches."""
    iterator = iter(items)
    while batch := list(islice(iterator, BATCH_ROWS)):
        yield batch


def alike(items: Sequence[tuple[int, T]], kind: Callable[[T], Hashable]) -> Iterator[list[tuple[int, T]]]:
    """Give the numbered items in batches, each of one kind."""
    groups = defaultdict[Hashable, list[tuple[int, T]]](list)
    for number, item in items:
        groups[kind(item)].append((number, item))
    return (batch for group in groups.values() for batch in batches(group))
