"""The Django app: it hooks the context into every connection, and new tables into the publication."""

from __future__ import annotations

import logging

from django.apps import AppConfig
from django.core.management import CommandError, call_command
from django.db import connections
from django.db.backends.signals import connection_created
from django.db.models.signals import post_migrate

logger = logging.getLogger(__name__)


class BemiConfig(AppConfig):
    """Configuration of the app `bemi_orm`."""

    name = "bemi_orm"
    verbose_name = "Bemi audit trail"

    def ready(self) -> None:
        """Send contexts on every PostgreSQL connection from now on; register the checks."""
        from bemi_orm import checks  # noqa: F401  registers them
        from bemi_orm.transport.wrapper import install_on_connection

        connection_created.connect(install_on_connection, dispatch_uid="bemi_orm")
        post_migrate.connect(publish_new_tables, sender=self, dispatch_uid="bemi_orm")


def publish_new_tables(using: str, verbosity: int, **kwargs: object) -> None:
    """Run `bemi setup` again after migrations, where it has run before: tables they made would be missed.

    Only warns when that fails, as a migration must not depend on it.
    """
    if not _is_set_up(using):
        return
    try:
        call_command("bemi", "setup", verbosity=max(0, verbosity - 1))
    except CommandError as error:
        logger.warning("New tables are not captured until `manage.py bemi setup` succeeds: %s", error)


def _is_set_up(alias: str) -> bool:
    from bemi_orm.conf import settings

    if alias != settings.SOURCE_DATABASE or connections[alias].vendor != "postgresql":
        return False
    with connections[alias].cursor() as cursor:
        cursor.execute("SELECT FROM pg_catalog.pg_publication WHERE pubname = %s", [settings.PUBLICATION])
        return cursor.fetchone() is not None
