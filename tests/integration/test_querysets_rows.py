"""Which changes belong to a row: former keys, links, children, parents."""

import uuid

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import Group, User
from django.db import connection, models
from django.test.utils import isolate_apps

from bemi_orm import Change
from bemi_orm.values.instances import instance_from
from tests.integration.rows import next_transaction, plan, store
from tests.todos.models import Document, Seat, SpecialDocument, Tag, Todo, TodoList

pytestmark = pytest.mark.django_db


def ids(queryset):
    return [change.pk for change in queryset]


def at(key, model=Todo, **values):
    """An instance of a row, as if it had been read."""
    instance = model(pk=key, **values)
    instance._state.adding = False
    return instance


def image(key, task="x"):
    return {"id": key, "task": task}


def create(key, task="x", **options):
    return store(key=key, operation="CREATE", after=image(key, task), **options)


def update(key, old, new, **options):
    return store(key=key, operation="UPDATE", before=image(key, old), after=image(key, new), **options)


def move(key, to, task="x", **options):
    return store(
        key=to, previous=key, operation="UPDATE", before=image(key, task), after=image(to, task), **options
    )


def delete(key, task="x", **options):
    return store(key=key, operation="DELETE", before=image(key, task), **options)


def test_s32a_key_change_keeps_one_history_and_the_former_key_may_be_another_rows():
    first = create(5)
    changed = update(5, "x", "y")
    moved = move(5, 6, "y")
    other = create(5, "other")
    later = update(6, "y", "z")
    assert ids(Change.objects.for_instance(at(6))) == [first, changed, moved, later]
    assert ids(Change.objects.for_instance(at(5))) == [other]


def test_s32a_key_that_another_row_had_before():
    create(6, "gone")
    delete(6, "gone")
    first, moved = create(5), move(5, 6)
    assert ids(Change.objects.for_instance(at(6))) == [first, moved]


def test_s32a_chain_of_moves_and_a_way_back():
    expected = [create(1), move(1, 2), move(2, 3), move(3, 1), update(1, "x", "y")]
    assert ids(Change.objects.for_instance(at(1))) == expected
    assert ids(Change.objects.for_instance(at(2))) == []


def test_s32a_several_moves_in_one_transaction():
    first = create(1)
    number = next_transaction()
    steps = [
        update(1, "x", "y", transaction=number),
        move(1, 2, "y", transaction=number, ordinal=1),
        update(2, "y", "z", transaction=number, ordinal=2),
        move(2, 3, "z", transaction=number, ordinal=3),
        update(3, "z", "x", transaction=number, ordinal=4),
    ]
    last = update(3, "x", "y")
    assert ids(Change.objects.for_instance(at(3))) == [first, *steps, last]


def test_s32b_deferrable_keys_shifted_in_one_statement():
    created = {key: create(key, task) for key, task in ((1, "a"), (2, "b"), (3, "c"))}
    number = next_transaction()
    moved = {
        key: move(key, key + 1, task, transaction=number, ordinal=key)
        for key, task in ((1, "a"), (2, "b"), (3, "c"))
    }
    for key in (1, 2, 3):
        assert ids(Change.objects.for_instance(at(key + 1))) == [created[key], moved[key]], key
    assert ids(Change.objects.for_instance(at(1))) == []


def test_s32b_swapped_keys():
    first, second = create(1, "a"), create(2, "b")
    number = next_transaction()
    one = move(1, 2, "a", transaction=number, ordinal=0)
    two = move(2, 1, "b", transaction=number, ordinal=1)
    assert ids(Change.objects.for_instance(at(2))) == [first, one]
    assert ids(Change.objects.for_instance(at(1))) == [second, two]


def test_s32b_row_that_took_the_key_before_the_other_was_deleted():
    mine, old = create(1, "mine"), create(2, "old")
    number = next_transaction()
    moved = move(1, 2, "mine", transaction=number, ordinal=0)
    delete(2, "old", transaction=number, ordinal=1)
    changed = update(2, "mine", "new", transaction=number, ordinal=2)
    assert ids(Change.objects.for_instance(at(2))) == [mine, moved, changed]
    assert old not in ids(Change.objects.for_instance(at(2)))


def test_row_that_was_deleted_and_restored_under_its_key_has_one_history():
    expected = [create(1), delete(1), create(1)]
    assert ids(Change.objects.for_instance(at(1))) == expected


