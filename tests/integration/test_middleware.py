"""A request's writes carry its context, in every kind of view, and nothing else does."""

import asyncio
import logging
import uuid

import pytest
from asgiref.sync import iscoroutinefunction, sync_to_async
from django.contrib.auth.models import User
from django.db import connections
from django.http import FileResponse, HttpResponse
from django.test import AsyncClient, Client, RequestFactory
from django.test.utils import CaptureQueriesContext

from bemi_orm.transport import counters
from bemi_orm.transport.middleware import BemiMiddleware
from bemi_orm.transport.scope import context, current_context
from tests.integration import context_views
from tests.todos.models import Tag

pytestmark = [
    pytest.mark.django_db(transaction=True, databases=["default", "other"]),
    pytest.mark.urls(context_views.__name__),
]
ANONYMOUS = {"user_id": None, "method": "GET"}


@pytest.fixture(autouse=True)
def _fresh():
    context_views.CALLS.clear()
    counters.reset()
    yield
    counters.reset()
    assert current_context() == {}


@pytest.fixture
def ann():
    return User.objects.create_user("ann", password="secret")


def use(settings, function):
    settings.BEMI_CONTEXT_FUNCTION = f"{function.__module__}.{function.__name__}"


def run_async(function):
    async def run():
        try:
            return await function()
        finally:
            await sync_to_async(connections.close_all)()  # those of asgiref's thread

    return asyncio.run(run())


def contexts(log, table="todos_tag"):
    hidden = ("SQL", "request_id")
    rows = [row for row in log.rows() if row.table == table]
    return [{key: value for key, value in row.context.items() if key not in hidden} for row in rows]


def test_the_default_context(client, log, ann):
    client.force_login(ann)
    log.rows()
    client.post("/write/a/?token=secret")
    (row,) = log.rows()
    assert row.context.pop("SQL").startswith("INSERT")
    assert uuid.UUID(row.context.pop("request_id"))
    assert row.context == {"user_id": ann.pk, "method": "POST", "path": "/write/a/"}


def test_one_request_id_per_request(client, log):
    client.get("/write-twice/")
    client.get("/write/a/")
    first, second, third = [row.context["request_id"] for row in log.rows()]
    assert first == second != third


def test_inner_keys_win(client, log):
    client.get("/write-twice/")
    assert contexts(log) == [
        {**ANONYMOUS, "path": "/write-twice/"},
        {**ANONYMOUS, "path": "mine", "step": 2},
    ]


def test_a13_a_read_asks_nothing(client, log, ann, settings):
    use(settings, context_views.counting_context)
    client.force_login(ann)
    with CaptureQueriesContext(connections["default"]) as captured:
        response = client.get("/read/")
    assert context_views.CALLS == []
    assert len(captured) == 1
    assert not response.has_header("Vary")


def test_the_function_is_called_once_per_request(client, log, settings):
    use(settings, context_views.counting_context)
    client.get("/write-twice/")
    client.get("/write/a/")
    assert [found["calls"] for found in contexts(log)] == [1, 1, 2]


def test_a12_a_login_within_the_request(client, log, ann):
    log.rows()
    client.get("/log-in/")
    assert [found["user_id"] for found in contexts(log)] == [None, ann.pk]


def test_a12_a_logout_within_the_request(client, log, ann):
    client.force_login(ann)
    log.rows()
    client.get("/log-out/")
    assert [found["user_id"] for found in contexts(log)] == [ann.pk, None]


@pytest.mark.parametrize("way", ["session", "token", "neither"])
def test_p6_rest_frameworks_authentication(client, log, ann, way):
    if way == "session":
        client.force_login(ann)
    log.rows()
    headers = {"Authorization": "Token ann"} if way == "token" else {}
    user = None if way == "neither" else ann.pk
    assert client.post("/rest/", headers=headers).json() == {"user": user}
    assert [found["user_id"] for found in contexts(log)] == [user]


@pytest.fixture
def atomic_requests():
    connections["default"].settings_dict["ATOMIC_REQUESTS"] = True
    yield
    connections["default"].settings_dict["ATOMIC_REQUESTS"] = False


@pytest.mark.usefixtures("atomic_requests")
def test_p9_atomic_requests(client, log):
    assert client.get("/write-and-commit/").content == b"True"
    assert contexts(log) == [{**ANONYMOUS, "path": "/write-and-commit/"}] * 2
    with pytest.raises(LookupError):
        client.get("/write-and-commit/?fail")
    assert current_context() == {}
    assert set(Tag.objects.values_list("code", flat=True)) == {"a", "committed"}
    Tag.objects.create(code="after")
    assert contexts(log) == [{}]


@pytest.mark.parametrize("path", ["/write/a/", "/write-async/a/"])
@pytest.mark.parametrize("kind", ["sync", "async"])
@pytest.mark.parametrize("order", [["sync_only", "async_only"], ["async_only", "sync_only"]])
def test_a9_mixed_stacks(log, settings, kind, order, path):
    inner = [f"{context_views.__name__}.{name}" for name in order]
    settings.MIDDLEWARE = ["bemi_orm.BemiMiddleware", *inner]

    async def run():
        return await AsyncClient().get(path)

    assert (run_async(run) if kind == "async" else Client().get(path)).status_code == 200
    found = contexts(log)
    assert len(found) == (7 if "async" in path else 5)
    assert {each["path"] for each in found} == {path}
    assert current_context() == {}


