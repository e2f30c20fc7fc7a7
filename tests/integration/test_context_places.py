"""A11: threads, executors, signals, `on_commit` and the admin."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.db import connections, transaction
from django.db.models.signals import post_save
from django.urls import path

from bemi_orm.transport.scope import context, current_context
from bemi_orm.transport.threads import carry_context
from tests.todos.models import Tag, TodoList

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])
site = admin.AdminSite()
site.register(Tag)
urlpatterns = [path("admin/", site.urls)]


def contexts(log):
    return [{key: value for key, value in row.context.items() if key != "SQL"} for row in log.rows()]


def write(code):
    """Write in a thread, whose connections nobody else would close."""
    context(code=code)
    try:
        Tag.objects.create(code=code)
    finally:
        connections.close_all()
    return current_context()


def test_a11_an_executor(log):
    with context(user=1), ThreadPoolExecutor(2) as executor:
        results = list(executor.map(carry_context(write), ["a", "b", "c"]))
        plain = executor.submit(current_context).result()
        assert current_context() == {"user": 1}
    expected = [{"user": 1, "code": code} for code in "abc"]
    assert results == expected
    assert plain == {}
    assert sorted(contexts(log), key=lambda found: found["code"]) == expected


def test_a11_a_thread_keeps_the_scope_of_its_creator():
    seen = []
    with context(user=1):
        thread = threading.Thread(target=carry_context(lambda: seen.append(current_context())))
    with context(user=2):
        thread.start()
        thread.join()
    assert seen == [{"user": 1}]


def test_a14_an_error_passes_and_leaves_nothing():
    def fail():
        context(left_over=1)
        raise LookupError

    run = carry_context(fail)
    with context(user=1), pytest.raises(LookupError):
        run()
    assert current_context() == {}


def test_without_a_scope_the_function_has_none():
    run = carry_context(current_context)
    with context(user=1):
        assert run() == {}


def test_a11_signals_and_on_commit(log):
    def write_too(instance, **kwargs):
        Tag.objects.create(code="signal")
        transaction.on_commit(lambda: Tag.objects.create(code="committed"))

    post_save.connect(write_too, sender=TodoList)
    try:
        with context(user=1), transaction.atomic():
            TodoList.objects.create(name="a")
    finally:
        post_save.disconnect(write_too, sender=TodoList)
    assert contexts(log) == [{"user": 1}] * 3


@pytest.mark.urls(__name__)
def test_a11_the_admins_own_log_names_the_same_user(client, log):
    user = User.objects.create_superuser("ann")
    client.force_login(user)
    log.rows()
    assert client.post("/admin/todos/tag/add/", {"code": "a"}).status_code == 302
    assert LogEntry.objects.get().user_id == user.pk
    rows = {row.table: row.context for row in log.rows()}
    assert {rows[name]["user_id"] for name in ("todos_tag", "django_admin_log")} == {user.pk}
