"""Instances that were read in the past and are kept: elsewhere they would lead into another time."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from django.db.models import Model
from django.db.models.base import ModelState
from django.db.models.signals import post_init, pre_save

from bemi_orm.exceptions import PastInstanceError
from bemi_orm.timetravel.journeys import is_past, running_journey

if TYPE_CHECKING:
    from bemi_orm.history.moments import Bound

_CACHED_BY_DJANGO: Final = frozenset({"django_content_type", "django_site"})
"""Tables whose rows Django keeps for all times once it has read one, in the past too."""


class PastState(ModelState):
    """The `_state` of an instance that was made inside a journey; its copies and pickles have it as well.

    That it was read there, and is not only new, shows when `adding` ends, as nothing is saved in the past.
    """

    bound: Bound | None = None
    """Where it was read; None for an instance that is new, or was saved after the journey."""

    @property
    def adding(self) -> bool:
        """Whether the instance is to be inserted, as Django defines it."""
        return bool(self.__dict__.get("adding", True))

    @adding.setter
    def adding(self, adding: bool) -> None:
        journey = running_journey.get()
        self.__dict__["adding"] = adding
        self.__dict__["bound"] = None if adding or journey is None else journey.bound

    @property
    def db(self) -> str | None:
        """Give the alias. What Django asks it for is a query, by generic relations without a router.

        Raises PastInstanceError outside of the moment.
        """
        if _is_elsewhere(self):
            raise PastInstanceError("An instance")
        return self.__dict__.get("db")

    @db.setter
    def db(self, alias: str | None) -> None:
        self.__dict__["db"] = alias


@lru_cache(maxsize=1)
def watch_instances() -> None:
    """Tell instances of the past from now on; a project that never travels pays nothing."""
    post_init.connect(_mark, dispatch_uid="bemi_orm.timetravel")
    pre_save.connect(_refuse_save, dispatch_uid="bemi_orm.timetravel")


def refuse_kept(instance: Any) -> None:
    """Raise PastInstanceError for an instance of another time than the one that this thread or task is in."""
    state = getattr(instance, "_state", None)
    if isinstance(state, PastState) and _is_elsewhere(state):
        raise PastInstanceError(f"A {type(instance).__name__}")


def _is_elsewhere(state: PastState) -> bool:
    journey = running_journey.get()
    return state.bound is not None and (journey is None or journey.bound != state.bound)


def _mark(sender: type[Model], instance: Model, **kwargs: object) -> None:
    if is_past(sender) and sender._meta.db_table not in _CACHED_BY_DJANGO:
        instance._state.__class__ = PastState


def _refuse_save(sender: type[Model], instance: Model, **kwargs: object) -> None:
    """Where `using` is given, no router is asked."""
    refuse_kept(instance)
