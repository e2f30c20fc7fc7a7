"""Celery: the caller's context travels in the message's headers to the task, and on to its children.

A task also has the keys `task_name` and `task_id`. Retries, chains, groups and chords are published by the
task before them, in its scope, and so carry on. In eager mode a task runs in the scope of its caller.
"""

from __future__ import annotations

from typing import Any, Final

from celery import signals

from bemi_orm.transport.carrying import pack_context, task_scope
from bemi_orm.transport.scope import ResumedScope

HEADER: Final = "bemi_context"
"""The message header that holds the context as JSON text, whatever serializer the project uses."""

_PLACE: Final = "_bemi_place"


def install() -> None:
    """Carry contexts from now on; calling it again changes nothing."""
    receivers = {
        signals.before_task_publish: _attach,
        signals.task_prerun: _enter,
        signals.task_postrun: _leave,
    }
    for signal, receiver in receivers.items():
        signal.connect(receiver, weak=False, dispatch_uid=f"bemi_orm.{receiver.__name__}")


def _attach(headers: dict[str, Any] | None = None, **kwargs: object) -> None:
    text = pack_context()
    if headers is not None and text is not None:
        headers[HEADER] = text


def _enter(task_id: str, task: Any, **kwargs: object) -> None:
    request = task.request  # of this run: a task that runs inside of another, eagerly, has its own
    place = ResumedScope(task_scope(request.get(HEADER), task_name=task.name, task_id=task_id))
    place.__enter__()
    setattr(request, _PLACE, place)


def _leave(task: Any, **kwargs: object) -> None:
    place = task.request.__dict__.pop(_PLACE, None)
    if place is not None:
        place.__exit__()
