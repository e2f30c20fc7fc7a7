"""REST API of changes, for Django REST framework: mount `bemi_orm.rest_framework.urls`, or use its parts."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

try:
    import django_filters  # noqa: F401
    import rest_framework  # noqa: F401
except ModuleNotFoundError as error:
    raise ImportError(
        "bemi_orm.rest_framework needs Django REST framework and django-filter: pip install bemi-orm[rest]"
    ) from error

if TYPE_CHECKING:
    from bemi_orm.rest_framework.filters import ChangeFilterSet
    from bemi_orm.rest_framework.history import BemiHistoryViewMixin
    from bemi_orm.rest_framework.pagination import ChangeCursorPagination
    from bemi_orm.rest_framework.permissions import MayRevertChanges, MayViewChanges
    from bemi_orm.rest_framework.serializers import ChangeSerializer
    from bemi_orm.rest_framework.views import ChangeViewSet

_HOMES = {
    "BemiHistoryViewMixin": "history",
    "ChangeCursorPagination": "pagination",
    "ChangeFilterSet": "filters",
    "ChangeSerializer": "serializers",
    "ChangeViewSet": "views",
    "MayRevertChanges": "permissions",
    "MayViewChanges": "permissions",
}

__all__ = [
    "BemiHistoryViewMixin",
    "ChangeCursorPagination",
    "ChangeFilterSet",
    "ChangeSerializer",
    "ChangeViewSet",
    "MayRevertChanges",
    "MayViewChanges",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
