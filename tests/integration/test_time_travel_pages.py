"""Pages that know nothing of the past show it, with the queries that they take for the present."""

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.db import connection
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext
from django.urls import path
from rest_framework.generics import ListAPIView
from rest_framework.serializers import CharField, ModelSerializer, SlugRelatedField

from bemi_orm import time_travel
from tests.integration.travels import Trail
from tests.todos.models import Tag, Todo, TodoList

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])


class TodoAdmin(admin.ModelAdmin):
    list_display = ("task", "list_name")
    list_filter = ("is_completed", "list")
    list_select_related = ("list",)
    search_fields = ("task", "list__name")
    ordering = ("pk",)

    def list_name(self, todo):
        return f"in {todo.list.name}"


site = admin.AdminSite()
site.register(Todo, TodoAdmin)
urlpatterns = [path("admin/", site.urls)]


class TodoSerializer(ModelSerializer):
    list = CharField(source="list.name")
    tags = SlugRelatedField("code", many=True, read_only=True)

    class Meta:
        model = Todo
        fields = ("id", "task", "list", "tags")


class TodoView(ListAPIView):
    queryset = Todo.objects.select_related("list").prefetch_related("tags").order_by("pk")
    serializer_class = TodoSerializer


@pytest.fixture
def then(settings):
    """The moment of two todos of a list; one is left, with another name."""
    trail = Trail(settings)
    trail.open()
    home = TodoList.objects.create(name="home")
    milk, _ = (Todo.objects.create(task=task, list=home) for task in ("milk", "bread"))
    milk.tags.add(Tag.objects.create(code="red"))
    then = trail.lsn()
    Todo.objects.filter(task="bread").delete()
    Todo.objects.update(task="wine")
    TodoList.objects.update(name="party")
    milk.tags.clear()
    trail.drain()
    yield then
    trail.close()


@pytest.fixture
def request_of_admin(transactional_db, settings):
    settings.ROOT_URLCONF = __name__
    request = RequestFactory().get("/", {"q": "i", "o": "1"})
    request.user = User.objects.create_superuser("ann")
    return request


def render_changelist(request):
    return site.get_model_admin(Todo).changelist_view(request).render().content.decode()


def render_api():
    return TodoView.as_view(permission_classes=[])(RequestFactory().get("/")).data


def count(render, *args):
    with CaptureQueriesContext(connection) as queries:
        answer = render(*args)
    return answer, len(queries)


def travel(moment, render, *args):
    with time_travel(moment):
        return render(*args)


def test_the_admin_changelist_is_of_the_past(then, request_of_admin):
    live, queries = count(render_changelist, request_of_admin)
    past, past_queries = count(travel, then, render_changelist, request_of_admin)
    assert [text in past for text in ("milk", "wine", "in home", "in party", "1 todo")] == [
        True, False, True, False, True,
    ]  # fmt: skip
    assert [text in live for text in ("milk", "wine", "in home", "in party", "1 todo")] == [
        False, True, False, True, True,
    ]  # fmt: skip
    assert past_queries - queries == _statements_to_enter(then)


def test_an_api_view_is_of_the_past(then):
    live, queries = count(render_api)
    past, past_queries = count(travel, then, render_api)
    assert [(row["task"], row["list"], row["tags"]) for row in live] == [("wine", "party", [])]
    assert [(row["task"], row["list"], row["tags"]) for row in past] == [
        ("milk", "home", ["red"]),
        ("bread", "home", []),
    ]
    assert (queries, past_queries - queries) == (2, _statements_to_enter(then))


def _statements_to_enter(moment):
    return count(travel, moment, lambda: None)[1]
