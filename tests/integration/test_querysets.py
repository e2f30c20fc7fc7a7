import uuid
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection, connections, models
from django.test.utils import isolate_apps

from bemi_orm import Change
from bemi_orm.history.keys import RowKey, row_key
from bemi_orm.rows import key_text
from bemi_orm.values.pgtext import postgres_text
from tests.integration.rows import START, next_transaction, plan, store
from tests.todos.models import Document, Seat, SpecialDocument, Tag, Todo, TodoList

pytestmark = pytest.mark.django_db(databases=["default", "other"])


def ids(queryset):
    return [change.pk for change in queryset]


def stored_as(instance):
    """Store a change under the key that PostgreSQL itself has for the instance's row."""
    table = instance._meta.db_table
    columns = ", ".join(f"format('%%s', \"{field.column}\")" for field in instance._meta.pk_fields)
    where = " AND ".join(f'"{field.column}" = %s' for field in instance._meta.pk_fields)
    values = [getattr(instance, field.attname) for field in instance._meta.pk_fields]
    with connection.cursor() as cursor:
        cursor.execute(f'SELECT {columns} FROM "{table}" WHERE {where}', values)
        texts = cursor.fetchone()
    is_integer = len(values) == 1 and isinstance(values[0], int)
    return store(table=table, key=key_text(texts), key_int=values[0] if is_integer else None)


def test_bq4_integer_key(django_assert_num_queries):
    todo, other = Todo.objects.create(task="a"), Todo.objects.create(task="b")
    expected = stored_as(todo)
    stored_as(other)
    store(key=str(todo.pk))  # of a table whose key was a text at that time
    assert ids(Change.objects.for_instance(other)) != []  # the key of the table is known from now on
    with django_assert_num_queries(2):
        assert ids(Change.objects.for_instance(todo)) == [expected]


def saved_instances():
    yield "slug", lambda: Tag.objects.create(code="it's-ünï")
    yield "uuid", lambda: Document.objects.create(title="x")
    yield "parent link", lambda: SpecialDocument.objects.create(title="x", level=1)
    yield "composite", lambda: Seat.objects.create(row='A"1"', number=7)
    yield "composite, non-ASCII", lambda: Seat.objects.create(row="É\\", number=-1)
    yield "integer", lambda: TodoList.objects.create(name="x")


@pytest.mark.parametrize("create", [pytest.param(create, id=name) for name, create in saved_instances()])
def test_bq4_p30_real_key_columns(create):
    instance = create()
    expected = stored_as(instance)
    store(table=instance._meta.db_table, key="unrelated")
    assert ids(Change.objects.for_instance(instance)) == [expected]
    assert ids(Change.objects.for_instance(type(instance).objects.get(pk=instance.pk))) == [expected]


def test_bq4_row_of_a_parent_is_a_row_of_its_own():
    special = SpecialDocument.objects.create(title="x")
    own, parents = stored_as(special), stored_as(special.document_ptr)
    assert ids(Change.objects.for_instance(special)) == [own]
    assert ids(Change.objects.for_instance(special.document_ptr)) == [parents]
    assert ids(Change.objects.for_row(special, Document)) == [parents]


def test_key_over_the_limit_is_found_by_its_digest():
    key = "x" * 1500
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE todos_long (code text PRIMARY KEY)")
    expected = store(table="todos_long", key=key_text([key]))
    with isolate_apps("tests.todos"):

        class Long(models.Model):
            code = models.TextField(primary_key=True)

            class Meta:
                app_label = "todos"
                db_table = "todos_long"

    long = Long(code=key)
    long._state.adding = False
    assert ids(Change.objects.for_instance(long)) == [expected]


