"""Scopes nest, merge, end, and never reach other code."""

import asyncio
import gc
import threading
import weakref
from contextvars import Context

import pytest

from bemi_orm.transport.scope import context, current_context, running_scope, source_scope


@pytest.fixture(autouse=True)
def _outside_of_any_scope():
    assert running_scope() is None
    yield
    assert running_scope() is None


def isolated(function):
    """Run in an execution context of its own, as a thread or a task has."""
    return Context().run(function)


def test_p7_outer_inner_outer():
    seen = []
    with context(user=1, team="a"):
        seen.append(current_context())
        with context(user=2):
            seen.append(current_context())
        seen.append(current_context())
    assert seen == [{"user": 1, "team": "a"}, {"user": 2, "team": "a"}, {"user": 1, "team": "a"}]


def test_a14_an_exception_ends_the_scope():
    with pytest.raises(LookupError), context(user=1):
        raise LookupError
    assert current_context() == {}


def test_p7_no_growth_after_a_thousand_scopes():
    class Value:
        pass

    values = []
    with context(outer=1):
        for _ in range(1_000):
            value = Value()
            values.append(weakref.ref(value))
            with context(value=value):
                assert current_context()["value"] is value
            del value
        gc.collect()
        assert [reference for reference in values if reference() is not None] == []
        assert running_scope().outer is None


def test_current_context_is_a_copy():
    with context(user=1):
        current_context()["user"] = 2
        assert current_context() == {"user": 1}


def test_a_key_may_have_any_name():
    with context(self=1, data=2):
        assert current_context() == {"self": 1, "data": 2}


def test_plain_call_merges_to_the_end_of_the_scope():
    with context(user=1):
        context(team="a")
        assert current_context() == {"user": 1, "team": "a"}
        with context(user=2):
            context(team="b")
            assert current_context() == {"user": 2, "team": "b"}
        assert current_context() == {"user": 1, "team": "a"}


def test_plain_calls_leave_nothing_behind():
    class Value:
        pass

    with context():
        first = Value()
        context(value=first)
        found = weakref.ref(first)
        del first
        context(value=Value())
        assert found() is None


def test_plain_call_outside_of_any_scope_starts_one():
    def script():
        context(command="import")
        with context(row=1):
            assert current_context() == {"command": "import", "row": 1}
        return current_context()

    assert isolated(script) == {"command": "import"}


def test_with_and_decorators_take_the_plain_call_back():
    @context(job=1)
    def job():
        return current_context()

    assert current_context() == {}
    manager = context(user=1)
    assert current_context() == {"user": 1}  # as yet it may be a plain call
    with manager:
        pass
    assert current_context() == {}
    assert job() == {"job": 1}


def test_one_object_may_be_entered_again_and_by_several_threads():
    manager = context(user=1)
    entered, left = threading.Barrier(2, timeout=10), threading.Barrier(2, timeout=10)
    seen = []

    def work():
        with manager:
            entered.wait()
            seen.append(current_context())
        left.wait()
        seen.append(current_context())

    with manager, manager:
        threads = [threading.Thread(target=work) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert current_context() == {"user": 1}
    assert sorted(map(str, seen)) == ["{'user': 1}"] * 2 + ["{}"] * 2


def test_a14_a_forgotten_generator_does_not_end_the_scope_of_others():
    def rows():
        with context(generator=1):
            yield 1

    def run():
        generator = rows()
        next(generator)
        with context(generator=None):
            pass
        outer = running_scope()
        assert outer.data == {"generator": 1}  # an undecorated generator leaks, as with any context variable
        generator.close()
        with context(user=1):
            del generator
            gc.collect()
            return current_context()

    assert isolated(run) == {"user": 1}


def test_scopes_that_end_out_of_order():
    with context(a=1):
        inner = context(b=2)
        inner.__enter__()
    assert current_context() == {}
    inner.__exit__()
    assert current_context() == {}


def test_decorated_function():
    @context(job="a")
    def job(argument):
        """What it does."""
        return argument, current_context()

    assert job(argument=1) == (1, {"job": "a"})
    assert (job.__name__, job.__doc__) == ("job", "What it does.")


def test_decorated_coroutine_and_async_with():
    @context(job="a")
    async def job():
        await asyncio.sleep(0)
        async with context(step=1):
            return current_context()

    assert asyncio.run(job()) == {"job": "a", "step": 1}


def test_decorated_generator_keeps_its_scope_to_itself():
    received = []

    @context(job="a")
    def rows():
        try:
            received.append((yield current_context()))
            context(step=2)
            yield current_context()
        except LookupError:
            yield current_context()
        return "done"

    generator = rows()
    with context(user=1):
        assert next(generator) == {"job": "a", "user": 1}
        assert current_context() == {"user": 1}
        assert generator.send("value") == {"job": "a", "user": 1, "step": 2}
    assert current_context() == {}
    assert generator.throw(LookupError()) == {"job": "a", "user": 1, "step": 2}
    with pytest.raises(StopIteration, match="done"):
        next(generator)
    assert received == ["value"]


def test_decorated_generator_is_closed_in_its_scope():
    seen = []

    @context(job="a")
    def rows():
        try:
            yield 1
        finally:
            seen.append(current_context())

    generator = rows()
    next(generator)
    generator.close()
    assert seen == [{"job": "a"}]


def test_decorated_async_generator_keeps_its_scope_to_itself():
    seen = []

    @context(job="a")
    async def rows():
        try:
            seen.append((yield current_context()))
            yield current_context()
        except LookupError:
            yield "caught"
        finally:
            seen.append(current_context())

    async def run():
        generator = rows()
        assert await anext(generator) == {"job": "a"}
        assert current_context() == {}
        assert await generator.asend("value") == {"job": "a"}
        assert await generator.athrow(LookupError()) == "caught"
        assert [item async for item in generator] == []

    asyncio.run(run())
    assert seen == ["value", {"job": "a"}]


def test_p8_tasks_never_mix():
    async def task(number):
        async with context(number=number):
            for _ in range(3):
                await asyncio.sleep(0)
                assert current_context() == {"number": number, "all": 1}
        return current_context()

    async def run():
        with context(all=1):
            return await asyncio.gather(*(task(number) for number in range(50)))

    assert asyncio.run(run()) == [{"all": 1}] * 50


def test_a_source_is_asked_late_and_its_keys_give_way():
    asked = []

    def source():
        asked.append(1)
        return {"user": 1, "path": "/"}

    with context(team="a"), source_scope(source):
        context(user=2)
        assert asked == []
        assert current_context() == {"path": "/", "team": "a", "user": 2}
    assert asked == [1]
