"""What a foreign key of a historic instance points to: the other row as it was at the same change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db.models import Field, ForeignKey, Model, Q

from bemi_orm.exceptions import HistoricInstanceError
from bemi_orm.historic import is_historic
from bemi_orm.keys import RowKey, key_of_values, stored_form
from bemi_orm.rowhistory import key_is
from bemi_orm.rowstates import Presence, state_at

if TYPE_CHECKING:
    from bemi_orm.models import Change


class PastRelations(dict[str, Any]):
    """The cache of related objects of a historic instance, which Django asks before it reads a table.

    A forward foreign key that is not in it is looked up in `changes`. A row of which nothing is stored up to
    then is taken from the first change after, which has it as it was before.
    """

    def __init__(self, instance: Model) -> None:
        super().__init__()
        self.instance = instance

    def __missing__(self, name: str) -> Model | None:
        field = self._foreign_key(name)
        if field is None:
            raise KeyError(name)
        value = getattr(self.instance, field.attname)
        self[name] = None if value is None else self._look_up(field, value)
        return self[name]

    def copy(self) -> PastRelations:
        """Give a copy that looks up what is missing as well; pickling and copying an instance do it."""
        other = PastRelations(self.instance)
        other.update(self)
        return other

    def _foreign_key(self, name: str) -> ForeignKey[Any, Any] | None:
        fields = type(self.instance)._meta.concrete_fields if is_historic(self.instance) else ()
        return next((field for field in fields if isinstance(field, ForeignKey) and field.name == name), None)

    def _look_up(self, field: ForeignKey[Any, Any], value: Any) -> Model:
        change: Change | None = self.instance.__dict__["bemi_change"]
        if change is None:
            raise HistoricInstanceError(self.instance, field.name)
        state = _state_of(field.related_model, key, change)
        if state.presence is Presence.NOT_KNOWN:
            raise HistoricInstanceError(self.instance, field.name)