KEYS = [
    (models.DecimalField(max_digits=8, decimal_places=2), Decimal("1.1"), "1.10::numeric(8, 2)"),
    (models.DecimalField(max_digits=8, decimal_places=2), "1.1", "1.10::numeric(8, 2)"),
    (models.DateField(), date(2026, 1, 2), "date '2026-01-02'"),
    (
        models.DateTimeField(),
        datetime(2026, 1, 2, 3, 4, 5, 600000, UTC),
        "timestamptz '2026-01-02 03:04:05.6+00'",
    ),
    (
        models.DateTimeField(),
        datetime.fromisoformat("2026-01-02T03:04:05+05:30"),
        "timestamptz '2026-01-01 21:34:05+00'",
    ),
    (models.TimeField(), datetime(2026, 1, 2, 3, 4, 5).time(), "time '03:04:05'"),
    (models.TimeField(), datetime(2026, 1, 2, 3, 4, 5, 100).time(), "time '03:04:05.0001'"),
    (models.BooleanField(), True, "true"),
    (models.BinaryField(), b"\x00\xff", "bytea '\\x00ff'"),
    (models.UUIDField(), uuid.UUID(int=5), "uuid '00000000-0000-0000-0000-000000000005'"),
    (models.UUIDField(), "00000000000000000000000000000005", "uuid '00000000-0000-0000-0000-000000000005'"),
    (models.CharField(), 5, "text '5'"),
    (models.GenericIPAddressField(), "10.0.0.1", "inet '10.0.0.1'"),
    (models.GenericIPAddressField(), "2001:db8::1", "inet '2001:db8::1'"),
    (models.FloatField(), 1.5, "1.5::float8"),
]


