"""The trail in Django's admin: `ChangeAdmin` shows it all, `BemiHistoryAdminMixin` a row's own part of it."""

from bemi_orm.admin.changes import ChangeAdmin
from bemi_orm.admin.history import BemiHistoryAdminMixin

__all__ = ["BemiHistoryAdminMixin", "ChangeAdmin"]
