"""`Model.bemi`: what has been of a model's rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db.models import Model

if TYPE_CHECKING:
    from bemi_orm.history.captured import Wait
    from bemi_orm.history.moments import Moment
    from bemi_orm.models import Change
    from bemi_orm.querysets import ChangeQuerySet


class PastRows:
    """The rows of a model that were and are not, by `Todo.bemi`. It is no manager and needs no migration."""

    def __init__(self, model: type[Model]) -> None:
        self._model = model

    def as_of(self, moment: Moment, *, wait: Wait = False) -> list[Model]:
        """Give the rows that were there at the moment as instances, in the order of their last changes.

        moment, wait, and what is raised: see `bemi_orm.time_travel`, in which the rows can be filtered and
        joined as well.
        """
        return self._changes().as_of(moment, wait=wait).instances()

    def deleted(self) -> ChangeQuerySet[Change]:
        """Give the last change of each row that is not there any more, the oldest first.

        That is its DELETE, which tells who did it; or, where a TRUNCATE took the row, the change before that.
        `.instances()` gives the rows as they were last.
        """
        return self._changes().of_gone_rows()

    def restore(self, pk: object) -> Model:
        """Bring back the row that a DELETE or TRUNCATE took, under its key; give the live instance.

        The parts in the tables of parent models come back too, and no other row.
        Raises the model's DoesNotExist where no such end is stored, RevertConflict where it cannot be.
        """
        from bemi_orm.revert.moments import restore

        return restore(self._model, pk)

    def _changes(self) -> ChangeQuerySet[Change]:
        from bemi_orm.models import Change

        return Change.objects.for_model(self._model)


class PastDescriptor:
    """Gives each model class its own `PastRows`."""

    def __get__(self, instance: object, owner: type[Any]) -> PastRows:
        if instance is not None:
            raise AttributeError(f"{owner.__name__}.bemi is of the class, not of an instance.")
        return PastRows(owner)


def instance_as_of(instance: Model, moment: Moment, *, wait: Wait = False) -> Model | None:
    """Give the instance's row as it was at the moment; None if there was none; see `bemi_as_of`."""
    from bemi_orm.history.moments import resolve
    from bemi_orm.history.spans import image_at
    from bemi_orm.values.instances import instance_from

    model, bound = type(instance), resolve(moment, wait=wait)
    images = [image_at(instance, part, bound) for part in (*model._meta.get_parent_list(), model)]
    known = [image for image in images if image is not None]
    if len(known) < len(images):
        return None
    return instance_from(model, {column: value for image in known for column, value in image.items()})
