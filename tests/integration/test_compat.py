"""B12: code that was written for bemi-django goes on with the import changed."""

import importlib
import subprocess
import sys
from contextvars import Context

import pytest
from django.core.exceptions import FieldError
from django.db import models
from django.test import RequestFactory
from django.test.utils import isolate_apps

from bemi_orm import Change, compat, context, current_context
from bemi_orm.compat import BemiChange, BemiChangeManager, BemiRecordMixin, bemi_context_var, get_bemi_context
from bemi_orm.transport.middleware import BemiMiddleware
from tests.integration import context_views
from tests.integration.rows import store
from tests.todos.models import Tag, Todo


class OldTodo(BemiRecordMixin, Todo):
    class Meta:
        proxy = True
        app_label = "todos"


@pytest.mark.django_db
class TestRecords:
    """Models and queries."""

    @pytest.fixture
    def todo(self):
        return OldTodo.objects.create(task="a")

    @pytest.fixture
    def changes(self, todo):
        row = {"id": todo.pk, "task": "a", "list_id": None}
        moved = row | {"list_id": 5}
        return [
            store(key=todo.pk, after=row, context={"user_id": 1}),
            store(key=todo.pk, operation="UPDATE", before=row, after=row | {"task": "b"}),
            store(key=todo.pk, operation="UPDATE", before=row, after=moved),
        ]

    @pytest.mark.parametrize(
        ("name", "places"), [(None, [0, 1, 2]), ("task", [0, 1]), ("list_id", [0, 2]), ("list", [0, 2])]
    )
    def test_changes_of_a_row(self, todo, changes, name, places):
        found = todo.bemi_changes(field_name=name)
        assert [change.pk for change in found] == [changes[place] for place in places]

    @isolate_apps("tests.todos")
    @pytest.mark.parametrize("name", ["title", "task"])
    def test_changes_of_a_column_whose_field_has_another_name(self, name):
        class Renamed(BemiRecordMixin, models.Model):
            title = models.TextField(db_column="task")

            class Meta:
                app_label = "todos"
                db_table = "todos_todo"

        expected = store(key=7, operation="UPDATE", before={"task": "a"}, after={"task": "b"})
        store(key=7, operation="UPDATE", before={"task": "b"}, after={"task": "b"})
        record = Renamed.from_db("default", ["id", "title"], [7, "b"])
        assert [change.pk for change in record.bemi_changes(name)] == [expected]

    def test_no_such_field(self, todo):
        with pytest.raises(FieldError, match="'missing'"):
            todo.bemi_changes("missing")

    def test_the_model_and_its_manager(self, todo, changes):
        assert BemiChange is Change
        assert isinstance(BemiChange.objects, BemiChangeManager)
        found = BemiChange.objects.filter(table="todos_todo").created().context({"user_id": 1}).desc()
        assert [change.pk for change in found] == changes[:1]
        changed = BemiChange.objects.field_changed("todos_todo", todo.pk, "list_id")
        assert [change.pk for change in changed.updated()] == changes[2:]


def test_the_models_load_when_they_are_asked_for():
    code = "import bemi_orm.compat, sys; assert 'bemi_orm.models' not in sys.modules"
    settings = "from django.conf import settings; settings.configure()"
    subprocess.run([sys.executable, "-c", f"{settings}; {code}"], check=True)
    with pytest.raises(AttributeError, match="missing"):
        _ = compat.missing


def test_every_name_is_there():
    module = importlib.import_module("bemi_orm.compat")
    assert [name for name in module.__all__ if not hasattr(module, name)] == []


def test_the_variable_outside_of_any_scope():
    def run():
        assert bemi_context_var.get(None) is None
        with pytest.raises(LookupError, match="bemi_context"):
            bemi_context_var.get()
        token = bemi_context_var.set({"user_id": 1})
        seen = bemi_context_var.get()
        bemi_context_var.reset(token)
        return seen, bemi_context_var.get(None)

    assert Context().run(run) == ({"user_id": 1}, None)


def test_the_variable_replaces_the_running_scope_to_its_end():
    with context(user=1):
        with context(step=2):
            bemi_context_var.set({"job": 3})
            assert current_context() == bemi_context_var.get() == {"job": 3}
            bemi_context_var.set(None)
            assert current_context() == {}
        assert current_context() == {"user": 1}
    assert current_context() == {}


def test_the_variable_replaces_the_requests_context():
    def view(request):
        bemi_context_var.set({"job": 3})
        return current_context()

    assert BemiMiddleware(view)(RequestFactory().get("/")) == {"job": 3}
    assert current_context() == {}


@pytest.mark.django_db(transaction=True)
def test_what_is_written_under_the_variable(log):
    def run():
        bemi_context_var.set({"job": 3})
        Tag.objects.create(code="a")

    Context().run(run)
    (row,) = log.rows()
    assert row.context == {"job": 3, "SQL": row.context["SQL"]}


def test_the_context_function(settings):
    settings.BEMI_CONTEXT_FUNCTION = f"{context_views.__name__}.counting_context"
    request = RequestFactory().get("/a/")
    context_views.CALLS.clear()
    assert [get_bemi_context(request), get_bemi_context(request)] == [{"calls": 1}, {"calls": 2}]
    settings.BEMI_CONTEXT_FUNCTION = f"{context_views.__name__}.failing_context"
    with pytest.raises(ZeroDivisionError):
        get_bemi_context(request)
