"""The Django app: it hooks the context into every connection, and new tables into the publication."""

from __future__ import annotations

import logging

from django.apps import AppConfig
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connections
from django.db.backends.signals import connection_created
from django.db.models.signals import post_migrate
from django.utils.translation import gettext_lazy as _

from bemi_orm.exceptions import BemiError

logger = logging.getLogger(__name__)


class BemiConfig(AppConfig):
    """Configuration of the app `bemi_orm`."""

    name = "bemi_orm"
    verbose_name = _("Bemi audit trail")

    def ready(self) -> None:
        """Send contexts on every PostgreSQL connection from now on; register the checks."""
        from bemi_orm import accesschecks, checks  # noqa: F401  they register themselves
        from bemi_orm.timetravel.guard import install_wrapper
        from bemi_orm.transport.outside import install_outside_requests

        connection_created.connect(install_wrapper, dispatch_uid="bemi_orm")
        post_migrate.connect(publish_new_tables, sender=self, dispatch_uid="bemi_orm")
        install_outside_requests()


def publish_new_tables(using: str, verbosity: int, **kwargs: object) -> None:
    """Run `bemi setup` again after migrations, where it has run before: tables they made would be missed.

    Only warns when that fails, as a migration must not depend on it.
    """
    import psycopg2

    try:
        if _is_set_up(using):
            call_command("bemi", "setup", verbosity=max(0, verbosity - 1))
    except (CommandError, BemiError, psycopg2.Error, DatabaseError) as error:
        logger.warning("New tables are not captured until `manage.py bemi setup` succeeds: %s", error)


def _is_set_up(alias: str) -> bool:
    from bemi_orm.conf import settings
    from bemi_orm.operations import has_publication

    return alias == settings.SOURCE_DATABASE and has_publication(connections[alias])
