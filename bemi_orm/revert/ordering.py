"""An order of steps in which unique constraints and foreign keys hold at every moment. Pure.

A step before another where it frees a unique value that the other takes, makes a row that the other points
to, or lets go of a row that the other takes away. Where these go round in a circle, a deferrable constraint
is deferred; failing that, a row makes room first: with NULL, or with a value made up for the while.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from bemi_orm.revert.detours import can_detour, detour
from bemi_orm.revert.steps import ABSENT, PARKED, Effect, Image, Reference, Step, TableName, freeze
from bemi_orm.revert.tables import ForeignKey, Table, Tables, UniqueIndex

_RANK: Final = {Effect.DELETE: 0, Effect.UPDATE: 1, Effect.INSERT: 2}


class Edge(NamedTuple):
    """Why one step comes before another.

    constraint: schema and name. breaker: which of the two can make room, `columns` being those concerned.
    """

    constraint: tuple[str, str]
    is_deferrable: bool
    breaker: int
    columns: tuple[str, ...]


@dataclass(slots=True)
class Order:
    """The steps in order, detours among them.

    deferred: constraints, as schema and name, that must be deferred. stuck: rows for which there is no order.
    """

    steps: list[Step]
    deferred: set[tuple[str, str]] = field(default_factory=set)
    stuck: list[Step] = field(default_factory=list)


def arrange(steps: list[Step], tables: Tables) -> Order:
    """Put the steps, one for each row, in order."""
    order = Order(list(steps), _replaced_parents(steps, tables))
    made_room = set[tuple[Reference, tuple[str, ...]]]()
    while True:
        graph = _Graph(order.steps, tables, order.deferred)
        sequence = graph.sort()
        if len(sequence) == len(order.steps):
            order.steps = [order.steps[index] for index in sequence]
            return order
        if not _break(graph.find_cycle(set(sequence)), order, tables, made_room):
            order.stuck = [step for index, step in enumerate(order.steps) if index not in set(sequence)]
            order.steps = [order.steps[index] for index in sequence]
            return order


def _replaced_parents(steps: list[Step], tables: Tables) -> set[tuple[str, str]]:
    """Give the deferrable foreign keys of which one step takes a parent away that another makes.

    Rows that are in no step may point to it all the while.
    """
    found = set()
    for name, places in _by_table(steps).items():
        for key in tables[name].children:
            values = [_values(steps[place], key.parent_columns) for place in places]
            taken = {old for old, new in values if old is not None and old != new}
            if key.is_deferrable and any(new in taken for old, new in values if old != new):
                found.add((key.schema, key.name))
    return found


def _break(
    cycle: list[Edge], order: Order, tables: Tables, made_room: set[tuple[Reference, tuple[str, ...]]]
) -> bool:
    soft = {edge.constraint for edge in cycle if edge.is_deferrable}
    if soft:
        order.deferred |= soft
        return True
    for edge in cycle:
        step = order.steps[edge.breaker]
        table = tables[step.table]
        if (step.reference, edge.columns) in made_room or not can_detour(step, table, edge.columns):
            continue
        made_room.add((step.reference, edge.columns))
        order.steps[edge.breaker : edge.breaker + 1] = detour(step, table, edge.columns)
        return True
    return False


class _Graph:
    def __init__(self, steps: list[Step], tables: Tables, deferred: set[tuple[str, str]]) -> None:
        self._steps = steps
        self._edges: defaultdict[int, dict[int, Edge]] = defaultdict(dict)
        self._deferred = deferred
        places = _by_table(steps)
        for name, children in places.items():
            self._link_unique(tables[name], children)
            for key in tables[name].parents:
                self._link_parents(key, children, places.get(key.parent, []))
        self._link_detours()

    def sort(self) -> list[int]:
        """Give the steps that no cycle holds up: deletes as early as they can be, inserts as late."""
        waiting = [0] * len(self._steps)
        for targets in self._edges.values():
            for target in targets:
                waiting[target] += 1
        ready = [self._rank(index) for index, count in enumerate(waiting) if not count]
        heapq.heapify(ready)
        sequence = []
        while ready:
            _, index = heapq.heappop(ready)
            sequence.append(index)
            for target in self._edges[index]:
                waiting[target] -= 1
                if not waiting[target]:
                    heapq.heappush(ready, self._rank(target))
        return sequence

    def find_cycle(self, done: set[int]) -> list[Edge]:
        """Give the edges of one cycle among the steps that are not done."""
        sources = {
            target: source
            for source, targets in self._edges.items()
            if source not in done
            for target in targets
            if target not in done
        }
        index, seen = next(iter(sources)), dict[int, int]()
        while index not in seen:  # backwards: each step that is held up waits for another such one
            seen[index] = sources[index]
            index = sources[index]
        cycle: list[Edge] = []
        place = index
        while not cycle or place != index:
            cycle.append(self._edges[seen[place]][place])
            place = seen[place]
        return cycle

    def _rank(self, index: int) -> tuple[int, int]:
        return _RANK[self._steps[index].effect], index

    def _add(self, source: int, target: int, edge: Edge) -> None:
        # One reason is enough: if it is deferred, the next round finds another.
        if source != target and edge.constraint not in self._deferred:
            self._edges[source].setdefault(target, edge)

    def _link_unique(self, table: Table, steps: list[int]) -> None:
        for index in table.unique_indexes:
            freed: dict[Any, int] = {}
            for place in steps:
                old, new = _unique_values(self._steps[place], index)
                if old is not None and old != new:
                    freed[old] = place
            for place in steps:
                old, new = _unique_values(self._steps[place], index)
                if new is not None and new != old and new in freed:
                    columns = tuple(column for column in index.columns if column is not None)
                    name = (table.name.schema, index.name)
                    # A step finds its row by the key, which must not be held by two meanwhile.
                    is_deferrable = index.is_deferrable and not index.is_primary
                    self._add(freed[new], place, Edge(name, is_deferrable, freed[new], columns))

    def _link_parents(self, key: ForeignKey, children: list[int], parents: list[int]) -> None:
        made, removed = dict[Any, int](), dict[Any, int]()
        for place in parents:
            old, new = _values(self._steps[place], key.parent_columns)
            if old != new:
                removed.update({old: place} if old is not None else {})
                made.update({new: place} if new is not None else {})
        name = (key.schema, key.name)
        for place in children:
            old, new = _values(self._steps[place], key.child_columns)
            edge = Edge(name, key.is_deferrable, place, key.child_columns)
            if new is not None and new != old and new in made:
                self._add(made[new], place, edge)
            if old is not None and new != old and old in removed and not self._cascades(key, removed[old]):
                self._add(place, removed[old], edge)

    def _cascades(self, key: ForeignKey, parent: int) -> bool:
        return key.updates_cascade and self._steps[parent].effect is Effect.UPDATE

    def _link_detours(self) -> None:
        """Steps of one row keep their order."""
        last: dict[Reference, int] = {}
        for index, step in enumerate(self._steps):
            if step.reference in last:
                self._edges[last[step.reference]][index] = Edge(("", ""), False, index, ())
            last[step.reference] = index


def _by_table(steps: list[Step]) -> Mapping[TableName, list[int]]:
    places = defaultdict[TableName, list[int]](list)
    for index, step in enumerate(steps):
        places[step.table].append(index)
    return dict(places)


def _sides(step: Step) -> Iterator[Image | None]:
    """Give the whole row before and after the step, as far as it is known."""
    yield step.expected
    if step.effect is Effect.DELETE:
        yield None
    else:
        yield {**(step.expected or {}), **step.new_values}


def _values(step: Step, columns: tuple[str, ...]) -> tuple[Any, Any]:
    old, new = (_tuple(image, columns) for image in _sides(step))
    return old, new


def _unique_values(step: Step, index: UniqueIndex) -> tuple[Any, Any]:
    # Expressions and predicates are left to the rank: deletes first, inserts last.
    columns = tuple(column for column in index.columns if column is not None)
    if len(columns) < len(index.columns):
        return None, None
    old, new = (_tuple(image, columns, index.nulls_are_equal) for image in _sides(step))
    return old, new


def _tuple(image: Image | None, columns: tuple[str, ...], nulls_are_equal: bool = False) -> Any:
    values = [ABSENT if image is None else image.get(column, ABSENT) for column in columns]
    if any(value is ABSENT or value is PARKED or (value is None and not nulls_are_equal) for value in values):
        return None
    return tuple(map(freeze, values))
