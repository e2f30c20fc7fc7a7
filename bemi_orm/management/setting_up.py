"""`manage.py bemi setup`: the tracked database, then the checkpoint, then the views of the past."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing

from bemi_orm.conf import settings
from bemi_orm.exceptions import ConfigurationError
from bemi_orm.management.capture import open_source, open_writer, read_tracking
from bemi_orm.management.past import set_up_views
from bemi_orm.management.standing import Standing
from bemi_orm.replication.missed import Missed, find_missed
from bemi_orm.replication.setup import SetupOptions, SetupPlan, plan_setup
from bemi_orm.replication.source import ReplicationSource

Report = Callable[[str], object]


def set_up(*, dry_run: bool, accept_gap: bool, report: Report, warn: Report) -> None:
    """Make publication, replica identities, slot and checkpoint; a second time changes nothing.

    dry_run: report the plan only. accept_gap: note a gap between checkpoint and slot, and go on behind it.
    report, warn: take one line each; a step is reported after it was done.
    Raises SetupError, NotMigratedError, GapError, ConfigurationError, or an error of a lost connection.
    """
    with closing(open_source()) as source, closing(open_writer()) as writer:
        standing = Standing(source, writer)
        options = _setup_options(standing.own_schema())
        plan = plan_setup(source.catalog, options)
        missed = Missed() if standing.is_first else find_missed(source.catalog, plan)
        for warning in (*plan.warnings, *missed.warnings()):
            warn(warning)
        steps = [step.description for step in plan.steps] + [*standing.plan(missed, accept_gap=accept_gap)]
        if dry_run:
            for step in steps:
                report(f"  {step}")
        else:
            _apply(source, plan, standing, missed, accept_gap=accept_gap, report=report)
        views = set_up_views(options.tracking, dry_run=dry_run, report=report, warn=warn)
    report(_conclude(is_needed=bool(steps or views), dry_run=dry_run))


def _apply(
    source: ReplicationSource,
    plan: SetupPlan,
    standing: Standing,
    missed: Missed,
    *,
    accept_gap: bool,
    report: Report,
) -> None:
    done: list[str] = []

    def tell(step: str) -> None:
        done.append(step)
        report(f"  {step}: done")

    try:
        plan.apply(source.catalog, lambda step: tell(step.description))
    finally:  # a later call would find the tables published, and not know that they came late
        if done:
            standing.note_missed(missed, tell)
    standing.settle(accept_gap=accept_gap, report=tell)


def _conclude(*, is_needed: bool, dry_run: bool) -> str:
    if dry_run:
        return "Nothing was changed (dry run)." if is_needed else "Nothing to do."
    return "Ready. Next: manage.py bemi worker" if is_needed else "Nothing to do: all is set up."


def _setup_options(own_schema: str | None) -> SetupOptions:
    identity = settings.REPLICA_IDENTITY
    if identity not in ("full", "default"):
        raise ConfigurationError(f"BEMI_REPLICA_IDENTITY is {identity!r}; it must be 'full' or 'default'.")
    return SetupOptions(
        publication=settings.PUBLICATION,
        slot=settings.SLOT,
        tracking=read_tracking(own_schema),
        identity="full" if identity == "full" else "default",
    )
