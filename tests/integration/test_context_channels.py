"""A9: consumers of Django Channels, by the code that the documentation shows."""

import asyncio
import json
import re
from pathlib import Path
from types import SimpleNamespace

import pytest

pytest.importorskip("channels")

from asgiref.sync import sync_to_async
from asgiref.testing import ApplicationCommunicator
from channels.auth import AuthMiddlewareStack
from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncJsonWebsocketConsumer, JsonWebsocketConsumer
from channels.routing import URLRouter
from django.conf import settings
from django.contrib.auth.models import User
from django.db import connections
from django.urls import path

from bemi_orm import context
from tests.todos.models import Tag

pytestmark = pytest.mark.django_db(transaction=True, databases=["default"])
TIMEOUT_SECONDS = 30
PAGE = Path(__file__).parents[2] / "docs" / "context.md"


def documented():
    """Give the names that the page's code defines, but for the one that needs a whole project."""
    names = {"AsyncJsonWebsocketConsumer": AsyncJsonWebsocketConsumer, "Tag": Tag}
    section = PAGE.read_text().partition("## ASGI")[2].partition("\n## ")[0]
    application, _, consumer = re.findall("```python\n(.*?)```", section, re.DOTALL)
    exec(application + consumer, names)
    return names["ContextApplication"], names["ChatConsumer"]


class SyncConsumer(JsonWebsocketConsumer):
    def receive_json(self, content):
        context(room=content["code"][0])
        with context(message=content["type"]):
            Tag.objects.create(code=content["code"])
        self.send_json({"done": content["code"]})


class ThreadConsumer(AsyncJsonWebsocketConsumer):
    async def receive_json(self, content):
        async with context(message=content["type"]):
            await database_sync_to_async(Tag.objects.create)(code=content["code"])
        await self.send_json({"done": content["code"]})


async def converse(consumer, user, codes):
    """Say each code on a connection of the user's, and wait until it is written."""
    await talk(application_of(consumer), {"user": user}, codes)


def application_of(consumer):
    wrap, _ = documented()
    return wrap(URLRouter([path("chat/", consumer.as_asgi())]))


async def talk(application, scope, codes):
    client = ApplicationCommunicator(application, {"type": "websocket", "path": "/chat/", **scope})
    await client.send_input({"type": "websocket.connect"})
    assert (await client.receive_output(TIMEOUT_SECONDS))["type"] == "websocket.accept"
    for code in codes:
        text = json.dumps({"type": "add", "code": code})
        await client.send_input({"type": "websocket.receive", "text": text})
        answer = await client.receive_output(TIMEOUT_SECONDS)
        assert json.loads(answer["text"]) == {"done": code}
    await client.send_input({"type": "websocket.disconnect", "code": 1000})
    await client.wait(TIMEOUT_SECONDS)


def run(function):
    async def run_and_close():
        try:
            await function()
        finally:
            await sync_to_async(connections.close_all)()  # those of asgiref's thread

    asyncio.run(run_and_close())


def contexts(log):
    return [{key: value for key, value in row.context.items() if key != "SQL"} for row in log.rows()]


@pytest.mark.parametrize("consumer", ["documented", "sync", "thread"])
def test_a9_a_consumer_has_the_context_of_its_connection_and_message(log, consumer):
    kind = {"documented": documented()[1], "sync": SyncConsumer, "thread": ThreadConsumer}[consumer]
    run(lambda: converse(kind, SimpleNamespace(pk=7), ["a", "b"]))
    expected = {"user_id": 7, "path": "/chat/", "protocol": "websocket", "message": "add"}
    rooms = [{"room": "a"}, {"room": "b"}] if consumer == "sync" else [{}, {}]
    assert contexts(log) == [expected | room for room in rooms]


def test_the_user_of_a_session_is_found_by_channels_own_middleware(log, client):
    user = User.objects.create_user("zoe")
    client.force_login(user)
    cookie = f"{settings.SESSION_COOKIE_NAME}={client.cookies[settings.SESSION_COOKIE_NAME].value}"
    stack = AuthMiddlewareStack(application_of(SyncConsumer))
    run(lambda: talk(stack, {"headers": [(b"cookie", cookie.encode())]}, ["a"]))
    run(lambda: talk(stack, {"headers": []}, ["b"]))
    assert [each["user_id"] for each in contexts(log) if "room" in each] == [user.pk, None]


def test_p8_connections_never_mix(log):
    async def all_at_once():
        users = [SimpleNamespace(pk=number) for number in range(8)]
        talks = (converse(SyncConsumer, user, [f"{user.pk}a", f"{user.pk}b"]) for user in users)
        await asyncio.gather(*talks)

    run(all_at_once)
    found = [(each["user_id"], each["room"]) for each in contexts(log)]
    assert sorted(found) == [(number, str(number)) for number in range(8) for _ in "ab"]


def test_a_connection_without_a_user(log):
    run(lambda: converse(SyncConsumer, None, ["a"]))
    (found,) = contexts(log)
    assert found["user_id"] is None
