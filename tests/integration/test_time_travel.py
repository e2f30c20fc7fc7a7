import pytest
from django.db.models import Count, Exists, OuterRef, Prefetch, Sum

from bemi_orm import time_travel
from tests.integration.travels import Trail
from tests.todos.models import Tag, Todo, TodoList

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])


@pytest.fixture(params=["default", "other"])
def trail(request, settings):
    trail = Trail(settings, request.param)
    trail.open()
    yield trail
    trail.close()


def test_joins_aggregates_and_prefetches(trail, django_assert_num_queries):
    home, work = TodoList.objects.create(name="home"), TodoList.objects.create(name="work")
    milk = Todo.objects.create(list=home, task="milk", price="1.10", meta={"a": [1, None]})
    Todo.objects.create(list=home, task="bread", price="2.25")
    Todo.objects.create(list=work, task="report")
    red = Tag.objects.create(code="red")
    milk.tags.add(red)
    then = trail.now()
    TodoList.objects.filter(pk=home.pk).update(name="HOME")
    milk.tags.clear()
    Todo.objects.filter(task="bread").delete()
    Todo.objects.update(task="changed", price=9)
    work.delete()
    after = trail.now()
    TodoList.objects.create(name="later")
    trail.drain()
    with time_travel(then):
        assert Todo.objects.get(pk=milk.pk).meta == {"a": [1, None]}
        assert list(Todo.objects.values_list("task", "list__name").order_by("id")) == [
            ("milk", "home"), ("bread", "home"), ("report", "work"),
        ]  # fmt: skip
        lists = TodoList.objects.annotate(n=Count("todos"), total=Sum("todos__price")).order_by("name")
        assert [(row.name, row.n, str(row.total)) for row in lists] == [
            ("home", 2, "3.35"),
            ("work", 1, "1.10"),
        ]
        with django_assert_num_queries(3, connection=_connection(trail)):
            fetched = TodoList.objects.prefetch_related(
                Prefetch("todos", Todo.objects.order_by("id")), "todos__tags"
            )
            tags = {
                todo.task: [tag.code for tag in todo.tags.all()]
                for row in fetched
                for todo in row.todos.all()
            }
        assert tags == {"milk": ["red"], "bread": [], "report": []}
        assert Todo.objects.select_related("list").get(task="report").list.name == "work"
        tagged = Exists(Tag.objects.filter(todo=OuterRef("pk")))
        assert [todo.task for todo in Todo.objects.filter(tagged)] == ["milk"]
        assert [todo.task for todo in Todo.objects.raw("SELECT * FROM todos_todo WHERE price > %s", [2])] == [
            "bread"
        ]
        assert Todo.objects.filter(list__in=TodoList.objects.filter(name="home")).count() == 2
    with time_travel(after):
        assert list(Todo.objects.values_list("task", "list__name", "tags")) == [("changed", "HOME", None)]
    assert TodoList.objects.filter(name="later").exists()


def _connection(trail):
    from django.db import connections

    return connections[trail.alias]
