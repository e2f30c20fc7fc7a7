"""From the table that a change names to the model that it has in this project."""

from __future__ import annotations

from functools import lru_cache

from django.apps import apps
from django.db.models import Model

from bemi_orm.values.renames import former_tables

_Models = tuple[type[Model], ...]


def split_table(db_table: str) -> tuple[str | None, str]:
    """Give schema and name of a `db_table`, which may be `"schema"."table"`; the schema may be None."""
    schema, dot, table = db_table.rpartition('"."')
    return (schema.strip('"') if dot else None), table.strip('"')


def model_of_table(schema: str, table: str) -> type[Model] | None:
    """Give the model whose table this is or was (`BEMI_RENAMED`); None if the project has none.

    A model that names its schema goes before one that leaves it to the search path.
    """
    models = tuple(apps.get_models(include_auto_created=True))
    return _find(models, schema, table) or next(
        (model for model in models if not model._meta.proxy and table in former_tables(model)), None
    )


def _find(models: _Models, schema: str, table: str) -> type[Model] | None:
    found = _by_table(models)
    return found.get((schema, table)) or found.get((None, table))


@lru_cache(maxsize=4)
def _by_table(models: _Models) -> dict[tuple[str | None, str], type[Model]]:
    """Index the models; where two have one table, the first that Django manages wins."""
    ranked = sorted((model for model in models if not model._meta.proxy), key=lambda m: not m._meta.managed)
    return {split_table(model._meta.db_table): model for model in reversed(ranked)}
