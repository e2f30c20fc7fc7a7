"""Instances and diffs of stored changes, compared as the model's fields compare."""

import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from django.contrib.contenttypes.fields import GenericForeignKey
from django.contrib.contenttypes.models import ContentType
from django.contrib.postgres.fields import ArrayField, IntegerRangeField
from django.db import connection, models
from django.test.utils import isolate_apps

from bemi_orm import Change
from bemi_orm.diffing import UNKNOWN, FieldChange
from bemi_orm.exceptions import HistoricInstanceError
from bemi_orm.history.tracked import model_of_table
from bemi_orm.values.fielddiffs import diff_rows
from bemi_orm.values.instances import instance_from, is_historic
from bemi_orm.values.rowjson import ExactDecoder
from tests.integration.rows import next_transaction, store
from tests.integration.test_instances import DUPLICATES, Rot13Field
from tests.todos.models import Document, Tag, Todo, TodoList

pytestmark = pytest.mark.django_db

ROW = {"id": 5, "list_id": None, "task": "a", "is_completed": False, "price": Decimal("1.10"), "meta": {}}


def only_change(**options):
    return Change.objects.get(pk=store(**options))


def test_instance_is_the_row_after_and_before_instance_the_row_before(django_assert_num_queries):
    change = only_change(operation="UPDATE", before=ROW, after=ROW | {"task": "b"})
    with django_assert_num_queries(0):
        assert (change.before_instance.task, change.instance.task) == ("a", "b")
        assert str(change.instance.price) == "1.10"
        assert is_historic(change.instance)
        assert change.instance.bemi_change is change


def test_instance_of_each_operation():
    created = only_change(operation="CREATE", after=ROW)
    deleted = only_change(operation="DELETE", before=ROW)
    truncated = only_change(operation="TRUNCATE", key=None)
    no_model = only_change(table="elsewhere", after=ROW)
    assert (created.instance.task, created.before_instance) == ("a", None)
    assert (deleted.instance.task, deleted.before_instance.task) == ("a", "a")
    assert (truncated.instance, truncated.before_instance, no_model.instance) == (None, None, None)


def test_p5_partial_image_is_deferred_and_a_whole_one_takes_defaults():
    partial = only_change(operation="UPDATE", before={"id": 5}, after=ROW)
    assert partial.before_instance.get_deferred_fields() > {"task", "price"}
    with pytest.raises(HistoricInstanceError):
        partial.before_instance.task  # noqa: B018
    whole = only_change(operation="CREATE", after={"id": 5, "task": "a"})
    assert whole.instance.is_completed is False
    gone = only_change(operation="DELETE", before={"id": 5, "task": "a"})
    assert "is_completed" in gone.instance.get_deferred_fields()


def test_diff_has_field_values_in_the_order_of_the_model():
    after = {
        "updated_at": "2026-01-01T00:00:00+00:00",
        "price": Decimal("1.1"),
        "task": "b",
        "extra": 1,
        "id": 5,
    }
    before = {"updated_at": "2025-01-01T00:00:00+00:00", "price": Decimal("1.10"), "task": "a", "id": 5}
    assert only_change(operation="UPDATE", before=before, after=after).diff() == (
        FieldChange("task", "a", "b"),
        FieldChange("updated_at", datetime(2025, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)),
        FieldChange("extra", UNKNOWN, 1),
    )


FIELDS = [
    ("decimal scale", models.DecimalField(max_digits=9, decimal_places=2), "1.10", "1.1", True),
    ("decimal", models.DecimalField(max_digits=9, decimal_places=2), "1.10", "1.11", False),
    ("decimal nan", models.DecimalField(max_digits=9, decimal_places=2), '"NaN"', '"NaN"', True),
    ("float", models.FloatField(), "1e3", "1000.0", True),
    ("float nan", models.FloatField(), '"NaN"', '"NaN"', True),
    ("float nan and number", models.FloatField(), '"NaN"', "0", False),
    ("time zone", models.DateTimeField(), '"2026-01-01T02:00:00+02:00"', '"2026-01-01T00:00:00+00:00"', True),
    ("json key order", models.JSONField(), '{"a": 1, "b": [1.0]}', '{"b": [1], "a": 1}', True),
    ("json bool", models.JSONField(), "true", "1", False),
    ("json nan", models.JSONField(), '["NaN"]', '["NaN"]', True),
    ("array", ArrayField(models.DecimalField(max_digits=9, decimal_places=2)), "[1.10]", "[1.1]", True),
    ("array nan", ArrayField(models.FloatField()), '["NaN"]', '["NaN"]', True),
    ("array order", ArrayField(models.IntegerField()), "[1, 2]", "[2, 1]", False),
    ("range", IntegerRangeField(), '"[1,5)"', '"[1,5)"', True),
    ("infinite date", models.DateField(), '"infinity"', '"infinity"', True),
    ("encrypted", Rot13Field(), r'"\\x6161"', r'"\\x6161"', True),
    ("null", models.TextField(), "null", '""', False),
]


