"""An order of steps in which unique constraints and foreign keys hold at every moment. Pure.

A step before another where it frees a unique value that the other takes, makes a row that the other points
to, or lets go of a row that the other takes away. Where these go round in a circle, a deferrable constraint
is deferred; failing that, a row makes room first: with NULL, or with a value made up for the while.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from bemi_orm.revert.detours import can_detour, detour, move_then_point
from bemi_orm.revert.following import Followed, follow
from bemi_orm.revert.steps import Effect, Reference, Step, TableName
from bemi_orm.revert.tables import ForeignKey, Table, Tables
from bemi_orm.revert.uniques import Computed, held, values

_RANK: Final = {Effect.DELETE: 0, Effect.UPDATE: 1, Effect.INSERT: 2}


class Edge(NamedTuple):
    """Why one step comes before another.

    constraint: schema and name. is_deferrable: whether it can be checked at the end instead.
    breaker: which of the two can make room, `columns` being those concerned.
    null_is_free: whether NULL makes room, as any number of rows can hold it.
    """

    constraint: tuple[str, str]
    is_deferrable: bool
    breaker: int
    columns: tuple[str, ...]
    null_is_free: bool = True


@dataclass(slots=True)
class Order:
    """The steps in order, detours among them.

    deferred: constraints, as schema and name, that must be deferred. stuck: rows for which there is no order.
    """

    steps: list[Step]
    deferred: set[tuple[str, str]] = field(default_factory=set)
    stuck: list[Step] = field(default_factory=list)


def arrange(steps: list[Step], tables: Tables, computed: Computed | None = None) -> Order:
    """Put the steps, one for each row, in order.

    computed: what their rows hold in indexes with an expression or a predicate.
    """
    followed, behind = follow(steps, tables)
    parts = [part for step in followed for part in _apart(step, tables[step.table])]
    order = Order(parts, _replaced_parents(steps, tables))
    made_room = set[tuple[Reference, tuple[str, ...]]]()
    while True:
        graph = _Graph(order.steps, tables, order.deferred, computed or {}, behind)
        sequence = graph.sort()
        if len(sequence) == len(order.steps):
            order.steps = [order.steps[index] for index in sequence]
            return order
        if not _break(graph.find_cycle(set(sequence)), order, tables, made_room):
            held_up = {step.reference for index, step in enumerate(order.steps) if index not in set(sequence)}
            order.stuck = [step for step in steps if step.reference in held_up]
            arranged = (order.steps[index] for index in sequence)
            order.steps = [step for step in arranged if step.reference not in held_up]
            return order


def _apart(step: Step, table: Table) -> list[Step]:
    """A row comes to point to the place that it leaves only afterwards, or its own key would act on it."""
    columns = set[str]()
    for key in table.parents if step.effect is Effect.UPDATE else ():
        if key.parent == key.child and not key.can_wait(step.effect):
            left, taken = values(step, key.parent_columns), values(step, key.child_columns)
            if left[0] is not None and left[0] != left[1] and left[0] == taken[1] != taken[0]:
                columns |= set(key.child_columns) & step.touched - set(key.parent_columns)
    return move_then_point(step, columns) if columns else [step]


def _replaced_parents(steps: list[Step], tables: Tables) -> set[tuple[str, str]]:
    """Give the deferrable foreign keys of which one step takes a parent away that another makes.

    Rows that are in no step may point to it all the while.
    """
    found = set()
    for name, places in _by_table(steps).items():
        for key in tables[name].children:
            moves = [(steps[place].effect, *values(steps[place], key.parent_columns)) for place in places]
            taken = {old for effect, old, new in moves if old != new and key.can_wait(effect)} - {None}
            if any(new in taken for _, old, new in moves if old != new):
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
        if (step.reference, edge.columns) in made_room or not can_detour(
            step, table, edge.columns, null_is_free=edge.null_is_free
        ):
            continue
        made_room.add((step.reference, edge.columns))
        order.steps[edge.breaker : edge.breaker + 1] = detour(
            step, table, edge.columns, null_is_free=edge.null_is_free
        )
        return True
    return False


class _Graph:
    def __init__(
        self,
        steps: list[Step],
        tables: Tables,
        deferred: set[tuple[str, str]],
        computed: Computed,
        behind: Iterable[Followed],
    ) -> None:
        self._steps = steps
        self._computed = computed
        self._edges: defaultdict[int, dict[int, Edge]] = defaultdict(dict)
        self._deferred = deferred
        places = _by_table(steps)
        for name, children in places.items():
            self._link_unique(tables[name], children)
            for key in tables[name].parents:
                self._link_parents(key, children, places.get(key.parent, []))
        self._link_rows(behind)

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
        if source != target and not (edge.is_deferrable and edge.constraint in self._deferred):
            self._edges[source].setdefault(target, edge)

    def _link_unique(self, table: Table, steps: list[int]) -> None:
        for index in table.unique_indexes:
            freed: dict[Any, int] = {}
            for place in steps:
                old, new = held(self._steps[place], table, index, self._computed)
                if old is not None and old != new:
                    freed[old] = place
            for place in steps:
                old, new = held(self._steps[place], table, index, self._computed)
                if new is not None and new != old and new in freed:
                    name = (table.name.schema, index.name)
                    # A step finds its row by the key, which must not be held by two meanwhile.
                    is_deferrable = index.is_deferrable and not index.is_primary
                    edge = Edge(name, is_deferrable, freed[new], index.concerned, not index.nulls_are_equal)
                    self._add(freed[new], place, edge)

    def _link_parents(self, key: ForeignKey, children: list[int], parents: list[int]) -> None:
        made, removed = dict[Any, int](), dict[Any, int]()
        for place in parents:
            old, new = values(self._steps[place], key.parent_columns)
            if old != new:
                removed.update({old: place} if old is not None else {})
                made.update({new: place} if new is not None else {})
        deleted = {
            self._steps[place].reference: place
            for place in parents
            if self._steps[place].effect is Effect.DELETE
        }
        name = (key.schema, key.name)
        for place in children:
            old, new = values(self._steps[place], key.child_columns)
            edge = Edge(name, key.is_deferrable, place, key.child_columns)
            if old == new and not self._steps[place].returned.issuperset(key.child_columns):
                continue
            if new is not None and new in made:
                self._add(made[new], place, edge)
            if new in removed:
                self._link_removal(key, edge, place, removed[new], is_coming=True)
            if old in removed:
                self._link_removal(key, edge, place, removed[old], is_coming=False)
                reference = self._steps[removed[old]].reference  # it may make room before it is deleted
                if reference in deleted:
                    self._link_removal(key, edge, place, deleted[reference], is_coming=False)

    def _link_removal(self, key: ForeignKey, edge: Edge, child: int, parent: int, *, is_coming: bool) -> None:
        """A row comes to point to a parent's place after that parent has left it, and goes away before.

        What the key does to rows that point to the parent is done at once, and would be done to this one.
        """
        effect = self._steps[parent].effect
        edge = edge._replace(is_deferrable=key.can_wait(effect))
        if is_coming:
            self._add(parent, child, edge)
        elif not (key.updates_cascade and effect is Effect.UPDATE):  # it may follow its parent, too
            self._add(child, parent, edge)

    def _link_rows(self, behind: Iterable[Followed]) -> None:
        """Steps of one row keep their order, and a row that follows its parent is found after that."""
        first, last = dict[Reference, int](), dict[Reference, int]()
        for index, step in enumerate(self._steps):
            if step.reference in last:
                self._edges[last[step.reference]][index] = Edge(("", ""), False, index, ())
            first.setdefault(step.reference, index)
            last[step.reference] = index
        for parent, child in behind:
            self._add(last[parent], first[child], Edge(("", ""), False, first[child], ()))


def _by_table(steps: list[Step]) -> Mapping[TableName, list[int]]:
    places = defaultdict[TableName, list[int]](list)
    for index, step in enumerate(steps):
        places[step.table].append(index)
    return dict(places)
