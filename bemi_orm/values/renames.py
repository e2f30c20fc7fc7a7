"""`BEMI_RENAMED`: the former names of tables and columns, so that history outlives a rename."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypedDict

from django.db.models import Model

from bemi_orm.conf import settings


class FormerNames(TypedDict, total=False):
    """What `BEMI_RENAMED` holds for a model's label, such as `"todos.Todo"`.

    tables: names that its table had. columns: former name of a column to the name it has now.
    """

    tables: list[str]
    columns: dict[str, str]


def former_tables(model: type[Model]) -> tuple[str, ...]:
    """Give the names that the model's table had; a proxy has those of the model it stands for."""
    return tuple(_former(model).get("tables", ()))


def former_columns(model: type[Model], column: str) -> tuple[str, ...]:
    """Give the names that a column of the model's table had."""
    return tuple(old for old, new in _former(model).get("columns", {}).items() if new == column)


def with_current_names(model: type[Model], image: Mapping[str, Any]) -> dict[str, Any]:
    """Give a row image under the names that the columns have now; a value under its own name wins."""
    columns = _former(model).get("columns", {})
    renamed = {columns[name]: value for name, value in image.items() if name in columns}
    return renamed | {name: value for name, value in image.items() if name not in columns}


def _former(model: type[Model]) -> FormerNames:
    label = (model._meta.concrete_model or model)._meta.label_lower
    return next((names for name, names in settings.RENAMED.items() if name.lower() == label), FormerNames())
