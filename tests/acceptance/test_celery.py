"""P10: what a Celery task writes has the context of its caller, in eager mode and in a worker's processes."""

import os
import subprocess
import sys

import pytest
from django.db import connection

from bemi_orm.transport.scope import context, current_context
from tests.integration.context_log import ContextLog
from tests.todos.models import Tag

pytest.importorskip("celery")
pytestmark = pytest.mark.django_db(transaction=True, databases=["default"])
TIMEOUT_SECONDS = 60
CALLER = {"user_id": 7, "path": "/é'%\ud800"}
CARRIED = {"user_id": 7, "path": "/é'%\ufffd", "_bemi_replaced": ["path"]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("celery")
    (folder / "control").mkdir()
    os.environ["BEMI_TEST_CELERY_FOLDER"] = str(folder)
    yield folder
    del os.environ["BEMI_TEST_CELERY_FOLDER"]


@pytest.fixture(scope="module")
def site(folder):
    from tests.acceptance import celery_site

    return celery_site


@pytest.fixture(scope="module", params=["prefork", "threads"])
def worker(request, folder, site, django_db_setup):
    """A worker on the test database, with two processes or threads."""
    words = ["worker", "--pool", request.param, "--concurrency", "2", "--loglevel", "warning"]
    words += ["--without-gossip", "--without-mingle", "--without-heartbeat"]
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "tests.settings",
        "BEMI_TEST_DATABASE": connection.settings_dict["NAME"],
        "C_FORCE_ROOT": "1",
    }
    with (folder / f"{request.param}.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "celery", "-A", "tests.acceptance.celery_site:app", *words],
            env=environment,
            stdout=log,
            stderr=log,
        )
    yield process
    process.terminate()
    process.wait(TIMEOUT_SECONDS)


@pytest.fixture
def log():
    log = ContextLog()
    yield log
    log.close()


@pytest.fixture
def eager(site):
    site.app.conf.task_always_eager = True
    yield site
    site.app.conf.task_always_eager = False


def contexts(log):
    """Give the contexts of the rows in order, without what differs from run to run."""
    found = [{key: value for key, value in row.context.items() if key != "SQL"} for row in log.rows()]
    return [{key: value for key, value in each.items() if key != "task_id"} for each in found]


def named(name, **keys):
    return {**CARRIED, **keys, "task_name": name}


def wait(result):
    return result.get(timeout=TIMEOUT_SECONDS)


@pytest.mark.usefixtures("worker")
class TestWorker:
    """A worker of its own, with a broker between it and the caller."""

    def test_p10_the_callers_context_and_the_task(self, site, log):
        with context(**CALLER):
            result = site.write.delay("a")
        wait(result)
        (row,) = log.rows()
        row.context.pop("SQL")
        assert row.context == named("write", task_id=result.id)

    def test_children_carry_what_their_parent_adds(self, site, log):
        with context(**CALLER):
            result = site.write_and_call.delay("a")
        wait(result)
        (child,) = result.children
        wait(child)
        assert contexts(log) == [named("write_and_call", step="parent"), named("write", step="parent")]

    def test_retries(self, site, log):
        with context(**CALLER):
            result = site.write_twice.delay("a")
        wait(result)
        assert contexts(log) == [named("write_twice")] * 2
        assert set(Tag.objects.values_list("code", flat=True)) == {"a-0", "a-1"}

    def test_chains(self, site, log):
        from celery import chain

        with context(**CALLER):
            result = chain(site.write.si("a"), site.write.si("b"), site.write.si("c")).apply_async()
        wait(result)
        assert contexts(log) == [named("write")] * 3

    def test_chords(self, site, log):
        from celery import chord

        with context(**CALLER):
            result = chord([site.write.si("a"), site.write.si("b")], app=site.app)(site.write.si("c"))
        wait(result)
        assert contexts(log) == [named("write")] * 3

    def test_a14_nothing_is_left_for_the_next_task(self, site, log):
        with context(**CALLER):
            failed = [site.fail.delay(f"f{number}") for number in range(4)]
        for result in failed:
            with pytest.raises(LookupError):
                wait(result)
        for number in range(4):
            wait(site.write.delay(f"n{number}"))
        assert contexts(log) == [named("fail", left_over=True)] * 4 + [{"task_name": "write"}] * 4


def test_p10_eager_mode(eager, log):
    with context(**CALLER):
        eager.write_and_call.delay("a")
        assert current_context() == CALLER
        eager.write_twice.delay("b")
    assert contexts(log) == [
        named("write_and_call", step="parent"),
        named("write", step="parent"),
        *[named("write_twice")] * 2,
    ]


def test_a14_an_eager_failure_leaves_nothing(eager, log):
    with context(**CALLER):
        assert eager.fail.delay("a").failed()
        assert current_context() == CALLER
    assert current_context() == {}


def test_what_is_not_json_costs_the_context_not_the_task(site, log):
    site.write.apply(["a"], headers={"bemi_context": "{broken"})
    site.write.apply(["b"], headers={"bemi_context": "[1]"})
    assert contexts(log) == [{"task_name": "write"}] * 2