def test_former_keys_of_text_and_of_several_columns():
    first = store(table="todos_tag", key="a", after={"code": "a"})
    moved = store(
        table="todos_tag",
        key="b",
        previous="a",
        operation="UPDATE",
        before={"code": "a"},
        after={"code": "b"},
    )
    store(table="todos_tag", key="a", after={"code": "a"})
    assert ids(Change.objects.for_instance(at("b", Tag))) == [first, moved]
    one = store(table="todos_seat", key='["A","1"]')
    two = store(table="todos_seat", key='["A","2"]', previous='["A","1"]', operation="UPDATE")
    assert ids(Change.objects.for_instance(at(("A", 2), Seat))) == [one, two]


def test_history_of_former_keys_can_be_narrowed_combined_counted_and_used_in_a_subquery():
    expected = [create(5), move(5, 6), update(6, "x", "y")]
    other = create(7)
    history = Change.objects.for_instance(at(6))
    assert history.count() == 3
    assert ids(history.updated().desc()) == [expected[2], expected[1]]
    assert ids(Change.objects.filter(pk__in=history.values("pk"))) == expected
    assert ids(Change.objects.exclude(pk__in=history.values("pk"))) == [other]
    assert ids(history | Change.objects.for_instance(at(7))) == [*expected, other]
    assert history.first().pk == expected[0]
    assert history.last().pk == expected[2]


def test_history_costs_one_query_more_and_three_for_a_move(django_assert_num_queries):
    create(1)
    with django_assert_num_queries(0):
        history = Change.objects.for_instance(at(1))
    with django_assert_num_queries(3):  # one of them about the key of the table, which is kept
        ids(history)
    with django_assert_num_queries(2):
        ids(Change.objects.for_instance(at(1)))
    move(1, 2)
    with django_assert_num_queries(5):
        ids(Change.objects.for_instance(at(2)))


def test_history_can_be_read_in_asynchronous_code():
    expected = [create(1), move(1, 2)]

    async def read():
        return [change.pk async for change in Change.objects.for_instance(at(2))]

    assert async_to_sync(read)() == expected


def test_historic_instance_has_a_history():
    expected = [create(1), delete(1)]
    past = instance_from(Todo, image(1))
    assert ids(Change.objects.for_instance(past)) == expected


def links():
    return {
        "mine": store(table="todos_todo_tags", key=1, after={"id": 1, "todo_id": 7, "tag_id": "a"}),
        "gone": store(
            table="todos_todo_tags", key=1, operation="DELETE", before={"id": 1, "todo_id": 7, "tag_id": "a"}
        ),
        "other": store(table="todos_todo_tags", key=2, after={"id": 2, "todo_id": 8, "tag_id": "b"}),
    }


def test_p3_links_from_the_side_that_declares_them_and_from_the_other():
    own, tag, link = create(7), store(table="todos_tag", key="a"), links()
    assert ids(Change.objects.for_instance(at(7))) == [own]
    assert ids(Change.objects.for_instance(at(7), m2m=True)) == [own, link["mine"], link["gone"]]
    assert ids(Change.objects.for_instance(at("a", Tag), m2m=True)) == [tag, link["mine"], link["gone"]]


def test_p3_user_and_group_give_the_same_links():
    link = store(
        table="auth_user_groups", key=1, after={"id": 1, "user_id": 3, "group_id": 4}, context={"user_id": 9}
    )
    from_user, from_group = (
        Change.objects.for_instance(at(key, model), m2m=True).by_user(9)
        for model, key in ((User, 3), (Group, 4))
    )
    assert ids(from_user) == ids(from_group) == [link]


@isolate_apps("tests.todos")
def test_p3_links_of_a_model_with_itself():
    class Person(models.Model):
        friends = models.ManyToManyField("self")

        class Meta:
            app_label = "todos"

    with connection.schema_editor() as editor:
        editor.create_model(Person)
    table = Person.friends.through._meta.db_table
    one = store(table=table, key=1, after={"id": 1, "from_person_id": 1, "to_person_id": 2})
    two = store(table=table, key=2, after={"id": 2, "from_person_id": 2, "to_person_id": 1})
    store(table=table, key=3, after={"id": 3, "from_person_id": 3, "to_person_id": 4})
    assert ids(Change.objects.for_instance(at(1, Person), m2m=True)) == [one, two]


