"""Queries on `changes`; every method narrows or orders, and gives a new queryset."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar, cast
from uuid import UUID

from asgiref.sync import sync_to_async
from django.db import router
from django.db.models import Model, Q

from bemi_orm.choices import Operation
from bemi_orm.conf import settings
from bemi_orm.history.conditions import column_differs, columns_of, images_differ
from bemi_orm.history.locations import in_table_of
from bemi_orm.history.moments import Moment, resolve
from bemi_orm.history.relations import child_rows, link_rows, parent_rows, row_of
from bemi_orm.history.states import NOW, AliveAt, LastOfGone, rows_of
from bemi_orm.readonly import ReadOnlyQuerySet
from bemi_orm.rows import MAX_ORDINAL, MAX_SOURCE_HASH, change_id_bytes, key_text
from bemi_orm.values.historic import is_historic
from bemi_orm.values.pgtext import postgres_text

if TYPE_CHECKING:
    from bemi_orm.history.captured import Wait
    from bemi_orm.models import Change
    from bemi_orm.revert.plan import RevertPlan, RevertResult
    from bemi_orm.revert.settling import MissingParents, OnConflict

_Row_co = TypeVar("_Row_co", bound=Model, covariant=True)

_INTEGER: Final = re.compile(r"0|-?[1-9][0-9]{0,18}")
"""As a key of a user is written; Python refuses to read thousands of digits."""


class ChangeQuerySet(ReadOnlyQuerySet[_Row_co]):
    """Changes in commit order, by whose row, by what was done, by whom, and by when.

    Each method narrows or orders, and can follow any other:
    `Change.objects.for_model(Todo).by_user(7).changed("task").desc()`.
    """

    _model_of_rows: type[Model] | None = None  # by it, changed() knows fields from columns

    def for_instance(self, instance: Model, *, m2m: bool = False, related: bool = False) -> Self:
        """Give the changes of the instance's row, in its own table, schema and database.

        The row is found by its real key, and under the keys that it had before; changes of another row that
        had its key before, or that took over its former key, are left out.
        m2m: also the rows that link it to others, declared on either side, as they came and went.
        related: also the rows that point to it by foreign key, before the change or after it, and its own
            rows in the tables of parent models. Both look through all changes of those tables.
        An instance that is not saved, or has lost its key in delete(), gives none, without a query; the
        changes of a deleted row are those of `for_model(Model)` with its `primary_key`.
        To read it raises TimeTravelError where the table has no primary key, or one without a field here.

        Example: `Change.objects.for_instance(todo, m2m=True)`
        """
        own = self.for_row(instance, type(instance))
        if not (m2m or related) or own.query.is_empty():
            return own
        alias = _alias(instance)
        conditions = [row_of(instance, type(instance), alias)]
        conditions += link_rows(instance, alias) if m2m else ()
        conditions += (*parent_rows(instance, alias), *child_rows(instance, alias)) if related else ()
        return self.filter(reduce(or_, filter(None, conditions)))

    def for_row(self, instance: Model, model: type[Model]) -> Self:
        """Do as `for_instance` in the table of `model`, the instance's class or a parent of it."""
        is_saved = not instance._state.adding or is_historic(instance)
        condition = row_of(instance, model, _alias(instance)) if is_saved else None
        return self.none() if condition is None else self._of_model(model).filter(condition)

    def for_model(self, model: type[Model]) -> Self:
        """Give the changes of the model's table, in its schema and database; no query is made by this.

        Former names of the table count, see `BEMI_RENAMED`. Example: `Change.objects.for_model(Todo)`
        """
        return self._of_model(model).filter(in_table_of(model))

    def for_table(self, name: str, schema: str | None = None, database: str | None = None) -> Self:
        """Give the changes of every table of this name; schema and database narrow it.

        Example: `Change.objects.for_table("todos_todo", schema="public")`
        """
        names = {"table": name, "schema": schema, "database": database}
        return self.filter(**{column: value for column, value in names.items() if value is not None})

    def by_context(self, **keys: Any) -> Self:
        """Give the changes whose context has these values: `by_context(user_id=1, request__method="POST")`.

        The keys are spelled as after `context__` in filter(), look-ups included.
        """
        return self.filter(**{f"context__{path}": value for path, value in keys.items()})

    def by_user(self, user: Any) -> Self:
        """Give the changes that a user made: `by_user(request.user)`, `by_user(7)`, `by_user("7")`.

        user: an instance, saved or deleted, or its key. `BEMI_USER_KEY` names the key of the context, and a
            number there counts as its text. An instance without a key, such as AnonymousUser, gives none.
        """
        key = user.pk if hasattr(user, "pk") else user
        if key is None:
            return self.none()
        text = str(key)
        is_number = _INTEGER.fullmatch(text) is not None
        forms = [int(text), text] if is_number else [text]
        return self.filter(**{f"context__{settings.USER_KEY}__in": forms})

    def created(self) -> Self:
        """Give the changes that made a row: `Change.objects.created()`."""
        return self.filter(operation=Operation.CREATE)

    def updated(self) -> Self:
        """Give the changes that replaced a row: `Change.objects.for_model(Todo).updated()`."""
        return self.filter(operation=Operation.UPDATE)

    def deleted(self) -> Self:
        """Give the changes that ended a row: `Change.objects.for_model(Todo).deleted()`."""
        return self.filter(operation=Operation.DELETE)

    def truncated(self) -> Self:
        """Give the changes that emptied a table: `Change.objects.truncated()`."""
        return self.filter(operation=Operation.TRUNCATE)

    def before(self, image: Mapping[str, Any]) -> Self:
        """Give the changes whose row before has these values (jsonb `@>`): `before({"done": False})`."""
        return self.filter(before__contains=image)

    def before_not(self, image: Mapping[str, Any]) -> Self:
        """Give the changes that `before` leaves out: `before_not({"done": False})`."""
        return self.exclude(before__contains=image)

    def after(self, image: Mapping[str, Any]) -> Self:
        """Give the changes whose row after has these values (jsonb `@>`): `after({"done": True})`."""
        return self.filter(after__contains=image)

    def after_not(self, image: Mapping[str, Any]) -> Self:
        """Give the changes that `after` leaves out: `after_not({"done": True})`."""
        return self.exclude(after__contains=image)

    def context(self, data: Mapping[str, Any]) -> Self:
        """Give the changes whose context contains this (jsonb `@>`): `context({"user_id": 7})`."""
        return self.filter(context__contains=data)

    def context_not(self, data: Mapping[str, Any]) -> Self:
        """Give the changes that `context` leaves out: `context_not({"method": "GET"})`."""
        return self.exclude(context__contains=data)

    def changed(self, *fields: str) -> Self:
        """Give the changes whose `diff()` names one of these: it differs, or one side of it is not known.

        fields: of the model after `for_model` or `for_instance`, under former names too (`BEMI_RENAMED`);
            else names of columns. Example: `Change.objects.for_model(Todo).changed("task", "list")`
        """
        columns = [column for name in fields for column in columns_of(self._model_of_rows, name)]
        return self.filter(reduce(or_, map(column_differs, columns))) if columns else self.none()

    def field_changed(self, table: str, primary_key: Any, field: str) -> Self:
        """Give the changes of one column of one row: `field_changed("todos_todo", 5, "task")`.

        primary_key: as `primary_key` holds it, or a number; of several columns: their texts as a list.
        """
        values = primary_key if isinstance(primary_key, list | tuple) else [primary_key]
        key = key_text([postgres_text(value) for value in values])
        return self.for_table(table).filter(primary_key=key).changed(field)

    def effective(self, ignore: Iterable[str] = ()) -> Self:
        """Leave out updates that changed nothing, or only these columns: `effective(ignore=["updated_at"])`.

        ignore: columns; after `for_model` or `for_instance` fields as well. An update of which a value is not
            known stays, if it is not one of these.
        """
        columns = {column for name in ignore for column in columns_of(self._model_of_rows, name)}
        return self.filter(~Q(operation=Operation.UPDATE) | images_differ(columns))

    def instances(self) -> list[Model]:
        """Give the rows as model instances, in this order: `Change.objects.for_model(Todo).instances()`.

        Each is `Change.instance`: as the change left it, or as it was when the change deleted it. Changes
        without a row or a model give none.
        """
        found = (cast("Change", change).instance for change in self)
        return [instance for instance in found if instance is not None]

    def as_of(self, moment: Moment, *, wait: Wait = False) -> Self:
        """Give the change that each row owes its state at the moment to; rows that were not there: none.

        moment: an aware datetime, a `Change` (or `Before(change)`, `After(change)`), or an LSN; looked up at
            once. wait: seconds to wait for the worker where the moment is not stored yet; True for a minute.
        Raises MomentError, NotCapturedError; after `for_model` TimeTravelError for a table without a primary
        key. Of others such tables have no part in it.

        Example: `Change.objects.for_model(Todo).as_of(yesterday).instances()`
        """
        return self.filter(AliveAt(resolve(moment, wait=wait), *rows_of(self._model_of_rows)))

    async def aas_of(self, moment: Moment, *, wait: Wait = False) -> Self:
        """Do as `as_of` in async code; the queryset is then read as any other."""
        return await sync_to_async(self.as_of)(moment, wait=wait)

    def of_gone_rows(self) -> Self:
        """Give the last change of each row that is gone: its DELETE, or the one before a TRUNCATE.

        Raises TimeTravelError as `as_of` does. Example: `Change.objects.for_model(Todo).of_gone_rows()`
        """
        return self.filter(LastOfGone(NOW, *rows_of(self._model_of_rows)))

    def between(self, start: datetime, end: datetime) -> Self:
        """Give the changes committed from `start` on and before `end`, both aware: `between(then, now())`."""
        return self.filter(committed_at__gte=start, committed_at__lt=end)

    def in_transaction(self, change: Change) -> Self:
        """Give all changes of the transaction of one, by their range of ids: `in_transaction(change)`."""
        first = UUID(bytes=change_id_bytes(change.position, 0, 0))
        last = UUID(bytes=change_id_bytes(change.position, MAX_ORDINAL, MAX_SOURCE_HASH))
        return self.filter(
            id__range=(first, last),
            position=change.position,
            transaction_id=change.transaction_id,
            database=change.database,
        )

    def revert_plan(
        self, to: Moment | None = None, *, missing_parents: MissingParents = "conflict", wait: Wait = False
    ) -> RevertPlan:
        """Plan to undo these changes, without a write or a signal: print it, look at it, `apply()` it.

        to: only what came after this moment: `Change.objects.for_model(Todo).revert_plan(yesterday)` is the
            table as it was then. wait: seconds to wait until all that is committed now is stored.
        missing_parents: what to do where a row to restore points to one that is gone: report a "conflict",
            "skip" the field, set it to "null" where that is allowed, or "restore" the parent too.
        Example: `print(Change.objects.by_context(request_id=7).revert_plan())`
        """
        from bemi_orm.revert.moments import plan_to_moment
        from bemi_orm.revert.planning import plan_revert

        changes = cast("ChangeQuerySet[Change]", self)
        if to is None:
            return plan_revert(changes, missing_parents=missing_parents)
        return plan_to_moment(changes, to, missing_parents=missing_parents, wait=wait)

    def revert(
        self,
        fields: Iterable[str] | None = None,
        on_conflict: OnConflict = "raise",
        *,
        using_sql: bool = False,
        missing_parents: MissingParents = "conflict",
    ) -> RevertResult:
        """Undo these changes in one transaction; see `RevertPlan.apply`. Raises RevertConflict."""
        plan = self.revert_plan(missing_parents=missing_parents)
        return plan.apply(on_conflict, fields, using_sql=using_sql)

    async def arevert_plan(
        self, to: Moment | None = None, *, missing_parents: MissingParents = "conflict", wait: Wait = False
    ) -> RevertPlan:
        """Do as `revert_plan` in async code."""
        return await sync_to_async(self.revert_plan)(to, missing_parents=missing_parents, wait=wait)

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

    def asc(self) -> Self:
        """Order by commit, the oldest first: `Change.objects.asc()`."""
        return self.order_by("id")

    def desc(self) -> Self:
        """Order by commit, the newest first: `Change.objects.desc()[:20]`."""
        return self.order_by("-id")

    def _of_model(self, model: type[Model]) -> Self:
        narrowed = self.all()
        narrowed._model_of_rows = model
        return narrowed

    def _clone(self) -> Self:
        clone: Self = super()._clone()  # type: ignore[misc]
        clone._model_of_rows = self._model_of_rows
        return clone


def _alias(instance: Model) -> str:
    alias: str | None = vars(instance._state).get("db")  # asked by its name, one kept from the past refuses
    return alias or router.db_for_read(type(instance))
