"""Copies and pickles of historic instances: what refers back to an instance must refer to its copy there."""

from __future__ import annotations

import copyreg
from collections.abc import Callable
from functools import partial
from pickle import HIGHEST_PROTOCOL
from typing import Any

from django.db.models import Model

from bemi_orm.values.historic import EXTRA, Itself
from bemi_orm.values.pastrelations import PastRelations


def bind_copies(model: type[Model]) -> None:
    """Bind the parts of historic instances of the model in their copies and pickles too.

    A class that says itself how it is copied is left to that. Python manual: "copyreg".
    """
    if model not in copyreg.dispatch_table and _is_reduced_by_django(model):
        copyreg.pickle(model, _reduce)


def _is_reduced_by_django(model: type[Model]) -> bool:
    return model.__reduce__ is Model.__reduce__ and model.__reduce_ex__ is Model.__reduce_ex__


def _reduce(instance: Model) -> Any:
    """Do as Django does; the `Itself` of the copy is made before its state, and the state holds that one."""
    reduced: Any = instance.__reduce_ex__(HIGHEST_PROTOCOL)
    make, arguments, state = reduced
    if EXTRA not in state:
        return reduced
    itself = Itself()
    state["refresh_from_db"] = partial(state["refresh_from_db"].func, itself)
    relations = state["_state"].fields_cache
    if isinstance(relations, PastRelations):
        relations.itself = itself
    return _make, (itself, make, arguments), state


def _make(itself: Itself, make: Callable[..., Model], arguments: tuple[Any, ...]) -> Model:
    itself.instance = instance = make(*arguments)
    bind_copies(type(instance))  # a pickle may come from another process
    return instance
