"""Keeps the views of the past up: a part of `bemi setup`, and so of every migration after it."""

from __future__ import annotations

from collections.abc import Callable

from bemi_orm.exceptions import SetupError
from bemi_orm.replication.tracking import Tracking
from bemi_orm.timetravel.setup import plan_views

Report = Callable[[str], object]


def set_up_views(tracking: Tracking, *, dry_run: bool, report: Report, warn: Report) -> bool:
    """Make the views that `time_travel()` reads, and say whether any was missing or out of date.

    A role that may not make them is warned: capture does not need them.
    """
    plan = plan_views(tracking.matches)
    if plan.is_needed and not dry_run:
        try:
            plan.apply()
        except SetupError as error:
            warn(str(error))
            return False
    if plan.is_needed:
        done = "" if dry_run else ": done"
        report(f"  make the views of the past of {plan.count} tables (schema bemi_time_travel){done}")
    return plan.is_needed
