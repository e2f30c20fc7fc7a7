"""What a tracked model can say about its own rows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Self, cast

from asgiref.sync import sync_to_async
from django.core.exceptions import FieldError
from django.db.models import Field, Model

from bemi_orm.diffing import FieldChange
from bemi_orm.history.blame import Blame, blame_row
from bemi_orm.timetravel.managers import PastDescriptor

if TYPE_CHECKING:
    from bemi_orm.history.captured import Wait
    from bemi_orm.history.moments import Moment
    from bemi_orm.models import Change
    from bemi_orm.querysets import ChangeQuerySet
    from bemi_orm.revert.plan import RevertPlan, RevertResult
    from bemi_orm.revert.settling import MissingParents, OnConflict


class BemiMixin:
    """Adds history to a model: `class Todo(BemiMixin, models.Model)`; no field, no migration."""

    bemi = PastDescriptor()

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
        return Change.objects.for_row(instance, found.model).changed(found.name)

    def bemi_as_of(self, moment: Moment, *, wait: Wait = False) -> Self | None:
        """Give this row as it was at a moment, as an unsaved instance; None if it was not there.

        moment, wait, and what is raised: see `bemi_orm.time_travel`. The row is followed back to former keys,
        and put together with its parts in the tables of parent models.
        """
        from bemi_orm.timetravel.managers import instance_as_of

        return cast("Self | None", instance_as_of(cast(Model, self), moment, wait=wait))

    def bemi_diff(self, start: Moment, end: Moment | None = None) -> tuple[FieldChange, ...]:
        """Give what became of this row's fields from one moment to another, in the model's order.

        start, end: an aware datetime, a `Change` (the moment right after it), or an LSN; the end is now by
            default. Where there was no row yet, or no more, its fields are None.
        Raises HistoricInstanceError where nothing that is stored tells what the row was at one of them.
        """
        from bemi_orm.history.spans import diff_between

        return diff_between(cast(Model, self), start, end)

    def bemi_blame(self) -> tuple[Blame, ...]:
        """Give, for each field in the model's order, the change that last set it; see `Blame`.

        Empty for a row that is not saved, or of which nothing is stored.
        """
        from bemi_orm.models import Change

        instance = cast(Model, self)
        models = (*type(instance)._meta.get_parent_list(), type(instance))
        rows = (Change.objects.for_row(instance, model).desc() for model in models)
        return tuple(blame for row in rows for blame in blame_row(row.iterator(chunk_size=200)))

    def bemi_revert_plan(
        self, to: Moment, *, missing_parents: MissingParents = "conflict", wait: Wait = False
    ) -> RevertPlan:
        """Plan to bring this row back to a moment, its parts in the tables of parent models included.

        Nothing is written, no signal sent. to, missing_parents, wait: see `ChangeQuerySet.revert_plan`. A
        change that is not stored yet is not undone; where it touched the row, there is a conflict.
        """
        from bemi_orm.revert.moments import plan_instance

        return plan_instance(cast(Model, self), to, missing_parents=missing_parents, wait=wait)

    def bemi_revert(
        self,
        to: Moment,
        fields: Iterable[str] | None = None,
        on_conflict: OnConflict = "raise",
        *,
        using_sql: bool = False,
        missing_parents: MissingParents = "conflict",
        wait: Wait = False,
    ) -> RevertResult:
        """Bring this row back to a moment; see `RevertPlan.apply`. This instance keeps its values.

        Raises RevertConflict. Call `refresh_from_db()` to see the row.
        """
        plan = self.bemi_revert_plan(to, missing_parents=missing_parents, wait=wait)
        return plan.apply(on_conflict, fields, using_sql=using_sql)

    async def bemi_aas_of(self, moment: Moment, *, wait: Wait = False) -> Self | None:
        """Do as `bemi_as_of` in async code."""
        return await sync_to_async(self.bemi_as_of)(moment, wait=wait)

    async def bemi_adiff(self, start: Moment, end: Moment | None = None) -> tuple[FieldChange, ...]:
        """Do as `bemi_diff` in async code."""
        return await sync_to_async(self.bemi_diff)(start, end)

    async def bemi_ablame(self) -> tuple[Blame, ...]:
        """Do as `bemi_blame` in async code."""
        return await sync_to_async(self.bemi_blame)()

    async def bemi_arevert_plan(
        self, to: Moment, *, missing_parents: MissingParents = "conflict", wait: Wait = False
    ) -> RevertPlan:
        """Do as `bemi_revert_plan` in async code."""
        return await sync_to_async(self.bemi_revert_plan)(to, missing_parents=missing_parents, wait=wait)

    async def bemi_arevert(
        self,
        to: Moment,
        fields: Iterable[str] | None = None,
        on_conflict: OnConflict = "raise",
        *,
        using_sql: bool = False,
        missing_parents: MissingParents = "conflict",
        wait: Wait = False,
    ) -> RevertResult:
        """Do as `bemi_revert` in async code."""
        plan = await self.bemi_arevert_plan(to, missing_parents=missing_parents, wait=wait)
        return await plan.aapply(on_conflict, fields, using_sql=using_sql)


def _column_field(model: type[Model], name: str) -> Field[Any, Any]:
    fields = model._meta.concrete_fields
    found = next((field for field in fields if name in {field.name, field.attname}), None)
    if found is None:
        known = ", ".join(sorted(field.name for field in fields))
        raise FieldError(f"{model.__name__} has no field {name!r} with a column. It has: {known}.")
    return found
