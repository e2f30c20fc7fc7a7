"""Aware times, whatever `USE_TZ` says."""

from __future__ import annotations

from datetime import datetime

from django.utils.timezone import is_naive, localtime, make_aware, now


def aware(time: datetime) -> datetime:
    """Give a stored time as an aware one; with `USE_TZ = False` it is local."""
    return make_aware(time) if is_naive(time) else time


def local_now() -> datetime:
    """Give now in the current time zone, aware with `USE_TZ = False` too."""
    return localtime(aware(now()))
