"""By user, by what changed, without what had no effect; renamed tables and columns."""

import uuid
from decimal import Decimal

import pytest
from django.contrib.auth.models import AnonymousUser, User
from django.db import connection

from bemi_orm import Change
from bemi_orm.checks import check_renamed
from tests.integration.rows import plan, store
from tests.todos.models import Document, Todo

pytestmark = pytest.mark.django_db


def ids(queryset):
    return [change.pk for change in queryset]


def updated(before, after, **options):
    return store(operation="UPDATE", before=before, after=after, **options)


def test_by_user_takes_an_instance_its_key_or_the_text_of_it():
    user = User.objects.create(username="a")
    as_number, as_text = store(context={"user_id": user.pk}), store(context={"user_id": str(user.pk)})
    store(context={"user_id": user.pk + 1})
    store(context={"user_id": None})
    store()
    for who in (user, user.pk, str(user.pk)):
        assert ids(Change.objects.by_user(who)) == [as_number, as_text]
    key = user.pk
    user.delete()
    assert ids(Change.objects.by_user(key)) == [as_number, as_text]


def test_by_user_with_a_key_that_is_no_number():
    key = uuid.uuid4()
    expected = store(context={"user_id": str(key)})
    store(context={"user_id": str(uuid.uuid4())})
    assert ids(Change.objects.by_user(key)) == [expected]
    assert ids(Change.objects.by_user(Document(pk=key))) == [expected]


def test_by_user_with_a_text_of_digits_that_no_number_has():
    expected = store(context={"user_id": "007"})
    store(context={"user_id": 7})
    assert ids(Change.objects.by_user("007")) == [expected]


def test_by_user_with_more_digits_than_python_reads_as_a_number():
    expected = store(context={"user_id": "9" * 5_000})
    assert ids(Change.objects.by_user("9" * 5_000)) == [expected]


@pytest.mark.parametrize("nobody", [AnonymousUser(), User(), None])
def test_by_user_without_a_key_is_nothing_and_no_query(nobody, django_assert_num_queries):
    store(context={"user_id": None})
    store()
    with django_assert_num_queries(0):
        assert ids(Change.objects.by_user(nobody)) == []


@pytest.mark.parametrize("setting", ["who", "request__user"])
def test_by_user_goes_by_the_setting(settings, setting):
    settings.BEMI_USER_KEY = setting
    context = {"who": 7, "request": {"user": 7}}
    expected = store(context=context)
    store(context={"user_id": 7})
    assert ids(Change.objects.by_user(7)) == [expected]


def test_changed_knows_fields_of_the_model_and_else_columns():
    task = updated({"id": 1, "task": "a", "list_id": 1}, {"id": 1, "task": "b", "list_id": 1})
    parent = updated({"id": 1, "task": "b", "list_id": 1}, {"id": 1, "task": "b", "list_id": 2})
    nothing = updated({"id": 1, "task": "b"}, {"id": 1, "task": "b"})
    created = store(after={"id": 1, "task": None})
    todos = Change.objects.for_model(Todo)
    assert ids(todos.changed("task")) == [task, created]
    assert ids(todos.changed("list")) == ids(todos.changed("list_id")) == [parent]
    assert ids(todos.changed("task", "list")) == [task, parent, created]
    assert ids(todos.updated().desc().changed("list")) == [parent], "the model is kept on the way"
    assert ids(Change.objects.changed("list_id")) == [parent]
    assert ids(Change.objects.changed("list")) == [], "no model, so it is a column"
    assert ids(todos.changed()) == []
    assert nothing not in ids(todos.changed("id", "task", "list"))


def test_field_changed_finds_a_row_by_the_text_or_number_of_its_key():
    expected = updated({"task": "a"}, {"task": "b"}, key=5)
    updated({"task": "a"}, {"task": "a", "n": 1}, key=5)
    updated({"task": "a"}, {"task": "b"}, key=6)
    updated({"task": "a"}, {"task": "b"}, key=5, table="todos_list")
    for key in (5, "5"):
        assert ids(Change.objects.field_changed("todos_todo", key, "task")) == [expected]
    seat = updated({"taken_by": ""}, {"taken_by": "x"}, key='["A","1"]', table="todos_seat")
    assert ids(Change.objects.field_changed("todos_seat", ("A", 1), "taken_by")) == [seat]


def test_p4_effective_hides_updates_that_changed_nothing_or_only_ignored_fields():
    created = store(after={"id": 1})
    updated({"task": "a", "price": Decimal("1.10")}, {"task": "a", "price": Decimal("1.1")})
    touched = updated({"task": "a", "updated_at": "1"}, {"task": "a", "updated_at": "2"})
    real = updated({"task": "a", "updated_at": "2"}, {"task": "b", "updated_at": "3"})
    unknown = updated({"id": 1}, {"id": 1, "task": "a"})
    deleted = store(operation="DELETE", before={"id": 1})
    truncated = store(operation="TRUNCATE", key=None)
    expected = [created, touched, real, unknown, deleted, truncated]
    assert ids(Change.objects.effective()) == expected
    assert [change.pk for change in Change.objects.all() if change.is_effective] == expected
    expected.remove(touched)
    assert ids(Change.objects.effective(ignore=["updated_at"])) == expected
    assert ids(Change.objects.effective(["updated_at", "no such column"])) == expected


def test_effective_knows_fields_of_the_model():
    updated({"list_id": 1}, {"list_id": 2})
    assert ids(Change.objects.for_model(Todo).effective(ignore=["list"])) == []
    assert len(Change.objects.effective(ignore=["list"])) == 1


