"""Audit trail and time machine for Django on PostgreSQL.

Importing this package loads neither models nor capture code: names resolve when they are used (PEP 562).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bemi_orm.history.moments import After, Before
    from bemi_orm.mixins import BemiMixin
    from bemi_orm.models import Change
    from bemi_orm.routers import BemiDatabaseRouter
    from bemi_orm.timetravel.travel import time_travel
    from bemi_orm.transport.middleware import BemiMiddleware
    from bemi_orm.transport.scope import bemi_context, context, current_context
    from bemi_orm.transport.wrapper import emit_context

__version__ = "0.1.0"

_HOMES = {
    "After": "bemi_orm.history.moments",
    "Before": "bemi_orm.history.moments",
    "BemiDatabaseRouter": "bemi_orm.routers",
    "BemiMiddleware": "bemi_orm.transport.middleware",
    "BemiMixin": "bemi_orm.mixins",
    "Change": "bemi_orm.models",
    "bemi_context": "bemi_orm.transport.scope",
    "context": "bemi_orm.transport.scope",
    "current_context": "bemi_orm.transport.scope",
    "emit_context": "bemi_orm.transport.wrapper",
    "time_travel": "bemi_orm.timetravel.travel",
}

__all__ = [
    "After",
    "Before",
    "BemiDatabaseRouter",
    "BemiMiddleware",
    "BemiMixin",
    "Change",
    "bemi_context",
    "context",
    "current_context",
    "emit_context",
    "time_travel",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
