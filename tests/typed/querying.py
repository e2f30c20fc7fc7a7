"""The types of what `Change.objects` and `BemiMixin` give."""

from datetime import datetime
from typing import assert_type

from django.db import models

from bemi_orm import Change
from bemi_orm.demo.site.models import Todo
from bemi_orm.diffing import FieldChange
from bemi_orm.history.blame import Blame
from bemi_orm.querysets import ChangeQuerySet
from bemi_orm.values.readable import ReadableChange


def narrow(todo: Todo, change: Change, moment: datetime) -> None:
    assert_type(Change.objects.for_instance(todo, m2m=True, related=True), ChangeQuerySet[Change])
    assert_type(Change.objects.for_model(Todo).by_user(7).as_of(moment), ChangeQuerySet[Change])
    assert_type(Change.objects.filter(context__user_id=7).effective(), ChangeQuerySet[Change])
    assert_type(Change.objects.all().in_transaction(change).desc(), ChangeQuerySet[Change])
    assert_type(Change.objects.changed("task").between(moment, moment)[:5], ChangeQuerySet[Change])
    assert_type(todo.bemi_history("task").updated(), ChangeQuerySet[Change])
    assert_type(Todo.bemi.deleted(), ChangeQuerySet[Change])


def read(todo: Todo, change: Change, moment: datetime) -> None:
    assert_type(Change.objects.for_model(Todo).first(), Change | None)
    assert_type(list(Change.objects.desc()), list[Change])
    assert_type(Change.objects.for_model(Todo).instances(), list[models.Model])
    assert_type(change.instance, models.Model | None)
    assert_type(change.diff(), tuple[FieldChange, ...])
    assert_type(change.readable_diff(), tuple[ReadableChange, ...])
    assert_type(todo.bemi_as_of(moment), Todo | None)
    assert_type(todo.bemi_diff(moment, change), tuple[FieldChange, ...])
    assert_type(todo.bemi_blame(), tuple[Blame, ...])


async def read_in_async_code(todo: Todo, moment: datetime) -> None:
    assert_type(await Change.objects.aas_of(moment), ChangeQuerySet[Change])
    assert_type(await todo.bemi_aas_of(moment), Todo | None)
    assert_type(await todo.bemi_ablame(), tuple[Blame, ...])
    assert_type([change async for change in todo.bemi_history()], list[Change])
