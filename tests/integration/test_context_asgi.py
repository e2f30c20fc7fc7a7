"""A9: an ASGI application of its own, beside Django's: a consumer of messages, as Channels has them."""

import asyncio
import json

import pytest
from asgiref.sync import sync_to_async
from django.core.asgi import get_asgi_application
from django.db import connections

from bemi_orm.transport.scope import context, current_context
from tests.integration import context_views
from tests.todos.models import Tag

pytestmark = [
    pytest.mark.django_db(transaction=True, databases=["default", "other"]),
    pytest.mark.urls(context_views.__name__),
]


async def consumer(scope, receive, send):
    """Opens a scope for the connection, and an inner one for each message."""
    async with context(user_id=scope["user_id"], path=scope["path"]):
        while (event := await receive())["type"] == "websocket.receive":
            async with context(message=event["text"]):
                await asyncio.sleep(0)
                await Tag.objects.acreate(code=f"{scope['user_id']}-{event['text']}")
                await sync_to_async(Tag.objects.filter(code="none").delete)()
        await send({"type": "websocket.close", "context": current_context()})


async def converse(user_id, texts):
    """Run the consumer for one connection; returns the context at its end."""
    events = [{"type": "websocket.receive", "text": text} for text in texts]
    events.append({"type": "websocket.disconnect"})
    sent = []

    async def receive():
        await asyncio.sleep(0)
        return events.pop(0)

    async def send(event):
        sent.append(event)

    await consumer({"type": "websocket", "path": "/chat/", "user_id": user_id}, receive, send)
    return sent[0]["context"]


async def request(path):
    """Send a GET through Django's ASGI handler, and read its whole body."""
    application = get_asgi_application()
    scope = {"type": "http", "method": "GET", "path": path, "headers": [], "query_string": b""}
    received, sent = [{"type": "http.request", "body": b""}], []

    async def receive():
        return received.pop() if received else await asyncio.Future()  # the client stays

    async def send(event):
        sent.append(event)

    await application(scope, receive, send)
    return sent


def run(function):
    async def run_and_close():
        try:
            return await function()
        finally:
            await sync_to_async(connections.close_all)()  # those of asgiref's thread

    return asyncio.run(run_and_close())


def contexts(log):
    hidden = ("SQL", "request_id")
    return [{key: value for key, value in row.context.items() if key not in hidden} for row in log.rows()]


def test_a9_consumers_never_mix(log):
    async def all_at_once():
        return await asyncio.gather(*(converse(number, ["a", "b"]) for number in range(10)))

    assert run(all_at_once) == [{"user_id": number, "path": "/chat/"} for number in range(10)]
    found = sorted(contexts(log), key=lambda each: (each["user_id"], each["message"]))
    assert found == [
        {"user_id": number, "path": "/chat/", "message": message} for number in range(10) for message in "ab"
    ]


def test_a_task_that_an_async_view_publishes_knows_the_user(async_client, django_user_model):
    user = django_user_model.objects.create_user("zoe")
    async_client.force_login(user)
    response = run(lambda: async_client.get("/publish-async/"))
    carried = json.loads(response.content)
    assert carried.pop("request_id")
    assert carried == {"user_id": user.pk, "method": "GET", "path": "/publish-async/"}


def test_p8_one_object_that_was_called_serves_many_tasks_and_threads():
    async def enter(job):
        async with job:
            await asyncio.sleep(0)
            assert current_context() == {"user_id": 1, "job": "x"}
        return current_context()

    def enter_in_thread(job):
        with job:
            assert current_context() == {"user_id": 1, "job": "x"}
        return current_context()

    async def all_at_once():
        with context(user_id=1):
            job = context(job="x")
            tasks = [asyncio.create_task(enter(job)) for _ in range(3)]
            threads = [asyncio.to_thread(enter_in_thread, job) for _ in range(3)]
            return await asyncio.gather(*tasks, *threads)

    assert run(all_at_once) == [{"user_id": 1}] * 6


@pytest.mark.parametrize("path", ["/write/a/", "/stream/", "/stream-async/"])
@pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume synchronous iterators")
def test_a9_requests_through_djangos_handler(log, path):
    sent = run(lambda: request(path))
    assert sent[0]["status"] == 200
    assert contexts(log) == [{"user_id": None, "method": "GET", "path": path}]
