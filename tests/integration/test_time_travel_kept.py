"""Instances that are read in the past and kept: good for their values, and for nothing that mixes times."""

import copy
import pickle

import pytest
from django.contrib.contenttypes.models import ContentType
from django.db.models import prefetch_related_objects

from bemi_orm import Change, time_travel
from bemi_orm.exceptions import HistoricInstanceError, PastInstanceError
from tests.integration.travels import Trail
from tests.todos.models import Tag, Todo, TodoList

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])


@pytest.fixture(params=["default", "other"])
def then(request, settings):
    """The moment of a todo that was changed since."""
    trail = Trail(settings, request.param)
    trail.open()
    home = TodoList.objects.create(name="old")
    todo = Todo.objects.create(task="old", list=home)
    todo.tags.add(Tag.objects.create(code="red"))
    ContentType.objects.filter(model="todo").update(model="todo")  # so that it is stored
    then = trail.now()
    TodoList.objects.update(name="new")
    Todo.objects.update(task="new")
    trail.drain()
    yield then
    trail.close()


@pytest.fixture
def kept(then):
    with time_travel(then):
        return Todo.objects.defer("meta").get()


def save_elsewhere(todo):
    todo.save(using="default")


USES = {
    "parent": lambda todo: todo.list,
    "children": lambda todo: todo.tags.count(),
    "prefetch": lambda todo: prefetch_related_objects([todo], "list", "tags"),
    "deferred field": lambda todo: todo.meta,
    "refresh": lambda todo: todo.refresh_from_db(),
    "save": lambda todo: todo.save(),
    "save fields": lambda todo: todo.save(update_fields=["task"]),
    "save by alias": save_elsewhere,
    "delete": lambda todo: todo.delete(),
    "add": lambda todo: todo.tags.add("blue"),
    "clear": lambda todo: todo.tags.clear(),
    "add to live": lambda todo: TodoList.objects.get().todos.add(todo, bulk=False),
    "point to it": lambda todo: Todo.tags.through(todo=todo, tag_id="red"),
    "neighbour": lambda todo: todo.get_next_by_updated_at(),
    "copy": lambda todo: copy.copy(todo).list,
    "deep copy": lambda todo: copy.deepcopy(todo).save(),
    "pickle": lambda todo: pickle.loads(pickle.dumps(todo)).list,
}


@pytest.mark.parametrize("then", ["default"], indirect=True)
@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_p18_nothing_of_a_kept_instance_reaches_the_present(kept, use):
    Tag.objects.create(code="blue")
    with pytest.raises(PastInstanceError, match=r"read inside time_travel\(\)") as caught:
        use(kept)
    assert isinstance(caught.value, HistoricInstanceError)
    live = Todo.objects.get()
    assert (live.task, [tag.code for tag in live.tags.all()]) == ("new", ["red"])


def test_p18_inside_all_is_as_ever_and_what_was_read_stays(then):
    with time_travel(then):
        todo = Todo.objects.select_related("list").prefetch_related("tags").defer("meta").get()
        again = pickle.loads(pickle.dumps(copy.copy(todo)))
        assert (todo.meta, again.meta, again.list.name, again.tags.get().code) == ({}, {}, "old", "red")
        again.task = "mine"
        again.refresh_from_db()
    assert (again.task, todo.list.name, [tag.code for tag in todo.tags.all()]) == ("old", "old", ["red"])
    assert Todo.objects.filter(pk=todo.pk, list=todo.list, tags__in=todo.tags.all()).get() == todo
    for related in (todo.list, todo.tags.all()[0]):
        with pytest.raises(PastInstanceError, match=f"A {type(related).__name__} that"):
            related.refresh_from_db()


@pytest.mark.parametrize("then", ["default"], indirect=True)
def test_p18_at_another_moment_it_is_refused_at_the_same_it_is_not(kept, then):
    newest = Change.objects.desc()[0]
    with time_travel(then):
        assert kept.list.name == "old"
        with time_travel(newest):
            todo = Todo.objects.get()
            with pytest.raises(PastInstanceError):
                kept.refresh_from_db()
            assert todo.list.name == "new"
        with pytest.raises(PastInstanceError):
            todo.refresh_from_db()
        kept.refresh_from_db()


@pytest.mark.parametrize("then", ["default"], indirect=True)
def test_its_history_can_be_asked_and_undone(kept, then):
    assert [change.operation for change in kept.bemi_history()] == ["CREATE", "UPDATE"]
    assert kept.bemi_as_of(then).task == "old"
    kept.bemi_revert(then, missing_parents="skip")
    assert Todo.objects.get().task == "old"


@pytest.mark.parametrize("then", ["default"], indirect=True)
def test_a_new_instance_that_was_made_inside_is_saved_outside(then):
    with time_travel(then):
        one, two = Todo(task="one", list=TodoList.objects.get()), Todo(task="two")
        todo = Todo.objects.get()
    one.save()
    Todo.objects.bulk_create([two])
    for made in (one, two):
        made.refresh_from_db()
        made.save()
    todo.pk, todo._state.adding = None, True  # Django's way to make a copy
    todo.save()
    assert todo.list.name == "new"
    assert sorted(Todo.objects.values_list("task", flat=True)) == ["new", "old", "one", "two"]


@pytest.mark.parametrize("then", ["default"], indirect=True)
def test_an_instance_from_before_stays_one_of_the_present(then):
    live = Todo.objects.get()
    with time_travel(then):
        assert live.list.name == "old"
    live.refresh_from_db()
    live.save()
    assert live.list_id == TodoList.objects.get().pk


@pytest.mark.parametrize("then", ["default"], indirect=True)
def test_p18_a_generic_relation_asks_no_router_and_is_refused(kept):
    """It takes the alias from the state of its instance."""
    with pytest.raises(PastInstanceError):
        kept._state.db  # noqa: B018


@pytest.mark.parametrize("then", ["default"], indirect=True)
def test_what_django_caches_for_all_times_is_free(then):
    ContentType.objects.clear_cache()
    with time_travel(then):
        found = ContentType.objects.get_for_model(Todo)
    assert ContentType.objects.get_for_model(Todo) is found
    found.refresh_from_db()
