"""Model instances as they were, rebuilt from row images; to build one makes no query."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from django.db import connections, router
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import NOT_PROVIDED, Expression, Field, Model, Value
from django.db.models.base import DEFERRED

from bemi_orm.exceptions import HistoricInstanceError
from bemi_orm.values.copies import bind_copies
from bemi_orm.values.drivervalues import driver_value
from bemi_orm.values.historic import EXTRA, Itself, is_historic
from bemi_orm.values.pastrelations import PastRelations, part_in_table
from bemi_orm.values.renames import with_current_names

if TYPE_CHECKING:
    from bemi_orm.models import Change

_M = TypeVar("_M", bound=Model)


def instance_from(
    model: type[_M], image: Mapping[str, Any], *, change: Change | None = None, is_complete: bool = False
) -> _M:
    """Give an instance with the values of a row image, which looks new and unsaved: `_state.adding` is true.

    image: column to decoded JSON. What the model has no field for, or Python no form for, is in `bemi_extra`.
    change: where the image comes from; the instance has it as `bemi_change`.
    is_complete: whether the image held every column of the row. Then a column that it lacks was added later,
        and its field has its default, that of the database first, or None if it has no default and may be
        null. Otherwise, and where the database computed the default, the value is not known: the field is
        deferred, see `get_deferred_fields()`, and to read it raises HistoricInstanceError.
    """
    fields = model._meta.concrete_fields
    values = values_from(model, image)
    if is_complete:
        values = {**dict(_defaults(model, image)), **values}
    instance = model.__new__(model)
    itself = Itself(instance)
    bind_copies(model)
    # Set before __init__, so that a signal's receiver that reads a deferred field is refused as well.
    instance.__dict__["bemi_change"] = change
    instance.__dict__[EXTRA] = _extra(model, image, values)
    instance.__dict__["refresh_from_db"] = partial(_refresh, itself)
    instance.__init__(*(values.get(field.attname, DEFERRED) for field in fields))  # type: ignore[misc]
    instance._state.fields_cache = PastRelations(itself)
    return instance


def values_from(model: type[Model], image: Mapping[str, Any]) -> dict[str, Any]:
    """Give attribute name to value, for each field that the image has a column for, in the model's order.

    The values are those that the ORM would give for the row: each goes through its field's `from_db_value`.
    The key of a parent is taken from the link to it. A value that Python has no form for, or that its field
    refuses, is left out.
    """
    image = with_current_names(model, image)
    readers = _readers(model, router.db_for_read(model))
    found = {reader.name: reader.read(image[reader.column]) for reader in readers if reader.column in image}
    values = {name: value for name, value in found.items() if value is not NOT_PROVIDED}
    for parent, link in model._meta.parents.items():
        if link is not None and link.attname in values:
            values.setdefault(parent._meta.pk.attname, values[link.attname])
    return values


class _Reader(NamedTuple):
    """How the values of one field are read."""

    name: str
    column: str
    db_type: str
    converters: tuple[Callable[[Any], Any], ...]

    def read(self, value: Any) -> Any:
        """Do what the ORM does with a row that it has read; NOT_PROVIDED if Python has no form for it."""
        try:
            value = driver_value(self.db_type, value)
            for convert in self.converters:
                value = convert(value)
        except Exception:  # a field may raise anything, for a value of a former type or of another key
            return NOT_PROVIDED
        return bytes(value) if isinstance(value, memoryview) else value


@lru_cache(maxsize=1_000)
def _readers(model: type[Model], alias: str) -> tuple[_Reader, ...]:
    return tuple(_reader(field, connections[alias]) for field in model._meta.concrete_fields)


def _reader(field: Field[Any, Any], connection: BaseDatabaseWrapper) -> _Reader:
    expression = field.get_col(field.model._meta.db_table)
    convert = [*connection.ops.get_db_converters(expression), *expression.get_db_converters(connection)]
    converters = tuple(partial(_convert, step, expression, connection.alias) for step in convert)
    return _Reader(field.attname, str(field.column), field.db_type(connection) or "", converters)


def _convert(convert: Callable[..., Any], expression: Expression, alias: str, value: Any) -> Any:
    return convert(value, expression, connections[alias])  # a connection belongs to a thread


def _extra(model: type[Model], image: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    used = {field.column for field in model._meta.concrete_fields if field.attname in values}
    return {name: value for name, value in with_current_names(model, image).items() if name not in used}


def _defaults(model: type[Model], image: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """A child's image says nothing of its parents' columns, nor is a generated column's value a default."""
    image = with_current_names(model, image)
    for field in (model._meta.concrete_model or model)._meta.local_concrete_fields:
        if field.column not in image and not field.generated:
            value = _default(field)
            if value is not NOT_PROVIDED:
                yield field.attname, value


def _default(field: Field[Any, Any]) -> Any:
    """Give what the rows that were there got with the column, or NOT_PROVIDED if that is not known."""
    try:
        if field.has_db_default():
            given = field.db_default
            value = given.value if isinstance(given, Value) else given
            is_computed = hasattr(value, "resolve_expression")
            return NOT_PROVIDED if is_computed else field.to_python(deepcopy(value))
        return field.get_default() if field.has_default() or field.null else NOT_PROVIDED
    except Exception:  # of a default that is a function, or of the field
        return NOT_PROVIDED


def _refresh(itself: Itself, *args: Any, **kwargs: Any) -> None:
    """Stand for refresh_from_db(), by which Django also reads a deferred field."""
    instance: Model = itself.instance
    if is_historic(instance):
        names = kwargs.get("fields") or (args[1] if len(args) > 1 else None) or ()
        if not (names and all(_take_from_parent(instance, name) for name in names)):
            raise HistoricInstanceError(instance, *names)
        return
    type(instance).refresh_from_db(instance, *args, **kwargs)


def _take_from_parent(instance: Model, name: str) -> bool:
    """Set what a parent's table held at the same change; say whether it had the field.

    Django writes a row's parents first, and deletes them last.
    """
    fields = instance._meta.concrete_fields
    parent = next(field.model for field in fields if name in (field.attname, field.name))
    image = part_in_table(instance, parent) if parent in instance._meta.get_parent_list() else {}
    values = values_from(parent, image)
    for attribute in values.keys() & instance.get_deferred_fields():
        setattr(instance, attribute, values[attribute])
    return name in values
