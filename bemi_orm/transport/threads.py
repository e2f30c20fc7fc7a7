"""Threads and executors: Python starts a thread without the context variables of the code that starts it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from bemi_orm.transport.scope import ResumedScope, running_scope

P = ParamSpec("P")
R = TypeVar("R")


def carry_context(function: Callable[P, R]) -> Callable[P, R]:
    """Give the function with every run of it, in whatever thread, in the scope of now.

        executor.submit(carry_context(work), 1)
        executor.map(carry_context(work), items)
        Thread(target=carry_context(work)).start()

    The runs may be at the same time; what one of them merges is its own. asyncio's tasks, `to_thread` and
    asgiref's `sync_to_async` take the scope along by themselves.
    """
    scope = running_scope()

    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        with ResumedScope(scope):
            return function(*args, **kwargs)

    return run
