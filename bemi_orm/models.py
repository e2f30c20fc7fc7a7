"""The model of a stored change."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from asgiref.sync import sync_to_async
from django.db import models
from django.utils.translation import gettext_lazy as _

from bemi_orm.choices import Operation
from bemi_orm.diffing import FieldChange
from bemi_orm.fields import ContextField, RowImageField
from bemi_orm.history.tracked import model_of_table
from bemi_orm.querysets import ChangeQuerySet
from bemi_orm.readonly import refuse_write
from bemi_orm.values.fielddiffs import diff_rows
from bemi_orm.values.instances import instance_from
from bemi_orm.values.readable import ReadableChange, read_aloud

if TYPE_CHECKING:
    from bemi_orm.revert.plan import RevertPlan, RevertResult
    from bemi_orm.revert.settling import MissingParents, OnConflict

ChangeManager = models.Manager.from_queryset(ChangeQuerySet)


class Change(models.Model):
    """One committed change of one row, or the TRUNCATE of a table. Never written through the ORM.

    The order of `id` is that of commit, and inside a transaction that of execution.
    """

    Operation: ClassVar = Operation

    id = models.UUIDField(primary_key=True)
    database = models.TextField()
    schema = models.TextField()
    table = models.TextField()
    primary_key = models.TextField(null=True)
    primary_key_int = models.BigIntegerField(null=True)
    previous_primary_key = models.TextField(null=True)
    operation = models.TextField(choices=Operation.choices)
    before = RowImageField(default=dict)
    after = RowImageField(default=dict)
    context = ContextField(default=dict)
    committed_at = models.DateTimeField()
    queued_at = models.DateTimeField()
    created_at = models.DateTimeField()
    transaction_id = models.BigIntegerField()
    position = models.BigIntegerField()
    ordinal = models.IntegerField()

    objects = ChangeManager()

    class Meta:
        """The table is made by migration 0001 from SQL."""

        managed = False
        db_table = "changes"
        verbose_name = _("change")
        verbose_name_plural = _("changes")
        ordering = ["id"]
        default_permissions = ("view",)
        permissions = [
            ("revert_change", "Can revert changes"),
            ("view_masked", "Can see masked values of changes"),
        ]

    def __str__(self) -> str:
        return f"{self.operation} {self.schema}.{self.table} {self.primary_key or ''}".rstrip()

    @property
    def row_model(self) -> type[models.Model] | None:
        """The model of the row, found by its table; None if the project has none."""
        return model_of_table(self.schema, self.table)

    @property
    def instance(self) -> models.Model | None:
        """The row as the change left it, or as it was when the change deleted it; no query is made.

        It looks unsaved, and is read by the fields of its model, see `instance_from` in
        `bemi_orm.values.instances`. None for a TRUNCATE, and for a table that has no model.
        """
        return self._instance_from(self.before if self.operation == Operation.DELETE else self.after)

    @property
    def before_instance(self) -> models.Model | None:
        """The row before an UPDATE or DELETE, as for `instance`; None where there was none."""
        return self._instance_from(self.before)

    @property
    def is_effective(self) -> bool:
        """Whether the change is more than an UPDATE that changed nothing."""
        return self.operation != Operation.UPDATE or bool(self.diff())

    def diff(self) -> tuple[FieldChange, ...]:
        """Give what the change did to the fields, in the model's order, with values as the fields hold them.

        A new row: every field, from None. A row that went: every known field, to None. An update: each field
        whose values differ, and each of which one value is not known (`UNKNOWN`). A field is named by its
        attribute, such as `list_id`. Columns without a field, and all of a table without a model, are named
        as they are, and hold decoded JSON.
        """
        match self.operation:
            case Operation.CREATE | Operation.SNAPSHOT:
                return diff_rows(self.row_model, None, self.after)
            case Operation.DELETE:
                return diff_rows(self.row_model, self.before, None)
            case _:
                return diff_rows(self.row_model, self.before, self.after)

    def readable_diff(self, max_length: int = 80) -> tuple[ReadableChange, ...]:
        """Give `diff()` as texts for people: labels of fields and choices, names of related rows as of then.

        max_length: in characters; a longer text is cut and ends in an ellipsis. Each foreign key that changed
        takes a query or two for the row that it points to.
        """
        return read_aloud(self, max_length)

    async def areadable_diff(self, max_length: int = 80) -> tuple[ReadableChange, ...]:
        """Do as `readable_diff` in async code."""
        return await sync_to_async(self.readable_diff)(max_length)

    def revert_plan(self, *, missing_parents: MissingParents = "conflict") -> RevertPlan:
        """Plan to undo this one change; see `ChangeQuerySet.revert_plan`."""
        from bemi_orm.revert.planning import plan_revert

        return plan_revert([self], missing_parents=missing_parents)

    def revert(
        self,
        fields: Iterable[str] | None = None,
        on_conflict: OnConflict = "raise",
        *,
        using_sql: bool = False,
        missing_parents: MissingParents = "conflict",
    ) -> RevertResult:
        """Undo this one change; see `RevertPlan.apply`. Raises RevertConflict."""
        plan = self.revert_plan(missing_parents=missing_parents)
        return plan.apply(on_conflict, fields, using_sql=using_sql)

    async def arevert_plan(self, *, missing_parents: MissingParents = "conflict") -> RevertPlan:
        """Do as `revert_plan` in async code."""
        return await sync_to_async(self.revert_plan)(missing_parents=missing_parents)

    async def arevert(
        self,
        fields: Iterable[str] | None = None,
        on_conflict: OnConflict = "raise",
        *,
        using_sql: bool = False,
        missing_parents: MissingParents = "conflict",
    ) -> RevertResult:
        """Do as `revert` in async code."""
        plan = await self.arevert_plan(missing_parents=missing_parents)
        return await plan.aapply(on_conflict, fields, using_sql=using_sql)

    def _instance_from(self, image: Mapping[str, Any]) -> models.Model | None:
        model = self.row_model
        if model is None or not image:
            return None
        return instance_from(model, image, change=self, is_complete=self._is_complete)

    @property
    def _is_complete(self) -> bool:
        """Whether the images hold every column that the row had then.

        Only an UPDATE can lack a column in one image (unchanged TOAST, or a replica identity that is not
        FULL), and a DELETE in its one, where it cannot be told.
        """
        is_new = self.operation in (Operation.CREATE, Operation.SNAPSHOT)
        return is_new or self.before.keys() == self.after.keys()

    def save_base(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refuse; save(), asave() and loaddata end here."""
        refuse_write()

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refuse."""
        refuse_write()
