"""The names of the package bemi-django, for a project that moves from it step by step.

`from bemi import X`, `from bemi.models import X` and so on become `from bemi_orm.compat import X`. What
differs is that `BemiChange.diff()` gives a tuple of `FieldChange`, not a dict.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import Token
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, cast

from django.db.models import Model

from bemi_orm.mixins import BemiMixin
from bemi_orm.routers import BemiDatabaseRouter
from bemi_orm.transport.middleware import BemiMiddleware
from bemi_orm.transport.request import call_context_function as get_bemi_context
from bemi_orm.transport.scope import (
    Scope,
    current_context,
    replace_context,
    restore_scope,
    running_scope,
)

if TYPE_CHECKING:
    from bemi_orm.models import Change as BemiChange
    from bemi_orm.models import ChangeManager as BemiChangeManager
    from bemi_orm.querysets import ChangeQuerySet

__all__ = [
    "BemiChange",
    "BemiChangeManager",
    "BemiDatabaseRouter",
    "BemiMiddleware",
    "BemiRecordMixin",
    "bemi_context_var",
    "get_bemi_context",
]

_LAZY: Final = {"BemiChange": "Change", "BemiChangeManager": "ChangeManager"}
_MISSING: Final = object()


class BemiRecordMixin(BemiMixin):
    """`BemiMixin` under its former name."""

    def bemi_changes(self, field_name: str | None = None) -> ChangeQuerySet[BemiChange]:
        """Give the changes of this row, the oldest first; see `BemiMixin.bemi_history`.

        field_name: only those that changed this field; the name of its column does as well, as it did.
        Raises FieldError for a name that is neither.
        """
        fields = cast(Model, self)._meta.concrete_fields
        by_column = {field.column: field.name for field in fields}
        return self.bemi_history(by_column.get(field_name, field_name) if field_name else None)


class ContextVariable:
    """Stands for the `ContextVar` that held the context: its three methods, over the running scope."""

    name: Final = "bemi_context"

    def get(self, default: Any = _MISSING, /) -> Any:
        """Give a copy of the context that a write would carry now.

        Outside of any scope: the default. Raises LookupError if there is none.
        """
        if running_scope() is None:
            if default is _MISSING:
                raise LookupError(self.name)
            return default
        return current_context()

    def set(self, value: Mapping[str, Any] | None, /) -> Token[Scope | None]:
        """Replace the context, that of the request included; returns what `reset` takes."""
        return replace_context(value or {})

    def reset(self, token: Token[Scope | None], /) -> None:
        """Go back to what was there before `set`."""
        restore_scope(token)


bemi_context_var: Final = ContextVariable()


def __getattr__(name: str) -> Any:
    """Load models when they are asked for: a mixin is imported before them."""
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("bemi_orm.models"), _LAZY[name])
