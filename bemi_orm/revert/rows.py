"""The live rows: read, locked and written, in the server's own types.

Values travel as JSON and are cast by the server to the type that each column has now, so every type comes
back exactly, and one that has changed since is converted where it can be. Nothing passes through Python's
types.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, NamedTuple

from django.db import DatabaseError, connections, transaction
from django.db.backends.utils import CursorWrapper

from bemi_orm.revert.batching import alike, batches
from bemi_orm.revert.detours import parking_sql
from bemi_orm.revert.fitting import fit, fitting, unfit
from bemi_orm.revert.refusals import is_refusal
from bemi_orm.revert.sqltext import (
    converted,
    definitions,
    name_of,
    pointing,
    qualified,
    quote,
    quote_name,
    references,
    same_key,
    taken,
)
from bemi_orm.revert.steps import PARKED, Effect, Image, Step
from bemi_orm.revert.tables import ForeignKey, Table, UniqueIndex
from bemi_orm.values.rowjson import ExactDecoder, ExactEncoder

_INITIALLY_DEFERRED: Final = (
    "SELECT w.schema, w.name FROM unnest(%s::text[], %s::text[]) AS w (schema, name) "
    "JOIN pg_catalog.pg_namespace n ON n.nspname = w.schema "
    "JOIN pg_catalog.pg_constraint c ON c.connamespace = n.oid AND c.conname = w.name AND c.condeferred"
)


class LiveRow(NamedTuple):
    """A row as it is, and two images of it after a round trip through the types that its columns have now.

    row is None if there is none. An image lacks the columns that the table no longer has, and has UNFIT for a
    value that its column does not take now; if that is in the key, the row was not looked for.
    """

    row: Image | None
    expected: Image
    target: Image


class Rows:
    """Statements on the rows of one database.

    A whole row is always `x.*`: a bare `x` would be a column of that name, where there is one.
    """

    def __init__(self, alias: str) -> None:
        self.alias, self._connection = alias, connections[alias]

    def lock(self, table: Table, steps: Sequence[Step]) -> None:
        """Lock the rows that exist, in the order of their keys, so that two reverts never wait crosswise."""
        keys = ", ".join(map(quote, table.key))
        sql = (
            f"SELECT 1 FROM {name_of(table)} WHERE ({keys}) IN "
            f"(SELECT * FROM jsonb_to_recordset(%s::jsonb) AS k({definitions(table, table.key)})) "
            f"ORDER BY {keys} FOR UPDATE"
        )
        for batch in batches(steps):
            self._run(sql, [_dump([step.identity for step in batch])])

    def read(self, table: Table, steps: Sequence[tuple[int, Step]]) -> Iterator[tuple[int, LiveRow]]:
        """Give the live row of each step, by the number that comes with it."""
        for batch in alike(steps, lambda step: (_names(step.expected), _names(step.target))):
            try:
                with transaction.atomic(using=self.alias):
                    found = self._read(table, batch)
            except DatabaseError as error:
                if not is_refusal(error):
                    raise
                found = list(self._read_what_fits(table, batch, error))
            yield from found

    def _read(self, table: Table, batch: Sequence[tuple[int, Step]]) -> list[tuple[int, LiveRow]]:
        """Read the rows of steps whose images have the same columns."""
        first = batch[0][1]
        sql = (
            f"SELECT s.n, to_jsonb(t.*), {converted(table, 's.expected', first.expected)}, "
            f"{converted(table, 's.target', first.target)} "
            "FROM jsonb_to_recordset(%s::jsonb) AS s(n int, identity jsonb, expected jsonb, target jsonb) "
            f"CROSS JOIN LATERAL jsonb_to_record(s.identity) AS k({definitions(table, table.key)}) "
            f"LEFT JOIN {name_of(table)} t ON {same_key(table, 't', 'k')}"
        )
        items = [
            {"n": n, "identity": s.identity, "expected": s.expected, "target": s.target} for n, s in batch
        ]
        return [
            (n, LiveRow(None if row is None else _load(row), _load(expected), _load(target)))
            for n, row, expected, target in self._run(sql, [_dump(items)])
        ]

    def _read_what_fits(
        self, table: Table, batch: Sequence[tuple[int, Step]], error: DatabaseError
    ) -> Iterator[tuple[int, LiveRow]]:
        """Do as `_read` where the server has refused a value; raise the error again if it takes them all."""

        def takes(column: str, values: Sequence[Any]) -> bool:
            return self._takes(table, column, values)

        expected = fit([step.expected or {} for _, step in batch], table.columns, takes)
        target = fit([step.target or {} for _, step in batch], table.columns, takes)
        if not any(map(unfit, [*expected, *target])):
            raise error
        left: list[tuple[int, Step]] = []
        kept: dict[int, tuple[Image, Image]] = {}
        for (n, step), before, after in zip(batch, expected, target, strict=True):
            if unfit({column: {**after, **before}.get(column) for column in step.identity}):
                yield n, LiveRow(None, before, after)
                continue
            kept[n] = unfit(before), unfit(after)
            left.append((n, replace(step, expected=fitting(before), target=fitting(after))))
        for n, live in self.read(table, left):
            unfit_before, unfit_after = kept[n]
            yield n, LiveRow(live.row, {**live.expected, **unfit_before}, {**live.target, **unfit_after})

    def _takes(self, table: Table, column: str, values: Sequence[Any]) -> bool:
        defined = definitions(table, [column])
        try:
            with transaction.atomic(using=self.alias):
                self._run(
                    f"SELECT count(*) FROM jsonb_to_recordset(%s::jsonb) AS r({defined})",
                    [_dump([{column: value} for value in values])],
                )
        except DatabaseError as error:
            if not is_refusal(error):
                raise
            return False
        return True

    def holders(
        self, table: Table, index: UniqueIndex, wanted: Sequence[tuple[int, Image]]
    ) -> Iterator[tuple[int, Image]]:
        """Give the keys of live rows that hold what is wanted in a unique index, expressions included.

        wanted: numbered rows, whole as far as the index looks at them.
        """
        names = [f'"bemi u{place}"' for place in range(len(index.expressions))]
        parts = [f"{expression} AS {name}" for expression, name in zip(index.expressions, names, strict=True)]
        where = f"WHERE {index.predicate}" if index.predicate else ""
        equals = "IS NOT DISTINCT FROM" if index.nulls_are_equal else "="
        joined = " AND ".join(f"l.{name} {equals} w.{name}" for name in names)
        selected = ", ".join(part.replace("%", "%%") for part in parts)
        where = where.replace("%", "%%")
        for batch in alike(wanted, _names):
            rows = self._rows_of(table, batch[0][1])
            sql = (
                "SELECT w.n, to_jsonb(l.*) FROM "
                f'(SELECT x."bemi n" AS n, {selected} FROM ({rows}) x {where}) w '
                f"JOIN (SELECT {', '.join(map(quote, table.key))}, {selected} "
                f"FROM {name_of(table)} {where}) l ON {joined}"
            )
            for n, row in self._run(sql, [_dump(_numbered(batch))]):
                yield n, _only(_load(row), table.key)

    def _rows_of(self, table: Table, known: Image) -> str:
        """Give numbered images as rows of the table, NULL in the columns that are not known.

        NULL from a subselect, as a domain that is NOT NULL refuses any other.
        """
        defined = [column for column in table.columns if column in known] or table.key
        values = {
            name: f"r.{name}" if column in known else f"(SELECT t.{name} FROM {name_of(table)} t LIMIT 0)"
            for column in table.columns
            for name in [quote(column)]
        }
        return (
            f'SELECT s.n AS "bemi n", {", ".join(f"{value} AS {name}" for name, value in values.items())} '
            "FROM jsonb_to_recordset(%s::jsonb) AS s(n int, image jsonb) "
            f"CROSS JOIN LATERAL jsonb_to_record(s.image) AS r({definitions(table, defined)})"
        )

    def find_parents(
        self, key: ForeignKey, values: Sequence[tuple[int, Image]], *, lock: bool = False
    ) -> set[int]:
        """Give the numbers of references to rows that exist; values are by the parent's columns.

        lock: let nobody delete these rows, or change their keys, until the transaction ends.
        """
        order = ", ".join(f"p.{quote(column)}" for column in key.parent_columns)
        sql = (
            f"SELECT s.n FROM {references(key)} "
            f"JOIN {qualified(key.parent)} p ON {pointing(key, 'p', key.parent_columns)}"
            + (f" ORDER BY {order} FOR KEY SHARE OF p" if lock else "")
        )
        return {n for batch in batches(values) for (n,) in self._run(sql, [_dump(_numbered(batch))])}

    def children(self, key: ForeignKey, values: Sequence[tuple[int, Image]]) -> Iterator[tuple[int, Image]]:
        """Give the keys of the rows that point to parents; values are by the parent's columns."""
        sql = (
            f"SELECT s.n, to_jsonb(c.*) FROM {references(key)} "
            f"JOIN {qualified(key.child)} c ON {pointing(key, 'c', key.child_columns)}"
        )
        for batch in batches(values):
            for n, row in self._run(sql, [_dump(_numbered(batch))]):
                yield n, _only(_load(row), key.child_key)

    def write(self, table: Table, step: Step, identity: Image) -> Image | None:
        """Take one step on the row with this key; give its key afterwards, None if it hit no row."""
        writing = {Effect.INSERT: self._insert, Effect.UPDATE: self._update, Effect.DELETE: self._delete}
        sql, parameters = writing[step.effect](table, step, identity)
        returned = ", ".join(f"t.{quote(column)}" for column in table.key)
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
        columns = ", ".join(map(quote, values))
        selected = ", ".join(taken(table, column) for column in values)
        sql = (
            f"INSERT INTO {name_of(table)} AS t ({columns}) OVERRIDING SYSTEM VALUE "
            f"SELECT {selected} FROM jsonb_to_record(%s::jsonb) AS r({definitions(table, values)})"
        )
        return sql, [_dump(values)]

    def _update(self, table: Table, step: Step, identity: Image) -> tuple[str, list[str]]:
        values = step.new_values
        assigned = ", ".join(
            f"{quote(column)} = "
            + (
                parking_sql(table.columns[column], name_of(table), quote(column))
                if value is PARKED
                else taken(table, column)
            )
            for column, value in values.items()
        )
        sent = {column: value for column, value in values.items() if value is not PARKED}
        sql = (
            f"UPDATE {name_of(table)} t SET {assigned} "
            f"FROM jsonb_to_record(%s::jsonb) AS k({definitions(table, table.key)}), "
            f"jsonb_to_record(%s::jsonb) AS r({definitions(table, sent or identity)}) "
            f"WHERE {same_key(table, 't', 'k')}"
        )
        return sql, [_dump(identity), _dump(sent or identity)]

    def _delete(self, table: Table, step: Step, identity: Image) -> tuple[str, list[str]]:
        sql = (
            f"DELETE FROM {name_of(table)} t "
            f"USING jsonb_to_record(%s::jsonb) AS k({definitions(table, table.key)}) "
            f"WHERE {same_key(table, 't', 'k')}"
        )
        return sql, [_dump(identity)]

    def _run(self, sql: str, parameters: list[Any]) -> list[tuple[Any, ...]]:
        cursor: CursorWrapper
        with self._connection.cursor() as cursor:
            cursor.execute(sql, parameters)
            return list(cursor.fetchall())


def _names(image: Image | None) -> frozenset[str]:
    return frozenset(image or ())


def _numbered(batch: Sequence[tuple[int, Image]]) -> list[dict[str, Any]]:
    return [{"n": number, "image": image} for number, image in batch]


def _dump(value: Any) -> str:
    return ExactEncoder().encode(value)


def _load(value: Any) -> Any:
    return json.loads(value, cls=ExactDecoder) if isinstance(value, str) else value


def _only(image: Mapping[str, Any], columns: Iterable[str] | None) -> dict[str, Any]:
    return {column: image[column] for column in columns or () if column in image}