@pytest.mark.parametrize(
    ("field", "one", "other", "same"), [pytest.param(*case[1:], id=case[0]) for case in FIELDS]
)
@isolate_apps("tests.todos")
def test_p22_values_compare_as_their_field_does(field, one, other, same):
    meta = type("Meta", (), {"app_label": "todos"})
    model = type("Compared", (models.Model,), {"__module__": __name__, "Meta": meta, "value": field.clone()})
    before, after = ({"id": 1, "value": json.loads(text, cls=ExactDecoder)} for text in (one, other))
    assert (diff_rows(model, before, after) == ()) is same


@isolate_apps("tests.todos")
def test_encrypted_values_compare_in_clear():
    class Salted(Rot13Field):
        def from_db_value(self, value, expression, connection):
            return super().from_db_value(value, expression, connection)[:-1]

    class Secret(models.Model):
        value = Salted()

        class Meta:
            app_label = "todos"

    one, other, third = ({"value": f"\\x{text.encode().hex()}"} for text in ("1ba", "2ba", "2ca"))
    assert diff_rows(Secret, one, other) == ()
    assert diff_rows(Secret, one, third) == (FieldChange("value", "ab", "ac"),)


def test_value_that_python_cannot_hold_is_its_text_in_a_diff():
    [_, change] = diff_rows(Todo, None, {"id": 1, "updated_at": "infinity"})
    assert change == FieldChange("updated_at", None, "infinity")


def test_p2_result_of_an_expression_is_a_number():
    change = only_change(operation="UPDATE", before=ROW | {"qty": 5}, after=ROW | {"qty": 6})
    assert change.diff() == (FieldChange("qty", 5, 6),)


def test_readable_diff_has_labels_names_as_of_then_and_an_end():
    list_before = store(table="todos_todolist", key=1, after={"id": 1, "name": "Old"})
    change = only_change(
        operation="UPDATE",
        before=ROW | {"list_id": 1, "is_completed": False},
        after=ROW | {"list_id": 2, "is_completed": True, "task": "x" * 200, "meta": None},
    )
    store(
        table="todos_todolist", key=1, operation="UPDATE",
        before={"id": 1, "name": "Old"}, after={"id": 1, "name": "New"},
    )  # fmt: skip
    TodoList.__str__, original = (lambda self: self.name), TodoList.__str__
    try:
        lines = [str(line) for line in change.readable_diff(max_length=10)]
    finally:
        TodoList.__str__ = original
    assert list_before
    assert lines == [
        "List: Old → 2",
        "Task: a → xxxxxxxxx…",
        "Is completed: False → True",
        "Meta: {} → —",
    ]


@isolate_apps("tests.todos")
def test_readable_diff_has_labels_of_choices():
    class Ticket(models.Model):
        state = models.IntegerField("current state", choices=[(1, "Open"), ("Group", [(2, "Done")])])

        class Meta:
            app_label = "todos"

    assert [
        str(part)
        for part in only_change(operation="UPDATE", before={"state": 1}, after={"state": 2}).readable_diff()
    ] == ["state: 1 → 2"]
    from bemi_orm.values.readable import label_of, text_of

    field = Ticket._meta.get_field("state")
    assert label_of(field, "state") == "Current state"
    assert [text_of(field, value, None) for value in (1, 2, 3, None, UNKNOWN)] == [
        "Open", "Done", "3", "—", "(not known)",
    ]  # fmt: skip