def test_p6_a_user_found_by_the_view(client, log, ann):
    client.get("/token-user/")
    assert [found["user_id"] for found in contexts(log)] == [ann.pk]


def test_a12_a_user_who_gets_a_key(client, log):
    client.get("/sign-up/")
    assert [found["user_id"] for found in contexts(log)] == [User.objects.get().pk]


def test_p9_a_failing_request_leaves_nothing(client, log):
    with pytest.raises(LookupError):
        client.get("/fail/")
    Tag.objects.create(code="outside")
    assert contexts(log) == [{**ANONYMOUS, "path": "/fail/"}, {}]


def test_a14_what_is_around_a_request_stays(client, log):
    with context(test=1):
        client.get("/write/a/")
        assert current_context() == {"test": 1}
    assert contexts(log) == [{**ANONYMOUS, "path": "/write/a/", "test": 1}]


@pytest.mark.parametrize(
    ("function", "error"),
    [
        ("failing_context", "ZeroDivisionError"),
        ("wrong_context", "TypeError"),
        ("none_context", "TypeError"),
        ("missing", "ImportError"),
        ("breaking_context", "ProgrammingError"),
    ],
)
@pytest.mark.parametrize("path", ["/write-twice/", "/write-in-atomic/"])
def test_a16_a_function_that_fails(client, log, settings, caplog, function, error, path):
    settings.BEMI_CONTEXT_FUNCTION = f"{context_views.__name__}.{function}"
    with caplog.at_level(logging.WARNING, "bemi_orm"), context(job=1):
        assert client.get(path).status_code == 200
    found = contexts(log)
    assert [(each["job"], each["_bemi_error"]) for each in found] == [(1, error)] * 2
    assert counters.counts() == {counters.FUNCTION_FAILED: 2}
    assert len(caplog.records) == 1
    assert error in caplog.text
    assert "secret" not in caplog.text


def test_a16_a_function_that_breaks_the_transaction_and_hides_it(client, log, settings):
    use(settings, context_views.breaking_quietly_context)
    assert client.get("/write-in-atomic/").status_code == 200
    assert contexts(log) == [{"quiet": True}] * 2


def test_a_function_may_query(client, log, settings, ann):
    use(settings, context_views.querying_context)
    client.force_login(ann)
    log.rows()
    client.get("/write-in-atomic/")
    assert [(found["tags"], found["user_id"]) for found in contexts(log)] == [(0, ann.pk)] * 2


def test_what_the_function_itself_writes_has_no_context(client, log, settings):
    use(settings, context_views.writing_context)
    client.get("/write/a/")
    assert contexts(log) == [{}, {"inner": {}}]


def test_streamed_bodies(client, log):
    response = client.get("/stream/")
    assert current_context() == {}
    assert b"".join(response.streaming_content) == b"a/stream/"
    assert contexts(log) == [{**ANONYMOUS, "path": "/stream/"}]


def test_files_are_left_to_the_server(tmp_path):
    (tmp_path / "file").write_bytes(b"content")
    sent = FileResponse((tmp_path / "file").open("rb"))
    response = BemiMiddleware(lambda request: sent)(RequestFactory().get("/"))
    assert response.file_to_stream is not None
    assert response.getvalue() == b"content"
    response.close()


def test_a9_async_views(log):
    async def run():
        return await AsyncClient().get("/write-async/a/")

    assert run_async(run).status_code == 200
    first, *tasks = contexts(log)
    expected = {**ANONYMOUS, "path": "/write-async/a/", "code": "a"}
    assert first == expected
    assert sorted(task.pop("task") for task in tasks) == [0, 1]
    assert tasks == [expected] * 2


def test_a9_async_streams(log):
    async def run():
        response = await AsyncClient().get("/stream-async/")
        return [chunk async for chunk in response.streaming_content]

    assert run_async(run) == [b"a"]
    assert contexts(log) == [{**ANONYMOUS, "path": "/stream-async/"}]


@pytest.mark.parametrize("kind", ["write", "write-async"])
def test_p8_concurrent_requests_never_mix(log, kind):
    async def run():
        client = AsyncClient()
        await asyncio.gather(*(client.get(f"/{kind}/t{number}/") for number in range(50)))

    run_async(run)
    rows = log.rows()
    paths = {}
    for row in rows:
        paths.setdefault(row.context["request_id"], set()).add(row.context["path"])
    assert sorted(path for found in paths.values() for path in found) == sorted(
        f"/{kind}/t{number}/" for number in range(50)
    )
    assert len(rows) == (50 if kind == "write" else 150)
    assert all(row.context.get("code", "") in row.context["path"] for row in rows)


def test_p8_gathered_tasks_each_its_own(log):
    async def task(number):
        async with context(number=number):
            await asyncio.sleep(0)
            await Tag.objects.acreate(code=str(number))

    async def run():
        await asyncio.gather(*(task(number) for number in range(50)))

    run_async(run)
    assert sorted(found["number"] for found in contexts(log)) == list(range(50))
    assert set(Tag.objects.values_list("code", flat=True)) == {str(number) for number in range(50)}


def test_sync_and_async_chains():
    async def get_response(request):
        return HttpResponse(str(current_context()["path"]))

    middleware = BemiMiddleware(get_response)
    assert iscoroutinefunction(middleware)
    response = asyncio.run(middleware(RequestFactory().get("/a")))
    assert response.content == b"/a"
