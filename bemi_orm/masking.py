"""Values that a user is not to see, hidden in images, diffs, contexts and plans."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, Self

from django.apps import apps
from django.db.models import Field, Model

from bemi_orm.diffing import UNKNOWN, FieldChange
from bemi_orm.history.tracked import model_of_table, split_table
from bemi_orm.lookups import is_place
from bemi_orm.values.renames import former_columns, former_tables, with_current_names

if TYPE_CHECKING:
    from bemi_orm.models import Change
    from bemi_orm.revert.steps import Conflict, Step

MASKED: Final = "[masked]"
"""Stands for each masked value, NULL included; what is not known, or has no row, stays as it is."""

CONTEXT: Final = "context"
"""The entry of `BEMI_MASKED` for the context; a table of this name is written `schema.context`."""

Table = tuple[str | None, str]
"""Schema and name; no schema means any."""


@dataclass(frozen=True, slots=True)
class Masks:
    """What is hidden from one user; `Masks()` hides nothing.

    columns: by table. context_keys: keys of the context, or paths such as `request.ip`.
    """

    columns: Mapping[Table, frozenset[str]] = field(default_factory=dict)
    context_keys: frozenset[str] = frozenset()

    @classmethod
    def from_setting(cls, setting: Mapping[str, Iterable[str]]) -> Self:
        """Read `BEMI_MASKED`. Fields count under the former names of their tables and columns as well."""
        columns: dict[Table, set[str]] = {}
        for name, hidden in setting.items():
            if name != CONTEXT:
                for table, column in _places(name, hidden):
                    columns.setdefault(table, set()).add(column)
        frozen = {table: frozenset(names) for table, names in columns.items()}
        return cls(frozen, frozenset(setting.get(CONTEXT, ())))

    def __bool__(self) -> bool:
        return bool(self.columns or self.context_keys)

    def columns_of(self, schema: str | None, table: str) -> frozenset[str]:
        """Give the masked columns of a table; without a schema those of all tables of the name."""
        found = (
            names
            for (other, name), names in self.columns.items()
            if name == table and (schema is None or other in (None, schema))
        )
        return frozenset().union(*found)

    def hides_column(self, schema: str | None, table: str, column: str) -> bool:
        """Whether the values of a column are masked; see `columns_of`."""
        return column in self.columns_of(schema, table)

    def names(self, column: str, table: str | None = None) -> bool:
        """Whether a filter on this column would give masked values away.

        table: the only one that the query is about; without it, the column of any table counts.
        """
        tables = {name for _, name in self.columns} if table is None else {table}
        return any(column in self.columns_of(None, name) for name in tables)

    def names_key(self, path: str) -> bool:
        """Whether a path of the context, such as `request.ip`, is masked, in a masked part, or around one.

        Places in lists do not matter: `requests.0.ip` is masked as `requests.ip` is.
        """
        forms = {path, ".".join(part for part in path.split(".") if not is_place(part))}
        return any(
            f"{form}.".startswith(f"{key}.") or f"{key}.".startswith(f"{form}.")
            for key in self.context_keys
            for form in forms
        )

    def hides(self, field: Field[Any, Any]) -> bool:
        """Whether the values of a model's field are masked."""
        return self.hides_column(*split_table(field.model._meta.db_table), str(field.column))

    def image(self, schema: str, table: str, image: Mapping[str, Any]) -> dict[str, Any]:
        """Give a row image with its masked values replaced."""
        return {
            column: MASKED if self.hides_column(schema, table, column) else value
            for column, value in image.items()
        }

    def context(self, context: Mapping[str, Any]) -> dict[str, Any]:
        """Give a context with its masked values replaced."""
        shown = dict(context)
        for key in self.context_keys:
            _mask_path(shown, key.split("."))
        return shown

    def diff(self, change: Change, diff: Iterable[FieldChange]) -> tuple[FieldChange, ...]:
        """Give `change.diff()` with its masked values replaced; which fields changed is still told."""
        columns = _columns_by_field(change.row_model)

        def is_hidden(name: str) -> bool:
            return self.hides_column(change.schema, change.table, columns.get(name, name))

        return tuple(_mask_sides(change, part) if is_hidden(part.field) else part for part in diff)

    def step(self, step: Step) -> Step:
        """Give a step of a revert plan to look at; it cannot be taken any more."""
        effects = (
            replace(effect, old=_mask_end(effect.old), new=_mask_end(effect.new))
            if self.hides_column(*step.table, effect.column)
            else effect
            for effect in step.columns
        )
        return replace(
            step,
            columns=tuple(effects),
            expected=step.expected and self.image(*step.table, step.expected),
            target=step.target and self.image(*step.table, step.target),
        )

    def conflict(self, conflict: Conflict) -> Conflict:
        """Give a conflict with the contexts of its causes masked."""
        culprits = (replace(culprit, context=self.context(culprit.context)) for culprit in conflict.by)
        return replace(conflict, by=tuple(culprits))


def model_of_label(name: str) -> type[Model] | None:
    """Give the model that an entry of `BEMI_MASKED` names; None where it names a table."""
    try:
        return apps.get_model(name)
    except (LookupError, ValueError):
        return None


def field_named(model: type[Model], name: str) -> Field[Any, Any] | None:
    """Give the field with a column that has this name, or whose attribute or column has it."""
    if name == "pk":
        return model._meta.pk
    fields = model._meta.concrete_fields
    return next((field for field in fields if name in (field.name, field.attname, field.column)), None)


def _places(name: str, hidden: Iterable[str]) -> Iterator[tuple[Table, str]]:
    model = model_of_label(name)
    if model is None:
        schema, _, table = name.rpartition(".")
        yield from (((schema or None, table), column) for column in hidden)
        model = model_of_table(schema, table)
    if model is not None:
        for field_name in hidden:
            yield from _places_of_field(model, field_name)


def _places_of_field(model: type[Model], name: str) -> Iterator[tuple[Table, str]]:
    """A field of a parent is in the parent's table. What is no field may be a column that no model knows."""
    (name,) = with_current_names(model, {name: None})
    found = field_named(model, name)
    owner = model if found is None else found.model
    columns = (name,) if found is None else (str(found.column), *former_columns(owner, str(found.column)))
    schema, table = split_table(owner._meta.db_table)
    for place in (table, *former_tables(owner)):
        yield from (((schema, place), column) for column in columns)


def _columns_by_field(model: type[Model] | None) -> dict[str, str]:
    return (
        {} if model is None else {field.attname: str(field.column) for field in model._meta.concrete_fields}
    )


def _mask_sides(change: Change, part: FieldChange) -> FieldChange:
    return FieldChange(part.field, _mask_side(change.before, part.old), _mask_side(change.after, part.new))


def _mask_side(image: Mapping[str, Any], value: Any) -> Any:
    return value if not image or value is UNKNOWN else MASKED


def _mask_end(value: Any) -> Any:
    return value if isinstance(value, Enum) else MASKED  # that there is no row, or a value made up


def _mask_path(context: dict[str, Any], path: list[str]) -> None:
    """A list on the way is masked as a whole: which of its members have the key is not looked at.

    A key may have dots itself, as OpenTelemetry's `http.client_ip` has.
    """
    for length in range(1, len(path) + 1):
        key, rest = ".".join(path[:length]), path[length:]
        inner = context.get(key)
        if rest and isinstance(inner, dict):
            context[key] = dict(inner)
            _mask_path(context[key], rest)
        elif key in context and (not rest or isinstance(inner, list)):
            context[key] = MASKED