def test_instances_are_the_rows_that_changes_left_or_took_away():
    store(key=1, after={"id": 1, "task": "new"})
    store(key=1, operation="UPDATE", before={"id": 1, "task": "new"}, after={"id": 1, "task": "b"})
    store(key=1, operation="DELETE", before={"id": 1, "task": "b"})
    store(key=None, operation="TRUNCATE")
    store(key=1, table="no_model", after={"id": 1})
    rows = Change.objects.instances()
    assert [(type(row), row.pk, row.task) for row in rows] == [
        (Todo, 1, "new"),
        (Todo, 1, "b"),
        (Todo, 1, "b"),
    ]
    assert [row.task for row in Change.objects.desc().created().instances()] == ["new"]


RENAMED = {"todos.Todo": {"tables": ["todos_item"], "columns": {"title": "task", "owner_id": "list_id"}}}


def test_p29_history_outlives_a_rename_of_table_and_columns(settings):
    settings.BEMI_RENAMED = RENAMED
    old = store(table="todos_item", key=5, after={"id": 5, "title": "a", "owner_id": 1, "gone": True})
    between = store(
        table="todos_item", key=5, operation="UPDATE",
        before={"id": 5, "title": "a", "owner_id": 1}, after={"id": 5, "title": "b", "owner_id": 1},
    )  # fmt: skip
    new = store(
        key=5, operation="UPDATE",
        before={"id": 5, "task": "b", "list_id": 1}, after={"id": 5, "task": "b", "list_id": 2},
    )  # fmt: skip
    todo = Todo(pk=5)
    todo._state.adding = False
    assert (
        ids(Change.objects.for_model(Todo)) == ids(Change.objects.for_instance(todo)) == [old, between, new]
    )
    assert ids(Change.objects.for_instance(todo).changed("task")) == [old, between]
    assert ids(todo.bemi_history("list")) == [old, new]
    first, second, third = Change.objects.all()
    assert [part.field for part in first.diff()] == ["id", "list_id", "task", "gone"]
    assert [(part.field, part.old, part.new) for part in second.diff()] == [("task", "a", "b")]
    assert [(part.field, part.old, part.new) for part in third.diff()] == [("list_id", 1, 2)]
    assert (first.instance.task, first.instance.list_id, first.instance.bemi_extra) == (
        "a",
        1,
        {"gone": True},
    )


@pytest.mark.parametrize(
    ("renamed", "reason"),
    [
        ({"todos.Tood": {"tables": ["x"]}}, "doesn't have a 'Tood' model"),
        ({"todo": {}}, "BEMI_RENAMED"),
        ({"todos.Todo": {"columns": {"title": "tsak"}}}, "todos.Todo has no column 'tsak'"),
    ],
)
def test_p29_rename_of_what_does_not_exist_is_a_warning(settings, renamed, reason):
    settings.BEMI_RENAMED = renamed
    [warning] = check_renamed(None)
    assert warning.id == "bemi_orm.W005"
    assert reason in warning.msg


def test_p29_rename_of_what_exists_is_none(settings):
    settings.BEMI_RENAMED = RENAMED
    assert list(check_renamed(None)) == []


def test_context_look_ups_that_no_index_serves_still_work():
    low, high = store(context={"n": 1, "t": "a"}), store(context={"n": 10})
    empty = store(context={"n": None})
    changes = Change.objects
    assert ids(changes.filter(context__n__gt=1)) == [high]
    assert ids(changes.filter(context__n__range=(1, 9))) == [low]
    assert ids(changes.by_context(n__gte=1, t__startswith="a")) == [low]
    assert ids(changes.filter(context__t__isnull=True)) == [high, empty]
    assert ids(changes.filter(context__t__isnull=False)) == [low]
    assert ids(changes.filter(context__n=None)) == [empty]


@pytest.mark.parametrize(
    ("look_up", "value"),
    [
        ("context__user_id", 77),
        ("context__user_id__in", [77, "77"]),
        ("context__request__method", "M77"),
        ("context__request__contains", {"method": "M77"}),
        ("context__tags__contains", [77]),
        ("context__contains", {"request": {"method": "M77"}}),
    ],
)
def test_context_look_ups_reach_the_gin_index(look_up, value):
    with connection.cursor() as cursor:
        cursor.execute(
            'INSERT INTO changes (id, database, schema, "table", primary_key, operation, context, '
            "committed_at, queued_at, transaction_id, position, ordinal) "
            "SELECT gen_random_uuid(), 'd', 's', 't', n::text, "
            "'UPDATE', jsonb_build_object('user_id', n, 'tags', jsonb_build_array(n, 0), 'request', "
            "jsonb_build_object('method', 'M' || n)), now(), now(), n, n, 0 FROM generate_series(1, 2000) n"
        )
        cursor.execute("ANALYZE changes")
    found = Change.objects.filter(**{look_up: value})
    assert [change.primary_key for change in found] == ["77"]
    assert "changes_default_context_idx" in plan(found)


def test_by_user_reaches_the_gin_index():
    assert "changes_default_context_idx" in plan(Change.objects.by_user(7).order_by())


@pytest.mark.parametrize("value", [1, "a", True])
def test_contains_of_a_scalar_is_that_of_django(value):
    inside, same = store(context={"a": [1, "a", True]}), store(context={"a": value})
    store(context={"a": {"b": value}})
    assert ids(Change.objects.filter(context__a__contains=value)) == [inside, same]
