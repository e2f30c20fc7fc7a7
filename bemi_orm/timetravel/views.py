"""The SQL of the views that show tables as they were: one per table of a model, generated from the models."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from django.apps import apps
from django.db import router
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Model

from bemi_orm.conf import settings
from bemi_orm.history.liveness import BY_NUMBER, BY_TEXT, MOVED, TRUNCATED, Terms, alive
from bemi_orm.history.realkeys import RealKey
from bemi_orm.history.states import literal
from bemi_orm.history.tracked import split_table
from bemi_orm.timetravel.columns import KEY_TEXT_TYPES, Column, columns_of, image_sql, key_sql
from bemi_orm.timetravel.creating import SCHEMA, Exists, create_view, quoted, refusal_sql
from bemi_orm.timetravel.generating import with_generated
from bemi_orm.values.renames import former_tables

LIVE_TABLES: Final = frozenset({"django_session", "django_migrations"})
"""Django's own bookkeeping: never tracked, and read as it is now, so that a request can travel."""

FORMAT: Final = 6
"""Raised when views of an earlier release have to be made again."""

_COMMENTS: Final = (
    "SELECT c.relname::text, pg_catalog.obj_description(c.oid, 'pg_class') FROM pg_catalog.pg_class c "
    "WHERE c.relnamespace = pg_catalog.to_regnamespace(%s) AND c.relkind = 'v'"
)

POSITION: Final = f"{SCHEMA}.moment_position()"
ORDINAL: Final = f"{SCHEMA}.moment_ordinal()"
UNTIL: Final = f"{SCHEMA}.moment_until()"


@dataclass(frozen=True, slots=True)
class Place:
    """The table of a model in the tracked database. shares_keys: whether its primary key is deferrable."""

    database: str
    schema: str
    table: str
    key: RealKey
    shares_keys: bool = False


def past_models() -> Mapping[str, type[Model]]:
    """Give the models whose past can be asked for, by their `db_table`: all that read the source's tables.

    Where several have one table, the first that Django manages counts.
    """
    return _past_models(tuple(apps.get_models(include_auto_created=True)), settings.SOURCE_DATABASE)


@lru_cache(maxsize=4)
def _past_models(models: tuple[type[Model], ...], alias: str) -> Mapping[str, type[Model]]:
    ranked = sorted(filter(_has_table, models), key=lambda model: model._meta.managed)
    return {model._meta.db_table: model for model in ranked if router.db_for_read(model) == alias}


def _has_table(model: type[Model]) -> bool:
    options = model._meta
    is_ours = options.app_label == "bemi_orm" or options.db_table in LIVE_TABLES
    return not (is_ours or options.proxy or options.swapped)


def view_name(model: type[Model]) -> str:
    """Give the view's name: that of the table, with the schema in front where the model names one."""
    schema, table = split_table(model._meta.db_table)
    return table if schema is None else f"{schema}.{table}"


@lru_cache(maxsize=4_096)
def digest(model: type[Model]) -> str:
    """Give what tells whether a view is as old as its model; it stands in the view's comment."""
    key = [field.column for field in model._meta.pk_fields]
    parts = (FORMAT, columns_of(model), key, former_tables(model))
    return f"bemi_orm {hashlib.sha256(repr(parts).encode()).hexdigest()[:32]}"


def view_comments(connection: BaseDatabaseWrapper) -> dict[str, str]:
    """Give the views that there are, and the comment of each."""
    with connection.cursor() as cursor:
        cursor.execute(_COMMENTS, [SCHEMA])
        return {name: comment or "" for name, comment in cursor.fetchall()}


def stale_views(found: Mapping[str, str]) -> list[str]:
    """Give the names of the views that are missing or older than their models, by their comments."""
    expected = {view_name(model): digest(model) for model in past_models().values()}
    return sorted(name for name, mark in expected.items() if found.get(name) != mark)


def view_sql(model: type[Model], place: Place, *, changes: str, exists: Exists) -> str:
    """Give the statements that make the view of a model's table; changes: qualified name of the table."""
    terms = Terms(
        c="c", changes=changes, position=POSITION, ordinal=ORDINAL, same_table=_is_of("e", model, place),
        endings=(BY_NUMBER if place.key.is_integer else BY_TEXT, MOVED, TRUNCATED),
        shared_keys="true" if place.shares_keys else "", until=UNTIL,
    )  # fmt: skip
    columns = ",\n    ".join(_select_list(model, place, exists))
    conditions = [_is_of("c", model, place), alive(terms)]
    if place.key.is_integer:  # so that the partial index serves an ORDER BY as well
        conditions.append("c.primary_key_int IS NOT NULL")
    elif _has_text_key(model, place):
        conditions.append("c.primary_key_int IS NULL")
    where = "\n    AND ".join(conditions)
    query = f"SELECT\n    {columns}\nFROM {changes} c\nWHERE {where}"
    query = with_generated(query, columns_of(model), view_name(model), exists)
    return create_view(view_name(model), query, digest(model))


def _has_text_key(model: type[Model], place: Place) -> bool:
    return any(
        place.key.columns == (column.name,) and column.type in KEY_TEXT_TYPES for column in columns_of(model)
    )


def model_refusal_sql(model: type[Model], reason: str, *, exists: Exists) -> str:
    """Give the statements that make a view of a model's columns which refuses to be read, and says why."""
    columns = {column.name: column.type for column in columns_of(model)}
    return refusal_sql(view_name(model), columns, reason, digest(model), exists=exists)


def _is_of(alias: str, model: type[Model], place: Place) -> str:
    """All constants, even where `e` could be compared with `c`: so each side reaches an index by itself."""
    names = (place.table, *former_tables(model))
    listed = ", ".join(map(literal, names))
    is_table = f"= {listed}" if len(names) == 1 else f"IN ({listed})"
    return (
        f"{alias}.database = {literal(place.database)} AND {alias}.schema = {literal(place.schema)}"
        f' AND {alias}."table" {is_table}'
    )


def _select_list(model: type[Model], place: Place, exists: Exists) -> list[str]:
    key_array = f"ARRAY[{', '.join(map(literal, place.key.columns))}]"
    table = literal(view_name(model))

    def expression(column: Column) -> str:
        if place.key.columns == (column.name,):
            return key_sql(column, exists, is_integer=place.key.is_integer)
        if column.expression is not None:
            return image_sql(column, "NULL", exists)  # see `with_generated`
        unknown = (
            f"{SCHEMA}.unknown_value(c.operation, c.before, c.after, {key_array}, "
            f"{literal(column.name)}, {table}, {column.default or 'NULL'})"
        )
        return image_sql(column, unknown, exists)

    return [f"{expression(column)} AS {quoted(column.name)}" for column in columns_of(model)]
