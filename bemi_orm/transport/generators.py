"""Running generators in a scope that must not reach the code that consumes them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator
from typing import Any, TypeVar

from bemi_orm.transport.scope import ResumedScope, Scope

T = TypeVar("T")


def drive(generator: Generator[Any, Any, Any], scope: Scope) -> Generator[Any, Any, Any]:
    """Run each step of the generator in the scope; values, errors and the result pass through."""
    place = ResumedScope(scope)
    resume: Callable[[Any], Any] = generator.send
    value: Any = None
    try:
        while True:
            with place:
                item = resume(value)
            try:
                value, resume = (yield item), generator.send
            except GeneratorExit:
                raise
            except BaseException as error:
                value, resume = error, generator.throw
    except StopIteration as stop:
        return stop.value
    finally:
        with place:
            generator.close()


async def drive_async(generator: AsyncGenerator[Any, Any], scope: Scope) -> AsyncGenerator[Any, Any]:
    """Run each step of the async generator in the scope; values and errors pass through."""
    place = ResumedScope(scope)
    resume: Callable[[Any], Any] = generator.asend
    value: Any = None
    try:
        while True:
            with place:
                item = await resume(value)
            try:
                value, resume = (yield item), generator.asend
            except GeneratorExit:
                raise
            except BaseException as error:
                value, resume = error, generator.athrow
    except StopAsyncIteration:
        return
    finally:
        with place:
            await generator.aclose()


def iterate(iterator: Iterator[T], scope: Scope | None) -> Iterator[T]:
    """Fetch each item in the scope."""
    place = ResumedScope(scope)
    while True:
        with place:
            try:
                item = next(iterator)
            except StopIteration:
                return
        yield item


async def iterate_async(iterator: AsyncIterator[T], scope: Scope | None) -> AsyncIterator[T]:
    """Fetch each item in the scope."""
    place = ResumedScope(scope)
    while True:
        with place:
            try:
                item = await anext(iterator)
            except StopAsyncIteration:
                return
        yield item
