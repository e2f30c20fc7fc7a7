"""Who may see and revert which changes, for the REST API and the admin; `BEMI_ACCESS` names a subclass."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.utils.module_loading import import_string

from bemi_orm.conf import settings
from bemi_orm.exceptions import ConfigurationError
from bemi_orm.masking import MASKED, Masks

if TYPE_CHECKING:
    from uuid import UUID

    from django.db.models import Model

    from bemi_orm.history.moments import Bound
    from bemi_orm.models import Change
    from bemi_orm.querysets import ChangeQuerySet

__all__ = ["MASKED", "Access", "Masks", "access", "sources_of_state"]


class Access:
    """The rules of a project; closed unless a permission opens them. One instance serves one question."""

    def may_view(self, user: Any) -> bool:
        """Whether the user may read changes: active staff with `bemi_orm.view_change`; None may not."""
        return bool(user and user.is_active and user.is_staff and user.has_perm("bemi_orm.view_change"))

    def may_revert(self, user: Any) -> bool:
        """Whether the user may undo changes that they see: `may_view` and `bemi_orm.revert_change`."""
        return self.may_view(user) and user.has_perm("bemi_orm.revert_change")

    def scope(self, user: Any, changes: ChangeQuerySet[Change]) -> ChangeQuerySet[Change]:
        """Narrow the changes to those that the user may see; all by default.

        Example: `changes.exclude(table="salary")`; by row, before a change or after it:
        `changes.before({"team_id": 7}) | changes.after({"team_id": 7})`.
        Every list, count, facet, export and plan goes through it.
        """
        return changes

    def masked(self, user: Any) -> Masks:
        """Give what the user sees masked: `BEMI_MASKED`, or nothing with `bemi_orm.view_masked`."""
        if user and user.is_active and user.has_perm("bemi_orm.view_masked"):
            return Masks()
        return Masks.from_setting(settings.MASKED)


def access() -> Access:
    """Give the rules that `BEMI_ACCESS` names; raises ConfigurationError where it names no `Access`."""
    try:
        found = import_string(settings.ACCESS)
    except ImportError as error:
        raise ConfigurationError(f"BEMI_ACCESS {settings.ACCESS!r} cannot be imported: {error}") from error
    if not (isinstance(found, type) and issubclass(found, Access)):
        raise ConfigurationError(f"BEMI_ACCESS {settings.ACCESS!r} is no subclass of bemi_orm.access.Access.")
    return found()


def sources_of_state(instance: Model, bound: Bound) -> set[UUID]:
    """Give the ids of the changes that tell an object's state at a place in their order.

    One for each of its tables, those of parent models included; a scope that hides one hides the state.
    """
    from bemi_orm.history.rowstates import state_of_row
    from bemi_orm.models import Change

    parts = (type(instance), *instance._meta.get_parent_list())
    rows = (Change.objects.for_row(instance, part) for part in parts)
    states = (state_of_row(row, Change.objects.none(), bound) for row in rows)
    return {state.change.pk for state in states if state.change is not None}
