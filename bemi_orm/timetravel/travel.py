"""The context manager: a read-only transaction whose tables are the views of the past."""

from __future__ import annotations

from contextlib import ExitStack
from contextvars import Token
from types import TracebackType
from typing import Final

from asgiref.sync import sync_to_async
from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from bemi_orm.conf import settings
from bemi_orm.exceptions import TimeTravelError
from bemi_orm.history.captured import Wait
from bemi_orm.history.moments import Bound, Moment, resolve
from bemi_orm.timetravel.creating import SCHEMA
from bemi_orm.timetravel.dialect import speaking_to_views
from bemi_orm.timetravel.guard import hold, mend_held
from bemi_orm.timetravel.journeys import ENTER, Journey, running_journey
from bemi_orm.timetravel.kept import watch_instances
from bemi_orm.timetravel.readers import refused_schemas
from bemi_orm.timetravel.views import past_models, stale_views, view_comments

_SCHEMAS: Final = "SELECT pg_catalog.current_schemas(false)::text[]"


def time_travel(moment: Moment, *, wait: Wait = False) -> TimeTravel:
    """Read the database as it was: `with time_travel(yesterday): Todo.objects.filter(...)`, or `async with`.

    All queries on tracked tables are answered from `changes`: those of the ORM, and raw SQL that leaves the
    schema to the search path. They go to the alias of `BEMI_DATABASE`, in a read-only transaction; one that
    is open there already is only interrupted. It nests. A queryset has to be read inside, as it is lazy.

    moment: see `bemi_orm.history.moments.Moment`.
    wait: seconds to wait for the worker where the moment is not stored yet; True for a minute.
    Raises on entering MomentError, NotCapturedError, or TimeTravelError where views are missing or older than
    their models; inside PastIsReadOnlyError for a write, TimeTravelError for a query that would be answered
    from live tables of models.
    """
    return TimeTravel(moment, wait=wait)


class TimeTravel:
    """One journey; see `time_travel`. It can be made once."""

    def __init__(self, moment: Moment, *, wait: Wait = False) -> None:
        self._moment, self._wait = moment, wait
        self._stack = ExitStack()
        self._token: Token[Journey | None] | None = None

    def __enter__(self) -> TimeTravel:
        self._token = running_journey.set(self._open())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._stack:
            self._leave()

    async def __aenter__(self) -> TimeTravel:
        self._token = running_journey.set(await sync_to_async(self._open)())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._leave()
        finally:
            await sync_to_async(self._stack.close)()

    def _leave(self) -> None:
        """Raises ValueError in another context than entered, as where a generator is closed elsewhere."""
        assert self._token is not None
        running_journey.reset(self._token)

    def _open(self) -> Journey:
        watch_instances()
        past_models()  # asks the routers, which answer otherwise inside
        bound = resolve(self._moment, wait=self._wait)
        connection = connections[settings.DATABASE]
        mend_held(connection)  # else there would be no savepoint to go back to
        with ExitStack() as stack:
            stack.enter_context(transaction.atomic(using=connection.alias))
            stack.callback(connection.set_rollback, True)  # the settings are as before again
            journey = _begin(connection, bound, _checked_views(connection))
            stack.enter_context(speaking_to_views(connection))
            stack.enter_context(hold(connection, journey))
            self._stack = stack.pop_all()
        return journey


def _begin(connection: BaseDatabaseWrapper, bound: Bound, comments: dict[str, str]) -> Journey:
    with connection.cursor() as cursor:
        cursor.execute(_SCHEMAS)
        (schemas,) = cursor.fetchone()
        cursor.execute(ENTER, _settings(bound))
    refused = {name: found for name, comment in comments.items() if (found := refused_schemas(comment))}
    live = {name for name in schemas if name != SCHEMA}.union(*refused.values())
    return Journey(tuple(sorted(live)), frozenset(past_models()), bound, tuple(sorted(refused)))


def _settings(bound: Bound) -> dict[str, str]:
    values = {"schema": SCHEMA, "last_id": bound.last_id, **bound._asdict()}
    return {name: str(value) for name, value in values.items()}


def _checked_views(connection: BaseDatabaseWrapper) -> dict[str, str]:
    comments = view_comments(connection)
    if stale := stale_views(comments):
        raise TimeTravelError(
            f"The views of the past are missing or older than the models of: {', '.join(stale)}. "
            "Run: manage.py bemi setup"
        )
    return comments
