"""The primary key that a model's table has, which need not be that of the model: the worker goes by it."""

from __future__ import annotations

from time import monotonic
from typing import Any, Final, NamedTuple

from django.db import connections
from django.db.models import Field, Model
from django.db.models.signals import post_migrate
from django.dispatch import receiver

from bemi_orm.conf import settings
from bemi_orm.exceptions import TimeTravelError
from bemi_orm.history.keys import RowKey, key_of_values, stored_value
from bemi_orm.history.locations import FOUND_TABLE, home_of

# A domain writes its values by the function of the type under it, and the worker takes it for that type.
KEY_OF_C: Final = """
    SELECT coalesce(pg_catalog.array_agg(a.attname::text ORDER BY k.place), '{}') AS columns,
        pg_catalog.count(*) = 1 AND pg_catalog.bool_and(t.typoutput IN (
            'pg_catalog.int2out'::pg_catalog.regproc, 'pg_catalog.int4out'::pg_catalog.regproc,
            'pg_catalog.int8out'::pg_catalog.regproc
        )) AS is_integer,
        coalesce(pg_catalog.bool_or(NOT i.indimmediate), false) AS is_deferrable
    FROM pg_catalog.pg_index i
    CROSS JOIN LATERAL pg_catalog.unnest(i.indkey::int2[]) WITH ORDINALITY AS k (attnum, place)
    JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
    JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
    WHERE i.indrelid = c.oid AND i.indisprimary AND k.place <= i.indnkeyatts
"""
"""One row: the primary key of the table `c`."""

_KEY: Final = f"""
    SELECT real_key.columns, real_key.is_integer
    FROM (SELECT c.oid, c.relkind {FOUND_TABLE}) AS c CROSS JOIN LATERAL ({KEY_OF_C}) AS real_key
    WHERE c.relkind IN ('r', 'p')
"""

KEPT_SECONDS: Final = 60
"""As long as the worker takes to notice a key that was altered."""

_answers: dict[tuple[str, str, type[Model]], tuple[RealKey, float]] = {}


class RealKey(NamedTuple):
    """The columns in the order of the key, none without one; is_integer: one, of an integer type."""

    columns: tuple[str, ...]
    is_integer: bool


def require_key(model: type[Model]) -> RealKey | None:
    """Give the key of the model's table in the source, None for no table.

    Raises TimeTravelError where the table has no primary key.
    """
    key = real_key(model, settings.SOURCE_DATABASE)
    if key is not None and not key.columns:
        raise TimeTravelError(without_key(model._meta.db_table))
    return key


def without_key(table: str) -> str:
    """Give the reason why nothing can be told of single rows."""
    return (
        f"{table} has no primary key, so its changes do not tell which of them are of one row, or which rows "
        "were there. Give it one; it counts from then on. All changes: Change.objects.for_table(...)."
    )


def real_key(model: type[Model], alias: str) -> RealKey | None:
    """Give the key of the model's table, None for no table; asked once in `KEPT_SECONDS`, or after `migrate`.

    alias: the database of the model's rows.
    """
    alias = home_of(model, alias)
    name = (alias, str(connections[alias].settings_dict["NAME"]), model)
    key, until = _answers.get(name, (None, 0.0))
    if until < monotonic():
        key = _ask(model, alias)
        if key and key.columns:
            _answers[name] = key, monotonic() + KEPT_SECONDS
    return key


@receiver(post_migrate)
def _forget(**kwargs: object) -> None:
    _answers.clear()


def confirmed(key: RowKey, instance: Model, model: type[Model], real: RealKey | None) -> RowKey | None:
    """Give the key that the worker stores for an instance's row; None where a part of it is not set.

    key: the one by the model, which most often it is.
    Raises TimeTravelError for a table without a key, or with one that the model does not have.
    """
    names = tuple(str(field.column) for field in model._meta.pk_fields)
    if real is None or (real.columns == names and real.is_integer == (key.number is not None)):
        return key
    found = key_of_values([stored_value(field, instance) for field in fields_of_key(model, real)])
    return found and RowKey(found.text, int(found.text) if real.is_integer else None)


def fields_of_key(model: type[Model], real: RealKey) -> list[Field[Any, Any]]:
    """Give the model's fields that are the key of its table.

    Raises TimeTravelError for a table without a key, or with one that the model does not have.
    """
    own = model._meta.concrete_model or model  # a proxy has no fields, and those of parents are elsewhere
    fields = {str(field.column): field for field in own._meta.local_concrete_fields}
    if not real.columns:
        raise TimeTravelError(without_key(model._meta.db_table))
    if missing := [column for column in real.columns if column not in fields]:
        raise TimeTravelError(
            f"{model._meta.db_table} has the primary key ({', '.join(real.columns)}), and "
            f"{model._meta.label} has no field for {', '.join(missing)}, so the changes of one row cannot be "
            "told. Add the field."
        )
    return [fields[column] for column in real.columns]


def _ask(model: type[Model], alias: str) -> RealKey | None:
    connection = connections[alias]
    with connection.cursor() as cursor:
        cursor.execute(_KEY, [connection.ops.quote_name(model._meta.db_table)])
        row = cursor.fetchone()
    return None if row is None else RealKey(tuple(row[0]), row[1])
