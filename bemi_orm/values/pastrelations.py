"""What belongs to a historic instance: other rows, and its parts in other tables, as of the same change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from django.db.models import Field, ForeignKey, Model

from bemi_orm.exceptions import HistoricInstanceError
from bemi_orm.history.keys import RowKey, key_of_values, row_key, stored_form
from bemi_orm.values.historic import Itself

if TYPE_CHECKING:
    from bemi_orm.history.moments import Bound
    from bemi_orm.history.rowstates import RowState
    from bemi_orm.models import Change


class PastRelations(dict[str, Any]):
    """The related objects of a historic instance, in the cache that Django asks before it reads a table.

    A forward foreign key that is not in it is looked up in `changes`. A row of which nothing is stored up to
    then is taken from the first change after, which tells what it was before. Django also asks when the
    attribute is set to None, so where that row is not known, set the key (`list_id`) instead.
    """

    def __init__(self, itself: Itself) -> None:
        super().__init__()
        self.itself = itself

    def __missing__(self, name: str) -> Model | None:
        instance = self.itself.instance
        target = _target(instance, name) if instance._state.adding else None
        if target is None:
            raise KeyError(name)
        self[name] = None if target.stored is None else _row(instance, name, target)
        return self[name]  # type: ignore[no-any-return]

    def copy(self) -> PastRelations:
        """Give a copy that looks up what is missing as well; to copy or pickle an instance calls it."""
        other = PastRelations(self.itself)
        other.update(self)
        return other


def part_in_table(instance: Model, model: type[Model]) -> Mapping[str, Any]:
    """Give the image of a historic instance's row in the table of `model` at its change, if known."""
    from bemi_orm.history.moments import Bound
    from bemi_orm.history.rowstates import state_of_key
    from bemi_orm.models import Change

    change: Change | None = instance.__dict__["bemi_change"]
    key = row_key(instance, model)
    if change is None or key is None:
        return {}
    bound = Bound(change.position, change.ordinal)
    return state_of_key(Change.objects.for_model(model), key, bound).image


class _Target(NamedTuple):
    """The row that a field points to, by what is stored for one of its fields."""

    model: type[Model]
    field: Field[Any, Any]
    stored: Any


def _target(instance: Model, name: str) -> _Target | None:
    """Find what a foreign key or a generic one points to; None for another kind of relation."""
    meta = type(instance)._meta
    field: Any = next((f for f in (*meta.concrete_fields, *meta.private_fields) if f.name == name), None)
    if isinstance(field, ForeignKey):
        stored = _stored(instance, name, field.target_field, getattr(instance, field.attname))
        return _Target(field.related_model, field.target_field, stored)
    if not hasattr(field, "ct_field"):
        return None
    content_type: Any = meta.get_field(field.ct_field)
    type_id, value = (getattr(instance, attribute) for attribute in (content_type.attname, field.fk_field))
    model = type_id and content_type.related_model._default_manager.get_for_id(type_id).model_class()
    return _Target(model, model._meta.pk, _stored(instance, name, model._meta.pk, value)) if model else None


def _stored(instance: Model, name: str, field: Field[Any, Any], value: Any) -> Any:
    """Give what is stored for a value; raise HistoricInstanceError if the field takes no such value."""
    try:
        return None if value is None else stored_form(field, field.to_python(value))
    except Exception as error:  # a field may raise anything for what it refuses
        raise HistoricInstanceError(instance, name) from error


def _row(instance: Model, name: str, target: _Target) -> Model:
    """Give the row that was pointed to; raise HistoricInstanceError if not known, or DoesNotExist."""
    from bemi_orm.history.moments import Bound
    from bemi_orm.history.rowstates import Presence
    from bemi_orm.values.instances import instance_from

    change: Change | None = instance.__dict__["bemi_change"]
    state = change and _state(target, Bound(change.position, change.ordinal))
    if not state or state.presence is Presence.NOT_KNOWN:
        raise HistoricInstanceError(instance, name)
    if state.presence is Presence.GONE:
        raise target.model.DoesNotExist(  # type: ignore[attr-defined]
            f"There was no {target.model.__name__} with this key at the change."
        )
    return instance_from(target.model, state.image, change=change)


def _state(target: _Target, bound: Bound) -> RowState | None:
    from bemi_orm.history.rowstates import state_of_key, until
    from bemi_orm.models import Change

    table = Change.objects.for_model(target.model)
    if target.field.primary_key:
        key = key_of_values([target.stored])
    else:  # `to_field`: the last row that held the value, if it still did
        image = {target.field.column: target.stored}
        holder = table.filter(until(bound), after__contains=image).order_by("-id").first()
        key = RowKey(str(holder.primary_key), holder.primary_key_int) if holder else None
    return state_of_key(table, key, bound) if key else None
