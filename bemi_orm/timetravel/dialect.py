"""What the ORM takes for granted of tables, and views do not have."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

from bemi_orm.timetravel.uuids import from_texts, holds_uuids


@contextmanager
def speaking_to_views(connection: BaseDatabaseWrapper) -> Iterator[None]:
    """Let the ORM's SQL on this connection be right for views.

    A view has no primary key, so each selected column has to be in GROUP BY. It shows a uuid as text, and the
    backend converts it, as Django's backends do for databases without the type.
    """
    features, ops = connection.features, connection.ops
    grouping, converters = features.allows_group_by_selected_pks, ops.get_db_converters

    def get_db_converters(expression: Any) -> list[Any]:
        field = getattr(expression, "_output_field_or_none", None)
        return [*converters(expression), *([from_texts] if holds_uuids(field) else [])]

    features.allows_group_by_selected_pks = False
    ops.get_db_converters = get_db_converters  # type: ignore[method-assign]
    try:
        yield
    finally:
        features.allows_group_by_selected_pks = grouping
        ops.get_db_converters = converters  # type: ignore[method-assign]