def output_text(expression):
    """Give the text of PostgreSQL's output function, which is what the WAL carries; a cast may differ."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT format('%s', {expression})")
        return cursor.fetchone()[0]


def keyed_model(field):
    with isolate_apps("tests.todos"):
        meta = type("Meta", (), {"app_label": "todos"})
        return type("Keyed", (models.Model,), {"__module__": __name__, "key": field, "Meta": meta})


@pytest.mark.parametrize(("field", "value", "expression"), KEYS, ids=[case[2] for case in KEYS])
def test_bq4_key_text_is_that_of_postgresql(field, value, expression):
    field = field.clone()
    field.primary_key = True
    model = keyed_model(field)
    assert row_key(model(key=value), model) == RowKey(output_text(expression), None)


def test_bq4_number_of_an_integer_key_given_as_text():
    model = keyed_model(models.BigIntegerField(primary_key=True))
    assert row_key(model(key="9007199254740993"), model) == RowKey("9007199254740993", 9007199254740993)


@pytest.mark.parametrize(
    ("value", "expression"),
    [
        (datetime(2026, 1, 2, 3, 4, 5), "timestamp '2026-01-02 03:04:05'"),
        (datetime(1, 1, 1, 0, 0, 0, 1, UTC), "timestamptz '0001-01-01 00:00:00.000001+00'"),
        (Decimal("NaN"), "'NaN'::numeric"),
        (Decimal("1E+3"), "1000::numeric"),
        (False, "false"),
        (memoryview(b"\x01"), "bytea '\\x01'"),
    ],
    ids=repr,
)
def test_postgres_text(value, expression):
    assert postgres_text(value) == output_text(expression)


def unsaved_instances():
    yield Todo(task="x")
    yield Document(title="has a key from the start")
    yield SpecialDocument(title="x")
    yield Tag()
    yield Seat(row="A")
    yield Seat(row="A", number=1)


@pytest.mark.parametrize("instance", list(unsaved_instances()), ids=lambda instance: type(instance).__name__)
def test_bq7_unsaved_instance_has_no_changes_and_costs_no_query(instance, django_assert_num_queries):
    with django_assert_num_queries(0):
        assert ids(Change.objects.for_instance(instance)) == []
        assert ids(Change.objects.for_instance(instance).created().desc()) == []
        assert Change.objects.for_instance(instance).count() == 0


def test_instance_that_lost_its_key_in_delete_has_no_changes_but_its_key_has():
    todo = Todo.objects.create(task="x")
    key = todo.pk
    expected = stored_as(todo)
    todo.delete()
    assert ids(Change.objects.for_instance(todo)) == []
    assert ids(Change.objects.for_model(Todo).filter(primary_key=str(key))) == [expected]


def test_bq5_same_table_in_other_schemas_and_databases_is_another_table():
    todo = Todo.objects.create(task="x")
    expected = stored_as(todo)
    store(key=todo.pk, schema="archive")
    store(key=todo.pk, database="elsewhere")
    store(key=todo.pk, table="todos_todo2")
    assert ids(Change.objects.for_instance(todo)) == [expected]
    assert ids(Change.objects.for_model(Todo)) == [expected]


def test_bq5_search_path_decides_the_schema_at_the_moment_of_the_query(django_assert_num_queries):
    in_public, in_tenant = store(), store(schema="tenant")
    queryset = Change.objects.for_model(Todo)
    assert ids(queryset.all()) == [in_public]
    with connection.cursor() as cursor:
        cursor.execute("CREATE SCHEMA tenant; CREATE TABLE tenant.todos_todo (LIKE public.todos_todo)")
        cursor.execute("SET LOCAL search_path = tenant, public")
    with django_assert_num_queries(1):
        assert ids(queryset.all()) == [in_tenant]


@isolate_apps("tests.todos")
def test_bq5_schema_from_db_table():
    class Archived(models.Model):
        class Meta:
            app_label = "todos"
            db_table = '"archive"."todos_todo"'

    with connection.cursor() as cursor:
        cursor.execute("CREATE SCHEMA archive; CREATE TABLE archive.todos_todo (LIKE public.todos_todo)")
    in_public, in_archive = store(), store(schema="archive")
    assert ids(Change.objects.for_model(Archived)) == [in_archive]
    assert ids(Change.objects.for_model(Todo)) == [in_public]


@pytest.mark.parametrize("table", ["my table", "Mixed-Case", "sélect", "a.b", "it's"])
@isolate_apps("tests.todos")
def test_b5_any_legal_table_name(table):
    model = type(
        "Odd",
        (models.Model,),
        {"__module__": __name__, "Meta": type("Meta", (), {"app_label": "todos", "db_table": table})},
    )
    with connection.cursor() as cursor:
        cursor.execute(f'CREATE TABLE "{table}" (id bigint PRIMARY KEY)')
    expected = store(table=table, key=1)
    assert ids(Change.objects.for_model(model)) == [expected]


def test_proxy_model_has_the_changes_of_its_table():
    with isolate_apps("tests.todos"):

        class Mine(Todo):
            class Meta:
                app_label = "todos"
                proxy = True

    todo = Todo.objects.create(task="x")
    expected = stored_as(todo)
    assert ids(Change.objects.for_instance(Mine.objects.get(pk=todo.pk))) == [expected]
    assert ids(Change.objects.for_model(Mine)) == [expected]


def test_bq5_database_is_that_of_the_instance(settings):
    here, there = Todo.objects.create(task="x"), Todo.objects.using("other").create(pk=None, task="x")
    other_name = connections["other"].settings_dict["NAME"]
    changes = {
        alias: store(key=1, database=connections[alias].settings_dict["NAME"])
        for alias in ("default", "other")
    }
    here.pk = there.pk = 1
    assert other_name != connections["default"].settings_dict["NAME"]
    assert ids(Change.objects.for_instance(here)) == [changes["default"]]
    assert ids(Change.objects.for_instance(there)) == [changes["other"]]


def test_bq5_changes_in_a_database_of_their_own(settings, django_assert_num_queries):
    settings.BEMI_DATABASE = "other"
    call_command("migrate", "bemi_orm", "zero", database="other", verbosity=0)
    call_command("migrate", "bemi_orm", database="other", verbosity=0)
    todo = Todo.objects.create(task="x")
    expected = store(key=todo.pk, alias="other")
    store(key=todo.pk, alias="other", schema="archive")
    store(key=todo.pk)
    assert ids(Change.objects.for_instance(todo)) == [expected]
    with django_assert_num_queries(0), django_assert_num_queries(2, connection=connections["other"]):
        assert ids(Change.objects.for_instance(todo)) == [expected]  # the names are known by now


def test_for_model_asks_nothing_until_it_is_read(django_assert_num_queries):
    with django_assert_num_queries(0):
        Change.objects.for_model(Todo).created().before({"a": 1}).desc()
        Change.objects.for_instance(User(pk=1))


def test_for_table_narrows_by_what_is_given():
    first, second, third = store(), store(schema="archive"), store(schema="archive", database="elsewhere")
    store(table="todos_list")
    assert ids(Change.objects.for_table("todos_todo")) == [first, second, third]
    assert ids(Change.objects.for_table("todos_todo", schema="archive")) == [second, third]
    assert ids(Change.objects.for_table("todos_todo", schema="archive", database="elsewhere")) == [third]


def test_operations():
    words = ("CREATE", "UPDATE", "DELETE", "TRUNCATE", "SNAPSHOT")
    changes = {word: store(operation=word) for word in words}
    assert ids(Change.objects.created()) == [changes["CREATE"]]
    assert ids(Change.objects.updated()) == [changes["UPDATE"]]
    assert ids(Change.objects.deleted()) == [changes["DELETE"]]
    assert ids(Change.objects.truncated()) == [changes["TRUNCATE"]]


def test_bq8_containment_in_images_and_context():
    x = store(
        before={"task": "x", "n": 1},
        after={"task": "y", "meta": {"a": [1, 2]}},
        context={"user_id": 1, "role": "x"},
    )
    y = store(before={"task": "y"}, after={"task": "x"}, context={"user_id": 2})
    empty = store()
    changes = Change.objects
    assert ids(changes.before({"task": "x"})) == [x]
    assert ids(changes.before_not({"task": "x"})) == [y, empty]
    assert ids(changes.after({"meta": {"a": [2]}})) == [x]
    assert ids(changes.after_not({"meta": {"a": [2]}})) == [y, empty]
    assert ids(changes.context({"user_id": 1})) == [x]
    assert ids(changes.context_not({"user_id": 1})) == [y, empty]
    assert ids(changes.before({"task": "y"}).after({"task": "x"}).context({"user_id": 2})) == [y]
    assert ids(changes.before({}).after({}).context({})) == [x, y, empty]


def test_by_context():
    x = store(context={"user_id": 1, "request": {"method": "POST"}})
    y = store(context={"user_id": 2, "request": {"method": "POST"}})
    store(context={"user_id": 3})
    assert ids(Change.objects.by_context(user_id=1)) == [x]
    assert ids(Change.objects.by_context(user_id=1, request__method="POST")) == [x]
    assert ids(Change.objects.by_context(request__method="POST")) == [x, y]
    assert ids(Change.objects.by_context(user_id__in=[1, 2])) == [x, y]
    assert ids(Change.objects.by_context(user_id="1")) == []


def test_between_holds_its_start_and_not_its_end():
    moments = [START + timedelta(microseconds=n) for n in range(4)]
    changes = [store(committed_at=moment) for moment in moments]
    assert ids(Change.objects.between(moments[1], moments[3])) == changes[1:3]


def test_p14_in_transaction():
    before, number, after = next_transaction(), next_transaction(), next_transaction()
    expected = [store(table=f"t{n}", transaction=number, ordinal=n) for n in range(3)]
    store(transaction=before, ordinal=2**31 - 1)
    store(transaction=after)
    for change in Change.objects.filter(pk__in=expected):
        assert ids(Change.objects.in_transaction(change)) == expected
    assert ids(Change.objects.in_transaction(change).for_table("t1")) == expected[1:2]


@pytest.fixture
def many_changes():
    with connection.cursor() as cursor:
        cursor.execute(
            'INSERT INTO changes (id, database, schema, "table", primary_key, primary_key_int, operation, '
            "committed_at, queued_at, transaction_id, position, ordinal) "
            "SELECT gen_random_uuid(), current_database(), 'public', t, n::text, "
            "CASE t WHEN 'todos_todo' THEN n END, 'UPDATE', now(), now(), n, n, 0 "
            "FROM generate_series(1, 3000) n, unnest(ARRAY['todos_todo', 'todos_tag']) t"
        )
        cursor.execute("ANALYZE changes")


def saved(instance):
    instance._state.adding = False
    return instance


def test_for_instance_reaches_the_partial_indexes(many_changes):
    by_number, by_text = (Change.objects.for_instance(saved(obj)) for obj in (Todo(pk=7), Tag(code="7")))
    assert "changes_default_table_primary_key_int_position_ordinal_idx" in by_number.explain()
    assert "changes_default_table_primary_key_position_ordinal_idx" in by_text.explain()
    assert by_number.count() == by_text.count() == 1


def test_text_key_alone_reaches_the_hash_index(many_changes):
    assert "changes_default_primary_key_idx" in Change.objects.filter(primary_key="7").order_by().explain()


def test_in_transaction_reaches_the_key(many_changes):
    change_id = store()
    queryset = Change.objects.in_transaction(Change.objects.get(pk=change_id))
    assert "changes_default_pkey" in queryset.explain()
    assert ids(queryset) == [change_id]


def test_truncates_of_a_table_reach_their_index(many_changes):
    store(operation="TRUNCATE", key=None)
    assert "changes_default_table_position_idx" in plan(
        Change.objects.for_table("todos_todo").truncated().order_by()
    )
