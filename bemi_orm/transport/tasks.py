"""`django.tasks` (Django 6.0 and later): tasks carry their name and id, and their caller's context.

Name and id come with every backend. The caller's context is there by itself where the backend runs a task in
place; a backend whose workers are other processes gets it from `CarriesContext`:

    class Backend(CarriesContext, DatabaseBackend): ...

and the dotted path of that class in `TASKS`.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any, Final

from django.tasks import Task
from django.tasks.signals import task_finished, task_started

from bemi_orm.transport.carrying import pack_context, task_scope
from bemi_orm.transport.scope import ResumedScope

KEYWORD: Final = "_bemi_context"
"""The keyword argument that holds the context as JSON text between caller and worker."""

_places: ContextVar[tuple[ResumedScope, ...]] = ContextVar("bemi_orm_task_places", default=())


def install() -> None:
    """Give tasks their scopes from now on; calling it again changes nothing."""
    task_started.connect(_enter, dispatch_uid="bemi_orm")
    task_finished.connect(_leave, dispatch_uid="bemi_orm")


class CarryingTask(Task):  # type: ignore[type-arg]  # generic in the stubs only
    """A task that runs its function in the context of its caller, and without the keyword that brought it."""

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """Run the function."""
        with ResumedScope(task_scope(kwargs.pop(KEYWORD, None))):
            return super().call(*args, **kwargs)

    async def acall(self, *args: Any, **kwargs: Any) -> Any:
        """Run the function."""
        with ResumedScope(task_scope(kwargs.pop(KEYWORD, None))):
            return await super().acall(*args, **kwargs)


class CarriesContext:
    """For a backend class, before the one that it extends: takes the caller's context along."""

    task_class = CarryingTask

    def enqueue(self, task: Any, args: Any, kwargs: Any) -> Any:
        """Queue the task with the running context."""
        text = pack_context()
        carried = kwargs if text is None else {**kwargs, KEYWORD: text}
        return super().enqueue(task, args, carried)  # type: ignore[misc]


def _enter(task_result: Any, **kwargs: object) -> None:
    place = ResumedScope(task_scope(None, task_name=task_result.task.module_path, task_id=task_result.id))
    place.__enter__()
    _places.set((*_places.get(), place))


def _leave(**kwargs: object) -> None:
    *outer, place = _places.get() or (None,)
    if place is not None:
        _places.set(tuple(outer))
        place.__exit__()
