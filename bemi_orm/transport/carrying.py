"""A context on its way to another process, as text in a message that starts a task there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from bemi_orm.conf import settings
from bemi_orm.transport.counters import MESSAGE_FAILED, count_error
from bemi_orm.transport.encoding import encode
from bemi_orm.transport.scope import Scope, current_context, running_scope
from bemi_orm.transport.tracing import tracing_ids


def pack_context() -> str | None:
    """Give the running context as a JSON object, None if it is empty; never raises.

    In a request this asks `BEMI_CONTEXT_FUNCTION`, as a write would: whoever gets the text cannot ask later.
    """
    try:
        context = current_context()
        return encode(context, settings.CONTEXT_MAX_BYTES) if context else None
    except Exception as error:
        count_error(MESSAGE_FAILED, error)
        return None


class CarriedContext:
    """The source of a scope whose keys came from another process; ids of the span that runs here win."""

    def __init__(self, text: object) -> None:
        self._data = _unpack(text)

    def __call__(self) -> Mapping[str, Any]:
        """Give the keys."""
        return {**self._data, **tracing_ids()}


def task_scope(carried: object, **keys: Any) -> Scope:
    """Give the scope of a task: what was carried to it, what runs around it if it runs in place, and `keys`.

    carried: what `pack_context` gave, None where the task runs in the process of its caller.
    """
    running = running_scope()
    data = {**running.data, **keys} if running else keys
    source = CarriedContext(carried) if carried is not None else running.source if running else None
    return Scope(data, source, outer=running)


def _unpack(text: object) -> dict[str, Any]:
    """A text of somebody else's costs its keys, never the task."""
    try:
        data = json.loads(text) if isinstance(text, str | bytes) else None
    except ValueError as error:
        count_error(MESSAGE_FAILED, error)
        return {}
    return data if isinstance(data, dict) else {}
