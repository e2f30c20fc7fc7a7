"""What a tracked model can say about its own rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from django.core.exceptions import FieldError
from django.db.models import Field, Model

if TYPE_CHECKING:
    from bemi_orm.models import Change
    from bemi_orm.querysets import ChangeQuerySet


class BemiMixin:
    """Adds history to a model: `class Todo(BemiMixin, models.Model)`; no field, no migration."""

    def bemi_history(self, field: str | None = None) -> ChangeQuerySet[Change]:
        """Give the changes of this row, the oldest first; none if it is not saved.

        field: only those that changed this field, or where the WAL does not tell whether they did (see
            `Change.diff`). A field of a parent model is looked up in the parent's table.
        Raises FieldError for a name that is not a field with a column.
        """
        from bemi_orm.models import Change  # models load when apps are ready, mixins before

        instance = cast(Model, self)
        if field is None:
            return Change.objects.for_instance(instance)
        found = _column_field(type(instance), field)
        return Change.objects.for_row(instance, found.model).column_changed(str(found.column))


def _column_field(model: type[Model], name: str) -> Field[Any, Any]:
    fields = model._meta.concrete_fields
    found = next((field for field in fields if name in {field.name, field.attname}), None)
    if found is None:
        known = ", ".join(sorted(field.name for field in fields))
        raise FieldError(f"{model.__name__} has no field {name!r} with a column. It has: {known}.")
    return found
