"""Free text in what the changes hold, but for what the user sees masked."""

from __future__ import annotations

from typing import Any, Final, cast

from django.contrib.postgres.fields import ArrayField
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import BooleanField, Case, F, Func, Q, TextField, Value, When
from django.db.models.expressions import Combinable
from django.db.models.sql.compiler import SQLCompiler

from bemi_orm.masking import Masks
from bemi_orm.transport.message import SQL_KEY

_TEXTS: Final = ArrayField(TextField())


class _HoldsText(Func):
    """Whether a value of a JSON object, as its text, matches; arguments: object, keys left out, pattern."""

    output_field = BooleanField()

    def as_sql(  # type: ignore[override]
        self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **context: Any
    ) -> tuple[str, list[Any]]:
        """Give the sub-select."""
        parts = [compiler.compile(cast(Any, part)) for part in self.get_source_expressions()]
        (image, hidden, pattern), params = zip(*parts, strict=True)
        sql = (
            f"EXISTS (SELECT FROM pg_catalog.jsonb_each_text({image}) AS v (key, value) "
            f"WHERE v.key <> ALL ({hidden}) AND v.value ILIKE {pattern})"
        )
        return sql, [value for values in params for value in values]


def holds_text(text: str, masks: Masks) -> Q:
    """Give the condition that the key, a value of the row or one of the context contains the text.

    Upper and lower case are one. Masked values, and the statement in the context, are not looked at.
    """
    pattern = Value(f"%{_escaped(text)}%")
    in_images = (_HoldsText(F(side), _hidden_columns(masks), pattern) for side in ("before", "after"))
    in_context = _HoldsText(F("context"), Value(_hidden_keys(masks), _TEXTS), pattern)
    conditions = Q(primary_key__icontains=text) | Q(in_context)
    for condition in in_images:
        conditions |= Q(condition)
    return conditions


def _hidden_columns(masks: Masks) -> Combinable:
    cases = [_case(masks, schema, table) for schema, table in sorted(masks.columns, key=_named_schema_first)]
    return Case(*cases, default=Value([], _TEXTS))


def _case(masks: Masks, schema: str | None, table: str) -> When:
    place = {"table": table} if schema is None else {"table": table, "schema": schema}
    return When(Q(**place), then=Value(sorted(masks.columns_of(schema, table)), _TEXTS))


def _named_schema_first(table: tuple[str | None, str]) -> tuple[bool, str, str]:
    return table[0] is None, table[0] or "", table[1]


def _hidden_keys(masks: Masks) -> list[str]:
    """A key with a masked part is left out as a whole; a key may have dots itself.

    The statement is left out as it names every column, so it would find every change of a table.
    """
    paths = (key.split(".") for key in masks.context_keys)
    return sorted({SQL_KEY, *(".".join(path[:n]) for path in paths for n in range(1, len(path) + 1))})


def _escaped(text: str) -> str:
    for character in "\\%_":
        text = text.replace(character, f"\\{character}")
    return text
