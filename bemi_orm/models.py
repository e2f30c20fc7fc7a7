"""The model of a stored change."""

from __future__ import annotations

from typing import Any, ClassVar, NoReturn

from django.db import models

from bemi_orm.choices import Operation
from bemi_orm.diffing import FieldChange, appeared, diff_images, disappeared
from bemi_orm.fields import ContextField, RowImageField
from bemi_orm.querysets import ChangeQuerySet, refuse_write

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
        ordering = ["id"]
        default_permissions = ("view",)

    def __str__(self) -> str:
        return f"{self.operation} {self.schema}.{self.table} {self.primary_key or ''}".rstrip()

    def diff(self) -> tuple[FieldChange, ...]:
        """Give the columns that this change changed.

        A new row: every column, from None. A row that went: every known column, to None. An update: each
        column whose values differ, and each of which one value is not known (`UNKNOWN`).
        """
        match self.operation:
            case Operation.CREATE | Operation.SNAPSHOT:
                return appeared(self.after)
            case Operation.DELETE:
                return disappeared(self.before)
            case _:
                return diff_images(self.before, self.after)

    def save_base(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refuse; save(), asave() and loaddata end here."""
        refuse_write()

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refuse."""
        refuse_write()
