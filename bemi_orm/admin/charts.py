"""Geometry of a chart of stacked columns; a template draws it as SVG, and a table says the same."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from django.utils.formats import number_format

from bemi_orm.choices import Operation
from bemi_orm.facets import Bucket

WIDTH: Final = 960
HEIGHT: Final = 240
TOP: Final = 12
"""Room above the highest column, for the upper half of its label."""

BASE: Final = 210
"""Where the columns stand; below it are the labels of the times."""

LEFT: Final = 56
MAX_LABELS: Final = 8
HALF_LABEL: Final = 28
ORDER: Final = (Operation.CREATE, Operation.UPDATE, Operation.DELETE, Operation.TRUNCATE, Operation.SNAPSHOT)
"""From the bottom of a column to its top."""


@dataclass(frozen=True, slots=True)
class Bar:
    """A part of a column, in the units of the SVG; kind: its operation in lower case."""

    kind: str
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Column:
    """What happened in one slot of time; counts: by operation, as the chart's `operations` has them."""

    label: str
    bars: tuple[Bar, ...]
    counts: tuple[int, ...]

    @property
    def total(self) -> int:
        """The changes of all operations."""
        return sum(self.counts)


@dataclass(frozen=True, slots=True)
class Tick:
    """A label at an axis, at x or y."""

    at: float
    label: str


@dataclass(frozen=True, slots=True)
class Chart:
    """A whole chart; operations: those that occur, from the bottom up; heights, times: labels of the axes."""

    columns: tuple[Column, ...]
    operations: tuple[Operation, ...]
    heights: tuple[Tick, ...]
    times: tuple[Tick, ...]
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    base: int = BASE

    @property
    def total(self) -> int:
        """The changes of all columns."""
        return sum(column.total for column in self.columns)


def stacked_chart(
    slots: Sequence[datetime], labels: Sequence[tuple[str, str]], buckets: Iterable[Bucket]
) -> Chart:
    """Lay out one column per slot.

    slots: their starts, the oldest first; labels: a short text of each for the axis, and a long one for
    all else. A bucket is of the slot that it begins in; one before the first slot is left out.
    """
    starts = [slot.astimezone(UTC) for slot in slots]  # in one zone Python takes an hour for its repetition
    counts = [Counter[str]() for _ in slots]
    for bucket in buckets:
        if place := bisect_right(starts, bucket.start.astimezone(UTC)):
            counts[place - 1][bucket.operation] += bucket.count
    operations = tuple(each for each in ORDER if any(each in found for found in counts))
    highest = round_up(max((found.total() for found in counts), default=0))
    layout = _Layout((WIDTH - LEFT) / max(1, len(slots)), (BASE - TOP) / highest)
    columns = tuple(
        Column(
            name,
            tuple(layout.bars(place, found, operations)),
            tuple(found[operation] for operation in operations),
        )
        for place, ((_, name), found) in enumerate(zip(labels, counts, strict=True))
    )
    heights = tuple(
        Tick(BASE - (BASE - TOP) * half / 2, number_format(highest // 2 * half, force_grouping=True))
        for half in range(3)
    )
    return Chart(columns, operations, heights, tuple(layout.times([short for short, _ in labels])))


def round_up(count: int) -> int:
    """Give the next of 2, 4, 6, 10, 20, 40, 60, 100 ..., whose half is whole: the upper end of an axis."""
    power = 1
    while True:
        for factor in (2, 4, 6, 10):
            if count <= factor * power:
                return factor * power
        power *= 10


@dataclass(frozen=True, slots=True)
class _Layout:
    """step: from one column to the next; unit: the height of one change."""

    step: float
    unit: float

    def bars(self, place: int, found: Mapping[str, int], operations: Sequence[Operation]) -> Iterator[Bar]:
        x, width = LEFT + (place + 0.1) * self.step, 0.8 * self.step
        bottom = float(BASE)
        for operation in operations:
            height = found.get(operation, 0) * self.unit
            bottom -= height
            if height:
                yield Bar(operation.lower(), *(round(each, 2) for each in (x, bottom, width, height)))

    def times(self, labels: Sequence[str]) -> Iterator[Tick]:
        every = max(1, -(-len(labels) // MAX_LABELS))
        for place in range(every // 2, len(labels), every):
            at = round(LEFT + (place + 0.5) * self.step, 2)
            if at + HALF_LABEL <= WIDTH:  # else the edge would cut it off
                yield Tick(at, labels[place])