@pytest.fixture
def renamed_list():
    """A list that had another name when its todo was changed, and that todo."""
    store(table="todos_todolist", key=1, after={"id": 1, "name": "then"})
    change_id = store(
        key=5, operation="UPDATE", before=ROW | {"list_id": 1}, after=ROW | {"list_id": 1, "task": "b"}
    )
    store(
        table="todos_todolist", key=1, operation="UPDATE",
        before={"id": 1, "name": "then"}, after={"id": 1, "name": "now"},
    )  # fmt: skip
    TodoList.objects.create(id=1, name="now")
    return change_id


def test_p18_foreign_key_of_a_past_instance_is_of_the_past(renamed_list, django_assert_num_queries):
    past = Change.objects.get(pk=renamed_list).instance
    assert past.list_id == 1
    assert past.list.name == "then"
    assert is_historic(past.list)
    with django_assert_num_queries(0):
        assert past.list.name == "then"


def test_p18_null_key_and_row_that_was_gone(renamed_list):
    assert only_change(after=ROW).instance.list is None
    store(table="todos_todolist", key=1, operation="DELETE", before={"id": 1, "name": "now"})
    with pytest.raises(TodoList.DoesNotExist):
        only_change(after=ROW | {"list_id": 1}).instance.list  # noqa: B018


def test_p18_row_of_which_nothing_is_stored_is_an_error_and_not_the_live_row():
    live = TodoList.objects.create(name="live")
    past = only_change(after=ROW | {"list_id": live.pk}).instance
    with pytest.raises(HistoricInstanceError, match="list of a historic Todo"):
        past.list  # noqa: B018
    with pytest.raises(HistoricInstanceError):
        instance_from(Todo, ROW | {"list_id": live.pk}).list  # noqa: B018


def test_p5_row_that_is_older_than_the_capture_is_what_its_first_change_found():
    past = only_change(after=ROW | {"list_id": 1})
    store(
        table="todos_todolist", key=1, operation="UPDATE",
        before={"id": 1, "name": "then"}, after={"id": 1, "name": "now"},
    )  # fmt: skip
    assert past.instance.list.name == "then"


def test_p18_list_emptied_by_truncate_or_whose_key_changed_is_gone():
    store(table="todos_todolist", key=1, after={"id": 1, "name": "a"})
    store(table="todos_todolist", key=2, previous=1, operation="UPDATE", before={"id": 1}, after={"id": 2})
    with pytest.raises(TodoList.DoesNotExist):
        only_change(after=ROW | {"list_id": 1}).instance.list  # noqa: B018
    assert only_change(after=ROW | {"list_id": 2}).instance.list.pk == 2
    store(table="todos_todolist", key=None, operation="TRUNCATE")
    with pytest.raises(TodoList.DoesNotExist):
        only_change(after=ROW | {"list_id": 2}).instance.list  # noqa: B018


def test_s32b_parent_whose_deferrable_key_was_taken_over():
    for key in (1, 2):
        store(table="todos_todolist", key=key, after={"id": key, "name": f"n{key}"})
    number = next_transaction()
    for key in (1, 2):
        store(
            table="todos_todolist", key=key + 1, previous=key, operation="UPDATE",
            transaction=number, ordinal=key, before={"id": key, "name": f"n{key}"},
            after={"id": key + 1, "name": f"n{key}"},
        )  # fmt: skip
    assert only_change(after=ROW | {"list_id": 2}).instance.list.name == "n1"


@isolate_apps("tests.todos")
def test_p30_foreign_key_to_another_field_than_the_key():
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
    store(table="todos_country", key=3, after={"id": 3, "code": "AT"})
    change = only_change(table="todos_city", after={"id": 1, "country_id": "AT"})
    assert instance_from(City, change.after, change=change).country.pk == 3


def note_model():
    class Note(models.Model):
        content_type = models.ForeignKey(ContentType, models.CASCADE)
        object_id = models.TextField()
        about = GenericForeignKey()

        class Meta:
            app_label = "todos"

    return Note


@isolate_apps("tests.todos", "django.contrib.contenttypes")
def test_p18_generic_foreign_key_is_of_the_past():
    note = note_model()
    store(table="todos_todolist", key=1, after={"id": 1, "name": "then"})
    type_id = ContentType.objects.get_for_model(TodoList).pk
    change = only_change(table="todos_note", after={"id": 1, "content_type_id": type_id, "object_id": "1"})
    TodoList.objects.create(id=1, name="now")
    assert instance_from(note, change.after, change=change).about.name == "then"


