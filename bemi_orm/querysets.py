"""Queries on `changes`; every method narrows or orders, and gives a new queryset."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, NoReturn, Self, TypeVar
from uuid import UUID

from django.db import router
from django.db.models import BooleanField, Func, Model, QuerySet, Value

from bemi_orm.choices import Operation
from bemi_orm.exceptions import BemiError
from bemi_orm.keys import row_key
from bemi_orm.locations import locate
from bemi_orm.rows import MAX_ORDINAL, MAX_SOURCE_HASH, change_id_bytes

if TYPE_CHECKING:
    from bemi_orm.models import Change

_Row_co = TypeVar("_Row_co", bound=Model, covariant=True)


class _IsDistinctFrom(Func):
    template = "(%(expressions)s)"
    arg_joiner = " IS DISTINCT FROM "
    output_field = BooleanField()


class ReadOnlyQuerySet(QuerySet[_Row_co]):
    """A queryset that never writes; the asynchronous methods and get_or_create end in these."""

    def create(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refuse."""
        refuse_write()

    def bulk_create(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refuse."""
        refuse_write()

    def bulk_update(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refuse."""
        refuse_write()

    def update(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refuse."""
        refuse_write()

    def delete(self) -> NoReturn:
        """Refuse."""
        refuse_write()


class ChangeQuerySet(ReadOnlyQuerySet[_Row_co]):
    """Changes in commit order, by whose row, by what was done, by whom, and by when."""

    def for_instance(self, instance: Model) -> Self:
        """Give the changes of the instance's row, in its own table, schema and database.

        Part of the row of a model with a parent is in the parent's table, and has changes of its own there.
        An instance that is not saved, or has lost its key in delete(), gives none, without a query; the
        changes of a deleted row are those of `for_model(Model)` with its `primary_key`.
        """
        return self.for_row(instance, type(instance))

    def for_row(self, instance: Model, model: type[Model]) -> Self:
        """Do as `for_instance` in the table of `model`, the instance's class or a parent of it."""
        alias = instance._state.db or router.db_for_read(model, instance=instance)
        key = None if instance._state.adding else row_key(instance, model)
        if key is None:
            return self.none()
        rows = self._in_table(model, alias)
        # Each form is served by a partial index of its own.
        if key.number is None:
            return rows.filter(primary_key=key.text, primary_key_int__isnull=True)
        return rows.filter(primary_key_int=key.number)

    def for_model(self, model: type[Model]) -> Self:
        """Give the changes of the model's table, in its schema and database; no query is made by this."""
        return self._in_table(model)

    def for_table(self, name: str, schema: str | None = None, database: str | None = None) -> Self:
        """Give the changes of every table of this name; schema and database narrow it."""
        names = {"table": name, "schema": schema, "database": database}
        return self.filter(**{column: value for column, value in names.items() if value is not None})

    def by_context(self, **keys: Any) -> Self:
        """Give the changes whose context has these values: `by_context(user_id=1, request__method="POST")`.

        The keys are spelled as after `context__` in filter(), look-ups included.
        """
        return self.filter(**{f"context__{path}": value for path, value in keys.items()})

    def created(self) -> Self:
        """Give the changes that made a row."""
        return self.filter(operation=Operation.CREATE)

    def updated(self) -> Self:
        """Give the changes that replaced a row."""
        return self.filter(operation=Operation.UPDATE)

    def deleted(self) -> Self:
        """Give the changes that ended a row."""
        return self.filter(operation=Operation.DELETE)

    def truncated(self) -> Self:
        """Give the changes that emptied a table."""
        return self.filter(operation=Operation.TRUNCATE)

    def before(self, image: Mapping[str, Any]) -> Self:
        """Give the changes whose row before contains these columns with these values (jsonb `@>`)."""
        return self.filter(before__contains=image)

    def before_not(self, image: Mapping[str, Any]) -> Self:
        """Give the changes that `before` leaves out."""
        return self.exclude(before__contains=image)

    def after(self, image: Mapping[str, Any]) -> Self:
        """Give the changes whose row after contains these columns with these values (jsonb `@>`)."""
        return self.filter(after__contains=image)

    def after_not(self, image: Mapping[str, Any]) -> Self:
        """Give the changes that `after` leaves out."""
        return self.exclude(after__contains=image)

    def context(self, data: Mapping[str, Any]) -> Self:
        """Give the changes whose context contains this (jsonb `@>`)."""
        return self.filter(context__contains=data)

    def context_not(self, data: Mapping[str, Any]) -> Self:
        """Give the changes that `context` leaves out."""
        return self.exclude(context__contains=data)

    def column_changed(self, column: str) -> Self:
        """Give the changes whose `diff()` names this column: it differs, or one side of it is not known."""
        images = ("before", "after")
        old, new = (Func(image, Value(column), function="jsonb_extract_path") for image in images)
        return self.filter(_IsDistinctFrom(old, new))

    def between(self, start: datetime, end: datetime) -> Self:
        """Give the changes committed from `start` on and before `end`, both aware."""
        return self.filter(committed_at__gte=start, committed_at__lt=end)

    def in_transaction(self, change: Change) -> Self:
        """Give all changes of the transaction of `change`, by the range of ids that they take."""
        first = UUID(bytes=change_id_bytes(change.position, 0, 0))
        last = UUID(bytes=change_id_bytes(change.position, MAX_ORDINAL, MAX_SOURCE_HASH))
        return self.filter(
            id__range=(first, last),
            position=change.position,
            transaction_id=change.transaction_id,
            database=change.database,
        )

    def asc(self) -> Self:
        """Order by commit, the oldest first."""
        return self.order_by("id")

    def desc(self) -> Self:
        """Order by commit, the newest first."""
        return self.order_by("-id")

    def _in_table(self, model: type[Model], alias: str | None = None) -> Self:
        place = locate(model, alias)
        return self.filter(database=place.database, schema=place.schema, table=place.table)


def refuse_write() -> NoReturn:
    """Raise BemiError: what has happened is not changed by the application."""
    raise BemiError(
        "Changes are a record and cannot be written through the ORM; the worker alone stores them. "
        "To undo what a change did, write to the table that it is about."
    )
