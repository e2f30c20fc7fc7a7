"""The scope in which code runs: the context that its writes carry.

A scope is immutable and lives in a `ContextVar`, so that threads and asyncio tasks never mix: a task
starts with its creator's scope, and what it merges is its own.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar, Token
from dataclasses import dataclass, field, replace
from typing import Any, Final, ParamSpec, TypeAlias, TypeVar, cast

from asgiref.sync import iscoroutinefunction

from bemi_orm.transport.tracing import tracing_ids

P = ParamSpec("P")
R = TypeVar("R")

ContextSource: TypeAlias = Callable[[], Mapping[str, Any]]
"""Gives the keys that a request adds; must not raise."""


@dataclass(slots=True, eq=False)
class Scope:
    """What writes carry from here on; never changed, and not `frozen` as that would make it slow to create.

    data: keys given to `context(...)`, merged with those of the scopes around.
    source: asked for the request's keys when something is written; `data` wins over it.
    outer: the scope around this one.
    owner: the `context` that was entered to make it, and that ends it.
    kept: a context that was sent, and how; `bemi_orm.transport.message` keeps it for the next write.
    """

    data: Mapping[str, Any]
    source: ContextSource | None = None
    outer: Scope | None = None
    owner: context | None = None
    kept: tuple[dict[str, Any], str] | None = field(default=None, init=False)

    def resolve(self) -> dict[str, Any]:
        """Give the whole context as a new dict; the ids of tracing give way to keys of the project."""
        own = {**self.source(), **self.data} if self.source else self.data
        return {**tracing_ids(), **own}


_running: ContextVar[Scope | None] = ContextVar("bemi_orm_scope", default=None)


running_scope: Final[Callable[[], Scope | None]] = _running.get
"""Gives the scope of the code that runs now, None outside of any."""


def is_explained_by(*keys: str) -> bool:
    """Tell whether a request or a task's caller is asked for the context, or it has one of the keys."""
    scope = _running.get()
    return scope is not None and (scope.source is not None or not scope.data.keys().isdisjoint(keys))


def current_context() -> dict[str, Any]:
    """Give a copy of the context that a write would carry now; empty outside of any scope.

    Inside a request this calls `BEMI_CONTEXT_FUNCTION` unless a write has done so already.
    """
    scope = _running.get()
    return scope.resolve() if scope else {}


def replace_context(data: Mapping[str, Any]) -> Token[Scope | None]:
    """Let the running scope carry these keys alone, to its end; returns what `restore_scope` takes."""
    running = _running.get()
    return _running.set(replace(running, data=data, source=None) if running else Scope(data))


def restore_scope(token: Token[Scope | None]) -> None:
    """Undo `replace_context`, in the thread or task that called it."""
    _running.reset(token)


class context:  # noqa: N801 - used as a statement, as are contextlib's own
    """Add keys to the context of every write that follows.

        with context(job="import"): ...           # also `async with`
        @context(job="import")                    # functions and generators, plain or async
        context(tenant=7)                         # merges into the running scope, to that scope's end

    Scopes nest and merge, and the inner value wins. Outside of any scope a plain call starts one that lasts
    as long as the thread or task. One object may serve many threads and may be entered again.

    data: JSON values; what JSON cannot hold becomes text (see `bemi_orm.transport.encoding`).
    """

    def __init__(self, /, **data: Any) -> None:
        self._data = data
        self._before = running = _running.get()
        self._merged = (
            Scope({**running.data, **data}, running.source, running.outer, running.owner)
            if running
            else Scope(data)
        )
        _running.set(self._merged)

    def _undo_plain_call(self) -> None:
        """Creation cannot know that `with` or a function follows: take its merge back, where it still runs.

        That may be several threads and tasks, as each starts with the scope of what makes it.
        """
        if _running.get() is self._merged:
            _running.set(self._before)

    def _inner_scope(self, running: Scope | None) -> Scope:
        if running is None:
            return Scope(self._data, None, None, self)
        return Scope({**running.data, **self._data}, running.source, running, self)

    def __enter__(self) -> context:
        running = _running.get()  # as in `_undo_plain_call`, at once
        _running.set(self._inner_scope(self._before if running is self._merged else running))
        return self

    def __exit__(self, *error: object) -> None:
        # By owner, not by token: a token is bound to one execution context and would have to be kept on
        # an object that threads may share; and a forgotten generator must not end somebody else's scope.
        scope = _running.get()
        while scope is not None and scope.owner is not self:
            scope = scope.outer
        if scope is not None:
            _running.set(scope.outer)

    async def __aenter__(self) -> context:
        return self.__enter__()

    async def __aexit__(self, *error: object) -> None:
        self.__exit__(*error)

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        """Give the function with all its runs in a scope of their own."""
        self._undo_plain_call()
        return cast("Callable[P, R]", functools.wraps(function)(self._wrapped(function)))

    def _wrapped(self, function: Callable[..., Any]) -> Callable[..., Any]:
        from bemi_orm.transport.generators import drive, drive_async

        def run(*args: Any, **kwargs: Any) -> Any:
            with self:
                return function(*args, **kwargs)

        async def run_async(*args: Any, **kwargs: Any) -> Any:
            with self:
                return await function(*args, **kwargs)

        def run_generator(*args: Any, **kwargs: Any) -> Any:
            return (yield from drive(function(*args, **kwargs), self._inner_scope(_running.get())))

        def run_async_generator(*args: Any, **kwargs: Any) -> Any:
            return drive_async(function(*args, **kwargs), self._inner_scope(_running.get()))

        if inspect.isasyncgenfunction(function):
            return run_async_generator
        if inspect.isgeneratorfunction(function):
            return run_generator
        return run_async if iscoroutinefunction(function) else run


@contextmanager
def source_scope(source: ContextSource) -> Iterator[None]:
    """Run the block in a scope that asks `source`; keys of scopes around it stay."""
    running = _running.get()
    token = _running.set(Scope(running.data if running else {}, source, outer=running))
    try:
        yield
    finally:
        _running.reset(token)


class ResumedScope:
    """A scope that is left and entered again, as by a generator; what was merged in between is kept."""

    __slots__ = ("_scope", "_token")

    def __init__(self, scope: Scope | None) -> None:
        self._scope = scope

    def __enter__(self) -> None:
        self._token = _running.set(self._scope)

    def __exit__(self, *error: object) -> None:
        self._scope = _running.get()
        _running.reset(self._token)


bemi_context = context
"""The same, under a name that is easier to import into modules that have contexts of their own."""
