import pytest
from asgiref.sync import async_to_sync
from django.core.exceptions import FieldError

from bemi_orm import BemiMixin, Change
from bemi_orm.diffing import UNKNOWN
from tests.integration.rows import store
from tests.todos.models import Document, Seat, SpecialDocument, Todo

pytestmark = pytest.mark.django_db


@pytest.fixture
def todo():
    return Todo.objects.create(task="x")


def ids(queryset):
    return [change.pk for change in queryset]


def history_of(todo):
    """Create, change two fields one by one, touch, delete; and a change of another row."""
    row = {"id": todo.pk, "task": "a", "is_completed": False, "price": 1, "list_id": None}
    done = row | {"is_completed": True}
    renamed = done | {"task": "b", "list_id": 5}
    store(key=todo.pk + 1, after=row)
    return {
        "created": store(key=todo.pk, operation="CREATE", after=row),
        "done": store(key=todo.pk, operation="UPDATE", before=row, after=done),
        "renamed": store(key=todo.pk, operation="UPDATE", before=done, after=renamed),
        "touched": store(key=todo.pk, operation="UPDATE", before=renamed, after=renamed),
        "deleted": store(key=todo.pk, operation="DELETE", before=renamed),
    }


def test_history_is_that_of_the_row(todo):
    changes = history_of(todo)
    assert ids(todo.bemi_history()) == list(changes.values())
    assert ids(todo.bemi_history().updated().desc()) == [
        changes[name] for name in ("touched", "renamed", "done")
    ]


@pytest.mark.parametrize(
    ("field", "names"),
    [
        ("task", ["created", "renamed", "deleted"]),
        ("is_completed", ["created", "done", "deleted"]),
        ("list", ["created", "renamed", "deleted"]),
        ("list_id", ["created", "renamed", "deleted"]),
        ("price", ["created", "deleted"]),
    ],
)
def test_history_of_a_field_is_what_diff_names(todo, field, names):
    changes = history_of(todo)
    found = todo.bemi_history(field)
    assert ids(found) == [changes[name] for name in names]
    column = Todo._meta.get_field(field).column
    assert ids(found) == [
        change.pk
        for change in todo.bemi_history()
        if column in {difference.field for difference in change.diff()}
    ]


def test_bq6_history_of_a_field_holds_what_is_not_known(todo):
    change_id = store(
        key=todo.pk, operation="UPDATE", before={"id": todo.pk}, after={"id": todo.pk, "task": "a"}
    )
    [change] = todo.bemi_history("task")
    assert change.pk == change_id
    assert change.diff()[0].old is UNKNOWN
    assert ids(todo.bemi_history("id")) == []


def test_p22_history_of_a_field_compares_numbers_by_value(todo):
    store(key=todo.pk, operation="UPDATE", before='{"price": 1.10}', after='{"price": 1.1}')
    assert ids(todo.bemi_history("price")) == []


def test_field_of_a_parent_is_found_in_the_table_of_the_parent():
    special = SpecialDocument.objects.create(title="x", level=1)
    parents = store(table="todos_document", key=str(special.pk), operation="CREATE", after={"title": "x"})
    own = store(table="todos_specialdocument", key=str(special.pk), operation="CREATE", after={"level": 1})
    assert ids(special.bemi_history()) == [own]
    assert ids(special.bemi_history("level")) == [own]
    assert ids(special.bemi_history("title")) == [parents]


def test_composite_key():
    seat = Seat.objects.create(row="A", number=1)
    change_id = store(
        table="todos_seat", key='["A","1"]', operation="CREATE", after={"row": "A", "number": 1}
    )
    assert ids(seat.bemi_history("number")) == [change_id]


@pytest.mark.parametrize("name", ["tsak", "tags", "", "todos__x", "pk"])
def test_name_that_is_no_column_is_an_error_that_names_the_fields(todo, name):
    with pytest.raises(
        FieldError, match=r"Todo has no field .* It has: id, is_completed, list, meta, price, task"
    ):
        todo.bemi_history(name)


@pytest.mark.parametrize("instance", [Todo(task="x"), Document(title="x")], ids=["integer", "uuid"])
@pytest.mark.parametrize("arguments", [{}, {"field": "id"}], ids=["all", "field"])
def test_bq7_unsaved_instance_has_no_history_and_costs_no_query(
    instance, arguments, django_assert_num_queries
):
    with django_assert_num_queries(0):
        assert ids(instance.bemi_history(**arguments)) == []


def test_mixin_has_neither_fields_nor_a_model():
    assert not hasattr(BemiMixin, "_meta")
    assert BemiMixin not in {field.model for field in Todo._meta.get_fields()}


def test_async_names_give_the_same(todo):
    history_of(todo)
    row, created, *_ = Todo(pk=todo.pk), *todo.bemi_history()
    row._state.adding = False

    async def ask():
        return [
            await row.bemi_ablame(),
            await row.bemi_adiff(created),
            (await row.bemi_aas_of(created)).task,
            [change.pk async for change in await Change.objects.for_model(Todo).aas_of(created)],
            [await change.areadable_diff() async for change in row.bemi_history()],
        ]

    assert async_to_sync(ask)() == [
        row.bemi_blame(),
        row.bemi_diff(created),
        row.bemi_as_of(created).task,
        ids(Change.objects.for_model(Todo).as_of(created)),
        [change.readable_diff() for change in row.bemi_history()],
    ]
