"""What a task of `django.tasks` writes has its name and id, and the context of its caller."""

import django
import pytest

from bemi_orm.transport.scope import context, current_context

if django.VERSION < (6, 0):
    pytest.skip("django.tasks came with Django 6.0", allow_module_level=True)

MODULE = "tests.integration.context_tasks"
IMMEDIATE = "django.tasks.backends.immediate.ImmediateBackend"
pytestmark = pytest.mark.django_db(transaction=True, databases=["default"])


@pytest.fixture(autouse=True)
def _backends(settings):
    settings.TASKS = {
        "default": {"BACKEND": IMMEDIATE},
        "carrying": {"BACKEND": f"{MODULE}.CarryingBackend"},
        "distant": {"BACKEND": f"{MODULE}.DistantBackend"},
    }


@pytest.fixture
def tasks(_backends):
    from tests.integration import context_tasks

    return context_tasks


def contexts(log):
    return [{key: value for key, value in row.context.items() if key != "SQL"} for row in log.rows()]


def test_a11_a_task_in_place(tasks, log):
    with context(user=1):
        result = tasks.write.enqueue("a")
        assert current_context() == {"user": 1}
    tasks.write.enqueue("b")
    first, second = contexts(log)
    name = f"{MODULE}.write"
    assert first == {"user": 1, "task_name": name, "task_id": result.id, "left_over": True}
    assert second.keys() == {"task_name", "task_id", "left_over"}


@pytest.mark.parametrize("name", ["write_far_away", "write_far_away_async"])
def test_a11_a_task_elsewhere(tasks, log, name):
    task = getattr(tasks, name)
    with context(user=1, path="/é'%"):
        result = task.enqueue("a")
        task.using(backend="distant").enqueue("b")
    assert result.errors == []
    carried, lost = contexts(log)
    assert carried == {"user": 1, "path": "/é'%", "task_name": f"{MODULE}.{name}", "task_id": result.id}
    assert lost.keys() == {"task_name", "task_id"}


def test_a14_a_failing_task_leaves_nothing(tasks):
    with context(user=1):
        assert "left_over" in tasks.fail.enqueue().errors[0].traceback
        assert current_context() == {"user": 1}
    assert current_context() == {}