def test_related_rows_are_those_that_point_here_before_or_after():
    came = store(key=1, operation="CREATE", after={"id": 1, "list_id": 4})
    left = store(key=1, operation="UPDATE", before={"id": 1, "list_id": 4}, after={"id": 1, "list_id": 5})
    store(key=1, operation="UPDATE", before={"id": 1, "list_id": 5}, after={"id": 1, "list_id": None})
    own = store(table="todos_todolist", key=4)
    parent = at(4, TodoList, name="x")
    assert ids(Change.objects.for_instance(parent)) == [own]
    assert ids(Change.objects.for_instance(parent, related=True)) == [came, left, own]
    assert ids(Change.objects.for_instance(parent, related=True).updated()) == [left]


def test_related_leaves_links_to_m2m():
    own, link = create(7), links()
    assert ids(Change.objects.for_instance(at(7), related=True)) == [own]
    assert ids(Change.objects.for_instance(at(7), related=True, m2m=True)) == [
        own,
        link["mine"],
        link["gone"],
    ]


def test_bq4_rows_in_tables_of_parents_and_children():
    key = str(uuid.uuid4())
    parents = store(table="todos_document", key=key, after={"id": key, "title": "x"})
    own = store(table="todos_specialdocument", key=key, after={"document_ptr_id": key, "level": 1})
    store(table="todos_document", key=str(uuid.uuid4()))
    assert ids(Change.objects.for_instance(at(key, SpecialDocument, id=key), related=True)) == [parents, own]
    assert ids(Change.objects.for_instance(at(key, Document), related=True)) == [parents, own]


@isolate_apps("tests.todos")
def test_p30_children_that_point_to_another_field_than_the_key():
    class Country(models.Model):
        code = models.CharField(max_length=2, unique=True)

        class Meta:
            app_label = "todos"

    class City(models.Model):
        country = models.ForeignKey(Country, models.CASCADE, to_field="code")

        class Meta:
            app_label = "todos"

    with connection.schema_editor() as editor:
        editor.create_model(Country)
        editor.create_model(City)
    mine = store(table="todos_city", key=1, after={"id": 1, "country_id": "AT"})
    store(table="todos_city", key=2, after={"id": 2, "country_id": "DE"})
    assert ids(Change.objects.for_instance(at(5, Country, code="AT"), related=True)) == [mine]


def test_unsaved_instance_has_no_links_either(django_assert_num_queries):
    with django_assert_num_queries(0):
        assert ids(Change.objects.for_instance(Todo(pk=1), m2m=True, related=True)) == []


@pytest.fixture
def many_changes():
    with connection.cursor() as cursor:
        cursor.execute(
            'INSERT INTO changes (id, database, schema, "table", primary_key, primary_key_int, '
            "previous_primary_key, operation, committed_at, queued_at, transaction_id, position, ordinal) "
            "SELECT gen_random_uuid(), current_database(), 'public', 'todos_todo', n::text, n, "
            "CASE WHEN n % 500 = 0 THEN (n - 1)::text END, 'UPDATE', now(), now(), n, n, 0 "
            "FROM generate_series(1, 3000) n"
        )
        cursor.execute("ANALYZE changes")


@pytest.mark.parametrize("which", ["m2m", "related"])
def test_links_and_children_are_looked_for_in_their_tables_alone(many_changes, which):
    """All of `changes` is not read, whatever form the keys of these tables have."""
    explained = plan(
        Change.objects.for_instance(at(4, TodoList if which == "related" else Tag), **{which: True})
    )
    assert "BitmapOr" in explained
    assert (
        f"Index Cond: ((\"table\" = '{'todos_todo' if which == 'related' else 'todos_todo_tags'}'"
        in explained
    )


def test_moves_of_a_key_reach_the_indexes(many_changes, django_assert_num_queries):
    explained = Change.objects.for_instance(at(1000)).explain()
    assert "changes_default_table_primary_key_int_position_ordinal_idx" in explained
    assert "Seq Scan on changes" not in explained
    moves = Change.objects.for_model(Todo).filter(
        models.Q(primary_key_int=1000) | models.Q(previous_primary_key="1000"),
        previous_primary_key__isnull=False,
    )
    assert "Seq Scan" not in plan(moves)
    assert Change.objects.for_instance(at(1000)).count() == 2
