"""Hooks contexts into what runs outside of requests, as far as it is installed."""

from __future__ import annotations

from importlib.util import find_spec

from bemi_orm.transport import commands


def install_outside_requests() -> None:
    """Hook into management commands, Celery and `django.tasks`; calling it again changes nothing."""
    commands.install()
    if find_spec("celery"):
        from bemi_orm.transport import celery

        celery.install()
    if find_spec("django.tasks"):
        from bemi_orm.transport import tasks

        tasks.install()
