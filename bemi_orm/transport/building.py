"""Keeps queries that a context needs (its user, say) from harming the transaction in which it is built.

An error inside a PostgreSQL transaction aborts all of it, even if it is caught. So the first query of a
context function on a connection in a transaction is put behind a savepoint; without a query there is none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final

from django.db.backends.base.base import BaseDatabaseWrapper

FAILED_TRANSACTION_STATUS: Final = 3  # PQTRANS_INERROR, the same number in both drivers

Savepoints = dict[BaseDatabaseWrapper, Any]

_savepoints: ContextVar[Savepoints | None] = ContextVar("bemi_orm_building", default=None)


savepoints_of_building: Final[Callable[[], Savepoints | None]] = _savepoints.get
"""Gives the savepoints set for the context that is being built now, None if there is no such."""


def is_building() -> bool:
    """Tell whether a context is being built, so that what is written meanwhile carries none."""
    return savepoints_of_building() is not None


@contextmanager
def building() -> Iterator[None]:
    """Run code of the project (a context function, `__str__`) so that its queries do no harm."""
    if is_building():
        yield
        return
    savepoints: Savepoints = {}
    token = _savepoints.set(savepoints)
    try:
        yield
    finally:
        for connection, savepoint_id in savepoints.items():
            _end_savepoint(connection, savepoint_id)
        _savepoints.reset(token)


def protect(connection: BaseDatabaseWrapper) -> None:
    """Set a savepoint before the first query on the connection; in autocommit there is nothing to protect."""
    savepoints = _savepoints.get()
    if savepoints is not None and connection not in savepoints:
        savepoints[connection] = None  # the savepoint is a query too, and comes by here
        savepoints[connection] = connection.savepoint()


def _end_savepoint(connection: BaseDatabaseWrapper, savepoint_id: Any) -> None:
    if savepoint_id is None:
        return
    if connection.connection.info.transaction_status == FAILED_TRANSACTION_STATUS:
        connection.needs_rollback = False
        connection.savepoint_rollback(savepoint_id)
    connection.savepoint_commit(savepoint_id)
