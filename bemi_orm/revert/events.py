"""From stored changes to what happened to rows, under the names that tables and columns have now."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from django.db.models import Model

from bemi_orm.choices import Operation
from bemi_orm.history.moments import Bound
from bemi_orm.history.states import AliveAt, find_shared_keys
from bemi_orm.history.tracked import model_of_table, split_table
from bemi_orm.revert.folding import RowEvent
from bemi_orm.revert.steps import Image, TableName
from bemi_orm.values.renames import with_current_names

if TYPE_CHECKING:
    from bemi_orm.models import Change


def events_of(changes: Iterable[Change]) -> Iterator[RowEvent]:
    """Give what changes, in commit order, did to rows."""
    for change in changes:
        table, model = _table_now(change)
        if change.operation == Operation.SNAPSHOT:
            continue  # tells what there was already; nothing happened
        if change.operation == Operation.TRUNCATE:
            yield from _emptied(change, table, model)
            continue
        before = None if change.operation == Operation.CREATE else _image_now(model, change.before)
        after = None if change.operation == Operation.DELETE else _image_now(model, change.after)
        key = change.primary_key
        yield RowEvent(
            change=change.pk,
            position=change.position,
            table=table,
            key_before=None if before is None else change.previous_primary_key or key,
            key_after=None if after is None else key,
            before=before,
            after=after,
        )


def _table_now(change: Change) -> tuple[TableName, type[Model] | None]:
    """Give the table that the change is about by the name it has now, see `BEMI_RENAMED`."""
    model = model_of_table(change.schema, change.table)
    name = split_table(model._meta.db_table)[1] if model else change.table
    return TableName(change.schema, name), model


def _image_now(model: type[Model] | None, image: Image) -> Image:
    return with_current_names(model, image) if model else image


def _emptied(truncate: Change, table: TableName, model: type[Model] | None) -> Iterator[RowEvent]:
    """A TRUNCATE is a delete of every row that was there; the changes before it know them."""
    from bemi_orm.models import Change

    alive = AliveAt(Bound(truncate.position, truncate.ordinal - 1), None, find_shared_keys())
    changes = Change.objects.for_table(truncate.table, truncate.schema, truncate.database)
    for last in changes.filter(alive):
        image = _image_now(model, last.after)
        yield RowEvent(truncate.pk, truncate.position, table, last.primary_key, None, image, None)
