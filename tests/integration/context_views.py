"""Views that write in every way a request can."""

import asyncio
import contextlib

from django.contrib.auth import authenticate, login, logout
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import DatabaseError, connection, transaction
from django.http import HttpResponse, StreamingHttpResponse
from django.urls import path
from django.utils.decorators import async_only_middleware
from rest_framework.authentication import SessionAuthentication, TokenAuthentication
from rest_framework.response import Response
from rest_framework.views import APIView

from bemi_orm.transport.carrying import pack_context
from bemi_orm.transport.request import default_request_context
from bemi_orm.transport.scope import context, current_context
from tests.todos.models import Tag

CALLS = []


def write(request, code):
    Tag.objects.create(code=code)
    return HttpResponse(code)


def write_twice(request):
    Tag.objects.create(code="one")
    with context(step=2, path="mine"):
        Tag.objects.create(code="two")
    return HttpResponse()


def read(request):
    return HttpResponse(str(Tag.objects.count()))


def fail(request):
    Tag.objects.create(code="before")
    context(leftover=1)
    raise LookupError


def log_in(request):
    Tag.objects.create(code="before")
    login(request, authenticate(request, username="ann", password="secret"))
    Tag.objects.create(code="after")
    return HttpResponse()


def log_out(request):
    Tag.objects.create(code="before")
    logout(request)
    Tag.objects.create(code="after")
    return HttpResponse()


def write_and_commit(request):
    """Under `ATOMIC_REQUESTS` the callback runs when the view has returned."""
    Tag.objects.all().delete()
    transaction.on_commit(lambda: Tag.objects.create(code="committed"))
    Tag.objects.create(code="a")
    if "fail" in request.GET:
        raise LookupError
    return HttpResponse(str(connection.in_atomic_block))


class KnownToken(TokenAuthentication):
    """Tokens that are the names of users."""

    def authenticate_credentials(self, key):
        return User.objects.get(username=key), key


class RestView(APIView):
    authentication_classes = [KnownToken, SessionAuthentication]

    def post(self, request):
        Tag.objects.create(code="rest")
        return Response({"user": request.user.pk})


def token_user(request):
    """Finds its user itself, as REST framework's authentication does."""
    request.user = User.objects.get(username="ann")
    Tag.objects.create(code="token")
    return HttpResponse()


def sign_up(request):
    request.user = User(username="new")
    request.user.save()
    Tag.objects.create(code="after")
    return HttpResponse()


def stream(request):
    def body():
        Tag.objects.create(code="streamed")
        yield b"a"
        yield str(current_context()["path"])

    return StreamingHttpResponse(body())


async def stream_async(request):
    async def body():
        await Tag.objects.acreate(code="streamed")
        yield b"a"

    return StreamingHttpResponse(body())


async def write_async(request, code):
    async with context(code=code):
        await asyncio.sleep(0)
        await Tag.objects.acreate(code=code)
        await asyncio.gather(*(write_task(code, number) for number in range(2)))
    return HttpResponse(code)


async def publish_async(request):
    """Gives what a task would take along, before anybody has looked at the user."""
    return HttpResponse(pack_context())


async def write_task(code, number):
    with context(task=number):
        await Tag.objects.acreate(code=f"{code}-{number}")


def write_in_atomic(request):
    with transaction.atomic():
        Tag.objects.create(code="a")
        Tag.objects.create(code="b")
    return HttpResponse()


def command(request):
    write = "from tests.todos.models import Tag; Tag.objects.create(code='a')"
    call_command("shell", command=write, verbosity=0)
    return HttpResponse()


def counting_context(request):
    CALLS.append(request.path)
    return {"calls": len(CALLS)}


def failing_context(request):
    raise ZeroDivisionError("secret")


def wrong_context(request):
    return [1]


def none_context(request):
    return None


def querying_context(request):
    return {"tags": Tag.objects.count(), **default_request_context(request)}


def breaking_context(request):
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM missing")


def breaking_quietly_context(request):
    with contextlib.suppress(DatabaseError), transaction.atomic(savepoint=False):
        breaking_context(request)
    return {"quiet": True}


def writing_context(request):
    Tag.objects.get_or_create(code="written by the context function")
    return {"inner": current_context()}


def sync_only(get_response):
    """Middleware that Django puts into a thread when what is around it is async."""

    def middleware(request):
        Tag.objects.create(code="sync-in")
        response = get_response(request)
        Tag.objects.create(code="sync-out")
        return response

    return middleware


@async_only_middleware
def async_only(get_response):
    """Middleware that Django gives a loop of its own when what is around it is sync."""

    async def middleware(request):
        await Tag.objects.acreate(code="async-in")
        response = await get_response(request)
        await Tag.objects.acreate(code="async-out")
        return response

    return middleware


urlpatterns = [
    path("write/<slug:code>/", write),
    path("write-async/<slug:code>/", write_async),
    path("publish-async/", publish_async),
    path("write-twice/", write_twice),
    path("write-in-atomic/", write_in_atomic),
    path("read/", read),
    path("fail/", fail),
    path("log-in/", log_in),
    path("log-out/", log_out),
    path("write-and-commit/", write_and_commit),
    path("rest/", RestView.as_view()),
    path("token-user/", token_user),
    path("sign-up/", sign_up),
    path("call-command/", command),
    path("stream/", stream),
    path("stream-async/", stream_async),
]