@isolate_apps("tests.todos", "django.contrib.contenttypes")
def test_p18_generic_foreign_key_that_no_row_can_have_is_not_known():
    note = note_model()
    type_id = ContentType.objects.get_for_model(Document).pk
    image = {"id": 1, "content_type_id": type_id, "object_id": "no uuid"}
    change = only_change(table="todos_note", after=image)
    with pytest.raises(HistoricInstanceError, match="about of a historic Note"):
        instance_from(note, change.after, change=change).about  # noqa: B018


@pytest.mark.parametrize("duplicate", DUPLICATES)
def test_copy_has_relations_of_its_own(renamed_list, duplicate):
    store(table="todos_todolist", key=2, after={"id": 2, "name": "other"})
    original = only_change(after=ROW | {"list_id": 1}).instance
    other = duplicate(original)
    other.list_id = 2
    assert (other.list.name, original.list.name) == ("other", "now")
    assert duplicate(original).list.name == "now"
    assert duplicate(other).list.name == "other"


def test_p18_rows_that_point_to_a_past_instance_are_not_read_from_live_tables():
    live = TodoList.objects.create(name="x")
    todo = Todo.objects.create(task="x", list=live)
    past_list, past_todo = (instance_from(type(row), {"id": row.pk}) for row in (live, todo))
    for read in (past_list.todos.all, past_todo.tags.all):
        with pytest.raises(HistoricInstanceError, match="rows of a historic"):
            list(read())
    assert list(live.todos.all()) == [todo]


def test_past_relations_end_when_the_instance_is_saved(renamed_list):
    past = Change.objects.get(pk=renamed_list).instance
    past.updated_at = datetime.now(UTC)
    past.save()
    assert past.list.name == "now"
    assert list(past.tags.all()) == []


def test_fields_of_a_parent_are_read_as_of_the_change(django_assert_num_queries):
    key = "6f1a39cd-14dd-4b9c-93a3-7f2b73a2b0a4"
    store(table="todos_document", key=key, after={"id": key, "title": "then"})
    own = only_change(table="todos_specialdocument", key=key, after={"document_ptr_id": key, "level": 1})
    store(
        table="todos_document", key=key, operation="UPDATE",
        before={"id": key, "title": "then"}, after={"id": key, "title": "now"},
    )  # fmt: skip
    past = own.instance
    assert (past.level, past.title) == (1, "then")
    with django_assert_num_queries(0):
        assert past.title == "then"
    assert is_historic(past)


@pytest.mark.parametrize("duplicate", DUPLICATES)
def test_copy_reads_the_fields_of_a_parent_too(duplicate):
    key = "6f1a39cd-14dd-4b9c-93a3-7f2b73a2b0a4"
    store(table="todos_document", key=key, after={"id": key, "title": "then"})
    own = only_change(table="todos_specialdocument", key=key, after={"document_ptr_id": key, "level": 1})
    original = own.instance
    assert (duplicate(original).title, original.get_deferred_fields()) == ("then", {"title"})


def test_fields_of_a_parent_of_which_nothing_is_stored_are_not_known():
    key = "6f1a39cd-14dd-4b9c-93a3-7f2b73a2b0a4"
    past = only_change(table="todos_specialdocument", key=key, after={"document_ptr_id": key}).instance
    with pytest.raises(HistoricInstanceError, match="title of a historic SpecialDocument"):
        past.title  # noqa: B018


def test_model_of_a_table():
    assert model_of_table("public", "todos_todo") is Todo
    assert model_of_table("tenant", "todos_todo_tags") is Todo.tags.through
    assert model_of_table("public", "nothing") is None


def test_p21_document_with_a_uuid_key():
    key = "6f1a39cd-14dd-4b9c-93a3-7f2b73a2b0a4"
    change = only_change(table="todos_document", key=key, after={"id": key, "title": "x"})
    assert (type(change.instance), str(change.instance.pk)) == (Document, key)
    assert only_change(table="todos_tag", key="a", after={"code": "a"}).instance == Tag(code="a")
