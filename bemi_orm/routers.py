"""The database router that sends the models of bemi_orm to the alias of `BEMI_DATABASE`."""

from __future__ import annotations

from typing import Any, Final

from django.db.models import Model

from bemi_orm.conf import settings

APP_LABEL: Final = "bemi_orm"


class BemiDatabaseRouter:
    """Answers for the models of bemi_orm, and has no opinion on any other."""

    def db_for_read(self, model: type[Model], **hints: Any) -> str | None:
        """Give the alias of `BEMI_DATABASE` for a model of bemi_orm, else None."""
        return settings.DATABASE if model._meta.app_label == APP_LABEL else None

    def db_for_write(self, model: type[Model], **hints: Any) -> str | None:
        """Give the same as `db_for_read`."""
        return self.db_for_read(model, **hints)

    def allow_relation(self, obj1: Model, obj2: Model, **hints: Any) -> bool | None:
        """Give None: no model of bemi_orm has a relation."""
        return None

    def allow_migrate(
        self, db: str, app_label: str, model_name: str | None = None, **hints: Any
    ) -> bool | None:
        """Give True for bemi_orm on the alias of `BEMI_DATABASE`, False for it on others, else None."""
        return db == settings.DATABASE if app_label == APP_LABEL else None
