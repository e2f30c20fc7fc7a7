"""What rows would hold in unique indexes with an expression or a predicate: the server works it out."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from typing import Any, Final

from django.db import DatabaseError, connections, transaction

from bemi_orm.revert.refusals import is_refusal
from bemi_orm.revert.sqltext import quote_name
from bemi_orm.revert.steps import Image, Step, TableName, freeze
from bemi_orm.revert.tables import Table, Tables, UniqueIndex
from bemi_orm.revert.uniques import Computed, frozen_values, sides
from bemi_orm.values.rowjson import ExactDecoder, ExactEncoder

_QUESTION: Final = (
    'SELECT {0} FROM (SELECT s.n AS "bemi n", r.* FROM jsonb_array_elements(%s::jsonb) '
    'WITH ORDINALITY AS s(image, n) CROSS JOIN LATERAL {1}) x ORDER BY x."bemi n"'
)


def compute(alias: str, tables: Tables, steps: Iterable[Step]) -> Computed:
    """Ask the server for each such index of the steps' tables, of the rows before and after each step.

    An index of which the server refuses to work out a row, as a column's type has changed since, is left out.
    """
    images = defaultdict[tuple[TableName, UniqueIndex], dict[Any, Image]](dict)
    for step in steps:
        for index in tables[step.table].unique_indexes:
            for image in sides(step) if index.is_computed else ():
                known = frozen_values(image, index.sources)
                if image is not None and known is not None:
                    images[step.table, index][known] = {column: image[column] for column in index.sources}
    return {
        (name, index.name, known): value
        for (name, index), wanted in images.items()
        for known, value in zip(wanted, _ask(alias, tables[name], index, list(wanted.values())), strict=False)
    }


def _ask(alias: str, table: Table, index: UniqueIndex, images: list[Image]) -> list[Any]:
    """Give what each row holds: None where it is not in the index, or holds a NULL that equals no other."""
    columns = ", ".join(f"{quote_name(name)} {column.type}" for name, column in table.columns.items())
    # As in the index, expressions are worked out only where the predicate holds.
    holds = (
        f"CASE WHEN {index.predicate or 'true'} THEN jsonb_build_array({', '.join(index.expressions)}) END"
    )
    image = f"jsonb_to_record(s.image) AS r({columns})"
    question = _QUESTION.format(*(part.replace("%", "%%") for part in (holds, image)))
    try:
        with transaction.atomic(using=alias), connections[alias].cursor() as cursor:
            cursor.execute(question, [ExactEncoder().encode(images)])
            return [_frozen(value, index) for (value,) in cursor.fetchall()]
    except DatabaseError as error:
        if not is_refusal(error):
            raise
        return []


def _frozen(value: Any, index: UniqueIndex) -> Any:
    parts = json.loads(value, cls=ExactDecoder) if isinstance(value, str) else value
    if parts is None or (None in parts and not index.nulls_are_equal):
        return None
    return freeze(parts)
