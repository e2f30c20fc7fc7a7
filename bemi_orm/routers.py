"""The database router that sends the models of bemi_orm to the alias of `BEMI_DATABASE`."""

from __future__ import annotations

from typing import Any, Final

from django.db.models import Model

from bemi_orm.conf import settings
from bemi_orm.exceptions import HistoricInstanceError
from bemi_orm.timetravel.journeys import is_past
from bemi_orm.timetravel.kept import refuse_kept
from bemi_orm.values.historic import is_historic

APP_LABEL: Final = "bemi_orm"


class BemiDatabaseRouter:
    """Answers for the models of bemi_orm, and has no opinion on any other."""

    def db_for_read(self, model: type[Model], **hints: Any) -> str | None:
        """Give the alias of `BEMI_DATABASE` for a model of bemi_orm, else None.

        Raises HistoricInstanceError for what a historic instance would read from live tables: its deferred
        fields, and rows that point to it or are linked with it; PastInstanceError for what an instance that
        was read inside `time_travel()` would read elsewhere.
        """
        instance = hints.get("instance")
        if is_historic(instance):
            raise HistoricInstanceError(instance, f"{model.__name__} rows")
        return self.db_for_write(model, **hints)

    def db_for_write(self, model: type[Model], **hints: Any) -> str | None:
        """Give the same; a historic instance may be written.

        Raises PastInstanceError for an instance that was read inside `time_travel()` and is kept, as its
        values would replace newer ones.
        """
        refuse_kept(hints.get("instance"))
        if model._meta.app_label == APP_LABEL or is_past(model):
            return settings.DATABASE
        return None

    def allow_relation(self, obj1: Model, obj2: Model, **hints: Any) -> bool | None:
        """Give None: no model of bemi_orm has a relation."""
        return None

    def allow_migrate(
        self, db: str, app_label: str, model_name: str | None = None, **hints: Any
    ) -> bool | None:
        """Give True for bemi_orm on the alias of `BEMI_DATABASE`, False for it on others, else None."""
        return db == settings.DATABASE if app_label == APP_LABEL else None
