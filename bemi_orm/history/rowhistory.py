"""Which changes are of one row: those of its key since the row took it, and of its former keys before.

A key that another row had before, or has taken over since, is told apart by the UPDATEs that moved a row from
key to key. Where two rows hold a deferrable key for a while inside one transaction, images tell them apart.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import BooleanField, Expression, Model, Q, QuerySet
from django.db.models.sql.compiler import SQLCompiler

from bemi_orm.choices import Operation
from bemi_orm.history.keys import RowKey
from bemi_orm.history.realkeys import confirmed, real_key

if TYPE_CHECKING:
    from bemi_orm.models import Change


@dataclass(frozen=True, eq=False)
class Holder:
    """The instance that has the key, the model whose table it is, and the alias of its rows."""

    instance: Model
    model: type[Model]
    alias: str


class IsOfRow(Expression):
    """Whether a change is of the row that holds a key now, to be used in filter().

    The moves are looked up when the query runs: one query more, three for each move of the row, and one for
    the key of the table where that is not known (`bemi_orm.history.realkeys`). To build a queryset asks
    nothing, and an asynchronous one looks them up where it runs.
    holder: who has the key by its model, which may not be the one that the table has. Without it, the key is
        that of the table.
    """

    output_field = BooleanField()

    def __init__(self, table: Q, key: RowKey, holder: Holder | None = None) -> None:
        super().__init__()
        self.table, self.key, self.holder = table, key, holder

    def as_sql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **context: Any) -> Any:
        """Give the condition for the keys that the row has had; TimeTravelError where none tells it."""
        from bemi_orm.models import Change

        changes = Change._base_manager.using(connection.alias).filter(self.table)
        condition = reduce(or_, _stretches(changes, self.key, self.holder))
        return compiler.compile(cast(Any, condition.resolve_expression(compiler.query, allow_joins=False)))


def key_is(key: RowKey) -> Q:
    """Give the condition on the key's columns; each form is served by a partial index of its own."""
    if key.number is None:
        return Q(primary_key=key.text, primary_key_int__isnull=True)
    return Q(primary_key_int=key.number)


def _stretches(changes: QuerySet[Change], named: RowKey, holder: Holder | None) -> Iterator[Q]:
    """Walk back from now; give the condition for each time that the row had one key."""
    key: RowKey | None = named
    if holder is not None:
        key = confirmed(named, holder.instance, holder.model, real_key(holder.model, holder.alias))
    position = None if key is None else _moves(changes, key).first()
    until = Q()
    while key is not None and position is not None:
        yield key_is(key) & until & Q(position__gt=position)
        crossing = _cross(changes.filter(position=position), key)
        yield Q(id__in=crossing.ids)
        key, until = crossing.key, Q(position__lt=position)
        position = None if key is None else _moves(changes.filter(until), key).first()
    yield Q(pk__in=()) if key is None else key_is(key) & until


def _moves(changes: QuerySet[Change], key: RowKey) -> QuerySet[Change, int]:
    """Give the position of the last transaction that moved a row from or to the key."""
    moves = changes.filter(_touches(key), previous_primary_key__isnull=False)
    return moves.order_by("-id").values_list("position", flat=True)[:1]


@dataclass(slots=True)
class _Crossing:
    """A row's way back through one transaction: its changes there, and its key before, if it had one."""

    ids: list[UUID] = field(default_factory=list)
    key: RowKey | None = None


def _cross(transaction: QuerySet[Change], key: RowKey) -> _Crossing:
    """Follow the row that holds the key at the transaction's end back to its start."""
    crossing = _Crossing()
    tenant = _tenancies(transaction.filter(_touches(key)), key).current
    while tenant is not None:
        crossing.ids += tenant.ids
        move = tenant.arrival
        if move is None:
            crossing.key = key if tenant.was_before else None
            return crossing
        key = _former_key(move, key)
        until_move = transaction.filter(_touches(key), id__lte=move.id)
        tenant = _tenancies(until_move, key).left[move.id]
    return crossing


@dataclass(slots=True)
class _Tenant:
    """A row while it holds a key; the image is its last one, or None if that is not known."""

    image: dict[str, Any] | None = None
    arrival: Change | None = None
    was_before: bool = False
    ids: list[UUID] = field(default_factory=list)


@dataclass(slots=True)
class _Tenancies:
    """Who holds a key after some changes, and who left it at which."""

    here: list[_Tenant] = field(default_factory=lambda: [_Tenant(was_before=True)])
    left: dict[UUID, _Tenant] = field(default_factory=dict)

    @property
    def current(self) -> _Tenant | None:
        """The one that came last; a constraint lets no other be there when the transaction ends."""
        return self.here[-1] if self.here else None

    def come(self, change: Change) -> None:
        """Let a row hold the key."""
        is_move = change.previous_primary_key is not None
        self.here.append(_Tenant(change.after, arrival=change if is_move else None, ids=[change.id]))

    def stay(self, change: Change) -> None:
        """Note an update of the row whose image this was; else of the one that came last."""
        if tenant := self._with_image(change) or self.current:
            tenant.image = change.after
            tenant.ids.append(change.id)

    def leave(self, change: Change) -> _Tenant:
        """Take away the row whose image this was; else the one that was there before the transaction."""
        tenant = self._with_image(change) or (self.here[0] if self.here else _Tenant(was_before=True))
        self.here = [other for other in self.here if other is not tenant]
        self.left[change.id] = tenant
        return tenant

    def _with_image(self, change: Change) -> _Tenant | None:
        return next((tenant for tenant in reversed(self.here) if tenant.image == change.before), None)


def _tenancies(changes: QuerySet[Change], key: RowKey) -> _Tenancies:
    result = _Tenancies()
    for change in changes.order_by("id"):
        if change.previous_primary_key == key.text:
            result.leave(change)
        elif change.operation == Operation.DELETE:
            result.leave(change).ids.append(change.id)
        elif change.operation == Operation.UPDATE and change.previous_primary_key is None:
            result.stay(change)
        else:
            result.come(change)
    return result


def _touches(key: RowKey) -> Q:
    return key_is(key) | Q(previous_primary_key=key.text)


def _former_key(move: Change, key: RowKey) -> RowKey:
    text = str(move.previous_primary_key)
    return RowKey(text, None if key.number is None else int(text))
