"""Hooks contexts into what runs outside of requests, as far as it is installed."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec

from bemi_orm.transport.commands import start_command_scope


def install_outside_requests(argv: Sequence[str]) -> None:
    """Start the command's scope, and hook into Celery and `django.tasks`.

    argv: `sys.argv`.
    """
    if find_spec("celery"):
        from bemi_orm.transport import celery

        celery.install()
    if find_spec("django.tasks"):
        from bemi_orm.transport import tasks

        tasks.install()
    start_command_scope(argv)
