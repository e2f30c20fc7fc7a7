"""Makes and keeps the views in the database that holds `changes`; they read nothing else."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from django.db import connections, transaction
from django.db.utils import ProgrammingError

from bemi_orm.conf import settings
from bemi_orm.exceptions import SetupError
from bemi_orm.history.realkeys import KEY_OF_C, RealKey, without_key
from bemi_orm.history.states import literal
from bemi_orm.operations import find_table, read_sql
from bemi_orm.timetravel.creating import SCHEMA, Exists, quoted
from bemi_orm.timetravel.readers import IsTracked, live_refusals
from bemi_orm.timetravel.views import (
    Place,
    model_refusal_sql,
    past_models,
    stale_views,
    view_comments,
    view_name,
    view_sql,
)

_PLACES: Final = f"""
    SELECT name, pg_catalog.current_database()::text, n.nspname::text, c.relname::text, c.relkind::text,
        real_key.columns, real_key.is_integer, real_key.is_deferrable
    FROM pg_catalog.unnest(%s::text[]) AS name
    JOIN pg_catalog.pg_class c ON c.oid = pg_catalog.to_regclass(name)
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    CROSS JOIN LATERAL ({KEY_OF_C}) AS real_key
"""
_TABLES: Final = ("r", "p")  # ordinary and partitioned, as pg_class.relkind has it
_COMMENT: Final = "SELECT pg_catalog.obj_description(pg_catalog.to_regnamespace(%s), 'pg_namespace')"


@dataclass(frozen=True, slots=True)
class ViewPlan:
    """The script that makes the views; is_needed: whether the database does not have just these."""

    script: str
    count: int
    is_needed: bool

    def apply(self) -> None:
        """Make the schema anew, in one transaction; raises SetupError where the role may not."""
        alias = settings.DATABASE
        try:
            with transaction.atomic(using=alias), connections[alias].cursor() as cursor:
                cursor.execute(self.script)
        except ProgrammingError as error:
            raise SetupError(
                f"The views of the past cannot be made in {alias!r}: {error} The role of this alias has to "
                f"own the schema {SCHEMA} and may create schemas (GRANT CREATE ON DATABASE ...)."
            ) from error


def plan_views(is_tracked: IsTracked) -> ViewPlan:
    """Compare the models with the views that are there.

    is_tracked: takes schema and table. Models whose table has no history get a view that refuses to be read.
    """
    views, refusals = _views(is_tracked)
    script = "\n".join([read_sql("travel_schema.sql"), *views, *refusals])
    mark = f"bemi_orm {hashlib.sha256(script.encode()).hexdigest()[:32]}"
    script += f"\nGRANT SELECT ON ALL TABLES IN SCHEMA {SCHEMA} TO PUBLIC;"
    script += f"\nCOMMENT ON SCHEMA {SCHEMA} IS {literal(mark)};"
    connection = connections[settings.DATABASE]
    with connection.cursor() as cursor:
        cursor.execute(_COMMENT, [SCHEMA])
        (found,) = cursor.fetchone()
    return ViewPlan(script, len(views), found != mark or bool(stale_views(view_comments(connection))))


def _views(is_tracked: IsTracked) -> tuple[list[str], list[str]]:
    exists, places = _lookup(), _places()
    views = list(_model_views(is_tracked, places, exists))
    tables = [
        f"{quoted(place.schema)}.{quoted(place.table)}" for place, kind in places.values() if kind in _TABLES
    ]
    taken = {view_name(model) for model in past_models().values()}
    return views, list(live_refusals(tables, taken, is_tracked, exists=exists))


def _model_views(
    is_tracked: IsTracked, places: dict[str, tuple[Place, str]], exists: Exists
) -> Iterator[str]:
    changes = _changes_table()
    for db_table, model in sorted(past_models().items()):
        place, kind = places.get(db_table, (None, ""))
        if reason := _why_not(db_table, place, kind, is_tracked):
            yield model_refusal_sql(model, reason, exists=exists)
        elif place is not None:
            yield view_sql(model, place, changes=changes, exists=exists)


def _why_not(db_table: str, place: Place | None, kind: str, is_tracked: IsTracked) -> str | None:
    if place is None:
        return f"{db_table} does not exist. Run: manage.py migrate && manage.py bemi setup"
    name = f"{place.schema}.{place.table}"
    if kind not in _TABLES:
        return f"{name} is no table, so it has no history of its own; ask for the tables that it reads."
    if not is_tracked(place.schema, place.table):
        return f"{name} is not tracked (BEMI_TRACK, BEMI_IGNORE), so nothing is known of its past."
    if not place.key.columns:
        return without_key(name)
    return None


def _places() -> dict[str, tuple[Place, str]]:
    connection = connections[settings.SOURCE_DATABASE]
    names = {connection.ops.quote_name(db_table): db_table for db_table in past_models()}
    with connection.cursor() as cursor:
        cursor.execute(_PLACES, [list(names)])
        return {names[name]: _place(*found) for name, *found in cursor.fetchall()}


def _place(*found: Any) -> tuple[Place, str]:
    database, schema, table, kind, columns, is_integer, shares_keys = found
    return Place(database, schema, table, RealKey(tuple(columns), is_integer), shares_keys), kind


def _changes_table() -> str:
    found = find_table(connections[settings.DATABASE])
    if not found.is_ours:
        raise SetupError(
            f"The table changes is missing in {settings.DATABASE!r}. Run: manage.py migrate --database ..."
        )
    return f"{quoted(str(found.schema))}.changes"


def _lookup() -> Exists:
    """The database of `changes` need not have what the project made; values of its types are read as text."""

    @lru_cache
    def exists(kind: str, name: str) -> bool:
        with connections[settings.DATABASE].cursor() as cursor:
            cursor.execute(f"SELECT pg_catalog.to_reg{kind}(%s) IS NOT NULL", [name])
            return bool(cursor.fetchone()[0])

    return exists
