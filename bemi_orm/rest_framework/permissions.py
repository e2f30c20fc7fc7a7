"""Who may call: what `BEMI_ACCESS` says. And how often: throttle scopes."""

from __future__ import annotations

from typing import Any, cast

from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.settings import api_settings
from rest_framework.throttling import BaseThrottle, ScopedRateThrottle
from rest_framework.views import APIView

from bemi_orm.access import access


class MayViewChanges(BasePermission):
    """Those whom `Access.may_view` lets read changes: staff with `bemi_orm.view_change`."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Ask the project's rules."""
        return access().may_view(request.user)


class MayRevertChanges(BasePermission):
    """Those whom `Access.may_revert` lets undo changes: with `bemi_orm.revert_change` as well."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Ask the project's rules."""
        return access().may_revert(request.user)


class ChangeThrottle(ScopedRateThrottle):
    """Limits `bemi_changes`, `bemi_export`, `bemi_revert`, where DEFAULT_THROTTLE_RATES names them."""

    def get_rate(self) -> str | None:
        """Give the rate of the scope; None, which is no limit, where the project sets none."""
        rates: dict[str | None, str] = cast(Any, api_settings.DEFAULT_THROTTLE_RATES) or {}
        return rates.get(self.scope)


def throttles() -> list[type[BaseThrottle]]:
    """Give the project's throttles; its scoped one would insist on a rate for each of our scopes."""
    classes: list[type[BaseThrottle]] = cast(Any, api_settings.DEFAULT_THROTTLE_CLASSES)
    return [*(throttle for throttle in classes if throttle is not ScopedRateThrottle), ChangeThrottle]
