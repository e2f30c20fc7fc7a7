"""The Django app: it hooks the context into every connection and registers the system checks."""

from __future__ import annotations

from django.apps import AppConfig
from django.db.backends.signals import connection_created


class BemiConfig(AppConfig):
    """Configuration of the app `bemi_orm`."""

    name = "bemi_orm"
    verbose_name = "Bemi audit trail"

    def ready(self) -> None:
        """Send contexts on every PostgreSQL connection from now on; register the checks."""
        from bemi_orm import checks  # noqa: F401  registers them
        from bemi_orm.transport.wrapper import install_on_connection

        connection_created.connect(install_on_connection, dispatch_uid="bemi_orm")
