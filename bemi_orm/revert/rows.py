"""The live rows: read, locked and written, in the server's own types.

Values travel as JSON and are cast by the server to the type that each column has now, so every type comes
back exactly, and one that has changed since is converted where it can be. Nothing passes through Python's
types.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final, NamedTuple, TypeVar

from django.db import connections
from django.db.backends.utils import CursorWrapper

from bemi_orm.revert.detours import parking_sql
from bemi_orm.revert.steps import PARKED, Effect, Image, Step
from bemi_orm.revert.tables import ForeignKey, Table, UniqueIndex
from bemi_orm.values.rowjson import ExactDecoder, ExactEncoder

BATCH_ROWS: Final = 1_000

_INITIALLY_DEFERRED: Final = (
    "SELECT w.schema, w.name FROM unnest(%s::text[], %s::text[]) AS w (schema, name) "
    "JOIN pg_catalog.pg_namespace n ON n.nspname = w.schema "
    "JOIN pg_catalog.pg_constraint c ON c.connamespace = n.oid AND c.conname = w.name AND c.condeferred"
)

_T = TypeVar("_T")


class LiveRow(NamedTuple):
    """A row as it is, and two images of it after a round trip through the types that its columns have now.

    row is None if there is none. An image lacks the columns that the table no longer has.
    """

    row: Image | None
    expected: Image
    target: Image


class Rows:
    """Statements on the rows of one database."""

    def __init__(self, alias: str) -> None:
        self._connection = connections[alias]

    def lock(self, table: Table, steps: Sequence[Step]) -> None:
        """Lock the rows that exist, in the order of their keys, so that two reverts never wait crosswise."""
        keys = ", ".join(map(self._quote, table.key))
        sql = (
            f"SELECT 1 FROM {self._name(table)} WHERE ({keys}) IN "
            f"(SELECT * FROM jsonb_to_recordset(%s::jsonb) AS k({self._definitions(table, table.key)})) "
            f"ORDER BY {keys} FOR UPDATE"
        )
        for batch in _batches(steps):
            self._run(sql, [_dump([step.identity for step in batch])])

    def read(self, table: Table, steps: Sequence[tuple[int, Step]]) -> Iterator[tuple[int, LiveRow]]:
        """Give the live row of each step, by the number that comes with it."""
        sql = (
            "SELECT s.n, to_jsonb(t), to_jsonb(e), to_jsonb(w) "
            "FROM jsonb_to_recordset(%s::jsonb) AS s(n int, identity jsonb, expected jsonb, target jsonb) "
            f"CROSS JOIN LATERAL jsonb_to_record(s.identity) AS k({self._definitions(table, table.key)}) "
            f"CROSS JOIN LATERAL jsonb_to_record(s.expected) AS e({self._definitions(table, table.columns)}) "
            f"CROSS JOIN LATERAL jsonb_to_record(s.target) AS w({self._definitions(table, table.columns)}) "
            f"LEFT JOIN {self._name(table)} t ON {self._same_key(table, 't', 'k')}"
        )
        for batch in _batches(steps):
            asked = dict(batch)
            items = [
                {"n": n, "identity": s.identity, "expected": s.expected or {}, "target": s.target or {}}
                for n, s in batch
            ]
            for n, row, expected, target in self._run(sql, [_dump(items)]):
                yield (
                    n,
                    LiveRow(
                        None if row is None else _load(row),
                        _only(_load(expected), asked[n].expected),
                        _only(_load(target), asked[n].target),
                    ),
                )

    def holders(
        self, table: Table, index: UniqueIndex, wanted: Sequence[tuple[int, Image]]
    ) -> Iterator[tuple[int, Image]]:
        """Give the keys of live rows that hold what is wanted in a unique index, expressions included.

        wanted: numbered rows, whole as far as the index looks at them.
        """
        parts = [f"{expression} AS u{place}" for place, expression in enumerate(index.expressions)]
        where = f"WHERE {index.predicate}" if index.predicate else ""
        equals = "IS NOT DISTINCT FROM" if index.nulls_are_equal else "="
        joined = " AND ".join(f"l.u{i} {equals} w.u{i}" for i in range(len(parts)))
        selected = ", ".join(part.replace("%", "%%") for part in parts)
        where = where.replace("%", "%%")
        columns = self._definitions(table, table.columns)
        sql = (
            "SELECT w.n, to_jsonb(l) FROM "
            f'(SELECT x."bemi n" AS n, {selected} FROM (SELECT s.n AS "bemi n", r.* '
            "FROM jsonb_to_recordset(%s::jsonb) AS s(n int, image jsonb) "
            f"CROSS JOIN LATERAL jsonb_to_record(s.image) AS r({columns})) x {where}) w "
            f"JOIN (SELECT {', '.join(map(self._quote, table.key))}, {selected} "
            f"FROM {self._name(table)} {where}) l ON {joined}"
        )
        for batch in _batches(wanted):
            for n, row in self._run(sql, [_dump(_numbered(batch))]):
                yield n, _only(_load(row), table.key)

    def find_parents(
        self, key: ForeignKey, values: Sequence[tuple[int, Image]], *, lock: bool = False
    ) -> set[int]:
        """Give the numbers of references to rows that exist; values are by the parent's columns.

        lock: let nobody delete these rows, or change their keys, until the transaction ends.
        """
        order = ", ".join(f"p.{self._quote(column)}" for column in key.parent_columns)
        sql = (
            f"SELECT s.n FROM {self._references(key)} "
            f"JOIN {self._table(key.parent)} p ON {self._pointing(key, 'p', key.parent_columns)}"
            + (f" ORDER BY {order} FOR KEY SHARE OF p" if lock else "")
        )
        return {n for batch in _batches(values) for (n,) in self._run(sql, [_dump(_numbered(batch))])}

    def children(self, key: ForeignKey, values: Sequence[tuple[int, Image]]) -> Iterator[tuple[int, Image]]:
        """Give the keys of the rows that point to parents; values are by the parent's columns."""
        sql = (
            f"SELECT s.n, to_jsonb(c) FROM {self._references(key)} "
            f"JOIN {self._table(key.child)} c ON {self._pointing(key, 'c', key.child_columns)}"
        )
        for batch in _batches(values):
            for n, row in self._run(sql, [_dump(_numbered(batch))]):
                yield n, _only(_load(row), key.child_key)

    def write(self, table: Table, step: Step, identity: Image) -> Image | None:
        """Take one step on the row with this key; give its key afterwards, None if it hit no row."""
        writing = {Effect.INSERT: self._insert, Effect.UPDATE: self._update, Effect.DELETE: self._delete}
        sql, parameters = writing[step.effect](table, step, identity)
        returned = ", ".join(f"t.{self._quote(column)}" for column in table.key)
        rows = self._run(f"{sql} RETURNING to_jsonb(ROW({returned}))", parameters)
        return dict(zip(table.key, _load(rows[0][0]).values(), strict=True)) if rows else None

    def defer(self, constraints: Collection[tuple[str, str]]) -> None:
        """Let constraints, given by schema and name, wait until `check`."""
        self._set_constraints(constraints, "DEFERRED")

    def check(self, constraints: Collection[tuple[str, str]]) -> None:
        """Check them now; those that are INITIALLY DEFERRED wait for the end of the transaction again."""
        self._set_constraints(constraints, "IMMEDIATE")
        if constraints:
            schemas, names = map(list, zip(*constraints, strict=True))
            self._set_constraints(self._run(_INITIALLY_DEFERRED, [schemas, names]), "DEFERRED")

    def _set_constraints(self, constraints: Iterable[tuple[str, ...]], mode: str) -> None:
        names = ", ".join(".".join(map(quote_name, constraint)) for constraint in sorted(constraints))
        if names:
            with self._connection.cursor() as cursor:
                cursor.execute(f"SET CONSTRAINTS {names} {mode}")

    def _insert(self, table: Table, step: Step, identity: Image) -> tuple[str, list[str]]:
        values = step.new_values
        columns = ", ".join(map(self._quote, values))
        taken = ", ".join(self._value(table, column) for column in values)
        sql = (
            f"INSERT INTO {self._name(table)} AS t ({columns}) OVERRIDING SYSTEM VALUE "
            f"SELECT {taken} FROM jsonb_to_record(%s::jsonb) AS r({self._definitions(table, values)})"
        )
        return sql, [_dump(values)]

    def _update(self, table: Table, step: Step, identity: Image) -> tuple[str, list[str]]:
        values = step.new_values
        assigned = ", ".join(
            f"{self._quote(column)} = "
            + (self._parked(table, column) if value is PARKED else self._value(table, column))
            for column, value in values.items()
        )
        sent = {column: value for column, value in values.items() if value is not PARKED}
        sql = (
            f"UPDATE {self._name(table)} t SET {assigned} "
            f"FROM jsonb_to_record(%s::jsonb) AS k({self._definitions(table, table.key)}), "
            f"jsonb_to_record(%s::jsonb) AS r({self._definitions(table, sent or table.key)}) "
            f"WHERE {self._same_key(table, 't', 'k')}"
        )
        return sql, [_dump(identity), _dump(sent)]

    def _delete(self, table: Table, step: Step, identity: Image) -> tuple[str, list[str]]:
        sql = (
            f"DELETE FROM {self._name(table)} t "
            f"USING jsonb_to_record(%s::jsonb) AS k({self._definitions(table, table.key)}) "
            f"WHERE {self._same_key(table, 't', 'k')}"
        )
        return sql, [_dump(identity)]

    def _value(self, table: Table, column: str) -> str:
        """The JSON value null looks like SQL's NULL in an image; a NOT NULL column tells which it was."""
        found, name = table.columns[column], f"r.{self._quote(column)}"
        if found.type in ("json", "jsonb") and not found.is_nullable:
            return f"coalesce({name}, 'null'::{found.type})"
        return name

    def _parked(self, table: Table, column: str) -> str:
        return parking_sql(table.columns[column], self._name(table), self._quote(column))

    def _definitions(self, table: Table, columns: Iterable[str]) -> str:
        return ", ".join(self._typed(name, table.columns[name].type) for name in columns)

    def _same_key(self, table: Table, one: str, other: str) -> str:
        return " AND ".join(f"{one}.{self._quote(c)} = {other}.{self._quote(c)}" for c in table.key)

    def _typed(self, name: str, type_: str) -> str:
        return f"{self._quote(name)} {type_.replace('%', '%%')}"

    def _references(self, key: ForeignKey) -> str:
        defined = ", ".join(map(self._typed, key.parent_columns, key.parent_types))
        return (
            "jsonb_to_recordset(%s::jsonb) AS s(n int, image jsonb) "
            f"CROSS JOIN LATERAL jsonb_to_record(s.image) AS v({defined})"
        )

    def _pointing(self, key: ForeignKey, alias: str, columns: tuple[str, ...]) -> str:
        pairs = zip(columns, key.parent_columns, strict=True)
        return " AND ".join(f"{alias}.{self._quote(c)} = v.{self._quote(p)}" for c, p in pairs)

    def _name(self, table: Table) -> str:
        return self._table(table.name)

    def _table(self, name: tuple[str, str]) -> str:
        return ".".join(map(self._quote, name))

    def _quote(self, name: str) -> str:
        return quote_name(name).replace("%", "%%")  # all statements have parameters

    def _run(self, sql: str, parameters: list[Any]) -> list[tuple[Any, ...]]:
        cursor: CursorWrapper
        with self._connection.cursor() as cursor:
            cursor.execute(sql, parameters)
            return list(cursor.fetchall())


def quote_name(name: str) -> str:
    """Give a name as SQL has it; Django's own quoting leaves one alone that looks quoted already."""
    return '"' + name.replace('"', '""') + '"'


def _batches(items: Sequence[_T]) -> Iterator[list[_T]]:
    iterator = iter(items)
    while batch := list(islice(iterator, BATCH_ROWS)):
        yield batch


def _numbered(batch: Sequence[tuple[int, Image]]) -> list[dict[str, Any]]:
    return [{"n": number, "image": image} for number, image in batch]


def _dump(value: Any) -> str:
    return ExactEncoder().encode(value)


def _load(value: Any) -> Any:
    return json.loads(value, cls=ExactDecoder) if isinstance(value, str) else value


def _only(image: Mapping[str, Any], columns: Iterable[str] | None) -> dict[str, Any]:
    return {column: image[column] for column in columns or () if column in image}
