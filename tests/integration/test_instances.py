"""Instances from images: what `to_jsonb` gives goes in, what the ORM reads has to come out."""

import copy
import copyreg
import json
import pickle
import uuid
from contextlib import contextmanager
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum

import pytest
from django.contrib.postgres.fields import (
    ArrayField,
    BigIntegerRangeField,
    DateRangeField,
    DateTimeRangeField,
    DecimalRangeField,
    IntegerRangeField,
)
from django.core.exceptions import ValidationError
from django.db import connection, models
from django.db.backends.postgresql.psycopg_any import DateRange, DateTimeTZRange, NumericRange
from django.db.models.functions import Now, Upper
from django.test.utils import isolate_apps

from bemi_orm.diffing import FieldChange
from bemi_orm.exceptions import HistoricInstanceError
from bemi_orm.values.drivervalues import driver_value
from bemi_orm.values.fielddiffs import diff_rows
from bemi_orm.values.instances import instance_from, is_historic, values_from
from bemi_orm.values.rowjson import ExactDecoder
from tests.integration.rows import row_image
from tests.todos.models import Document, Everything, Seat, SpecialDocument, Todo, TodoList

pytestmark = pytest.mark.django_db


class Rot13Field(models.TextField):
    """Stands for an encrypted field: other bytes in the column than in the attribute."""

    def db_type(self, connection):
        return "bytea"

    def get_db_prep_value(self, value, connection, prepared=False):
        return None if value is None else value[::-1].encode()

    def from_db_value(self, value, expression, connection):
        return None if value is None else bytes(value).decode()[::-1]


class StrictField(models.TextField):
    """Refuses what is in the column by an error of its own, and is as strict with what it is given."""

    def __init__(self, *args, error=None, **kwargs):
        super().__init__(*args, **kwargs)
        self.error = error

    def from_db_value(self, value, expression, connection):
        return self.to_python(value)

    def to_python(self, value):
        if value is not None and not value.startswith("ok"):
            raise self.error
        return value


class InvalidToken(Exception):  # noqa: N818
    """Of no kind but its own, as that of the package cryptography."""


class Colour(models.TextChoices):
    RED = "r"
    BLUE = "b"


CASES = [
    ("big", models.BigIntegerField(), 9007199254740993),
    ("bool", models.BooleanField(), True),
    ("char", models.CharField(max_length=20), 'ü"\\\n🗝'),
    ("choice", models.CharField(choices=Colour.choices, max_length=1), Colour.BLUE.value),
    ("collation", models.CharField(max_length=9, db_collation="C"), "x"),
    ("date", models.DateField(), date(1, 2, 28)),
    ("datetime", models.DateTimeField(), datetime(2026, 1, 2, 3, 4, 5, 120000, UTC)),
    ("decimal", models.DecimalField(max_digits=40, decimal_places=10), Decimal("-0.1234567890")),
    ("decimal whole", models.DecimalField(max_digits=9, decimal_places=0), Decimal(3)),
    ("decimal scale", models.DecimalField(max_digits=9, decimal_places=2), Decimal("1.10")),
    ("duration", models.DurationField(), timedelta(days=-3, hours=2, microseconds=5)),
    ("duration negative", models.DurationField(), -timedelta(hours=2, microseconds=1)),
    ("duration zero", models.DurationField(), timedelta()),
    ("duration long", models.DurationField(), timedelta(days=40_000, seconds=59)),
    ("encrypted", Rot13Field(), "secret"),
    ("encrypted array", ArrayField(Rot13Field()), ["ab", "cd"]),
    ("file", models.FileField(), "folder/file.txt"),
    ("float", models.FloatField(), 1e-20),
    ("float whole", models.FloatField(), 1e20),
    ("float infinite", models.FloatField(), float("-inf")),
    ("float array", ArrayField(models.FloatField()), [1.0, 0.1]),
    ("binary", models.BinaryField(), b"\x00\xff\\"),
    ("binary empty", models.BinaryField(), b""),
    ("inet", models.GenericIPAddressField(), "2001:db8::1"),
    ("json", models.JSONField(), {"a": [1.5, None, {"é": '"'}], "b": 9007199254740993}),
    ("json text", models.JSONField(), "text"),
    ("json array", ArrayField(models.JSONField()), [[1, {"a": 2}], "x"]),
    ("integer array", ArrayField(models.IntegerField(null=True)), [1, None, -3]),
    ("nested array", ArrayField(ArrayField(models.TextField())), [["NULL", ""], ['a"b', "c,d\\"]]),
    ("sized array", ArrayField(models.DecimalField(max_digits=5, decimal_places=2), size=3), [Decimal(1)]),
    ("date array", ArrayField(models.DateField()), [date(2024, 2, 29)]),
    ("empty array", ArrayField(models.DateField()), []),
    ("integer range", IntegerRangeField(), NumericRange(1, None)),
    ("bigint range", BigIntegerRangeField(), NumericRange(None, 5)),
    ("decimal range", DecimalRangeField(), NumericRange(Decimal("1.10"), Decimal("2"), "(]")),
    ("empty range", DecimalRangeField(), NumericRange(empty=True)),
    ("endless range", DecimalRangeField(), NumericRange(None, None, "()")),
    ("date range", DateRangeField(), DateRange(date(2024, 1, 1), date(2024, 1, 2))),
    ("datetime range", DateTimeRangeField(), DateTimeTZRange(datetime(2024, 1, 1, 0, 0, 0, 5, UTC), None)),
    ("range array", ArrayField(IntegerRangeField()), [NumericRange(1, 2), NumericRange(empty=True)]),
    ("time", models.TimeField(), time(23, 59, 59, 999999)),
    ("uuid", models.UUIDField(), uuid.UUID(int=7)),
    ("url", models.URLField(), "https://example.com/?a=1&b=%20"),
]  # fmt: skip


@contextmanager
def table_with(**fields):
    """A model of its own, with its table."""
    with isolate_apps("tests.todos"):
        meta = type("Meta", (), {"app_label": "todos", "db_table": "one_of_a_kind"})
        model = type("Kind", (models.Model,), {"__module__": __name__, "Meta": meta, **fields})
        with connection.schema_editor() as editor:
            editor.create_model(model)
        yield model


@pytest.mark.parametrize(("field", "value"), [pytest.param(*case[1:], id=case[0]) for case in CASES])
def test_p21_field_has_the_value_that_the_orm_reads(field, value, django_assert_num_queries):
    with table_with(value=field.clone()) as model:
        live = model.objects.get(pk=model.objects.create(value=value).pk)
        expected = bytes(live.value) if isinstance(live.value, memoryview) else live.value
        image = row_image(live)
        with django_assert_num_queries(0):
            past = instance_from(model, image)
            assert past.value == expected
            assert type(past.value) is type(expected)
        assert past.bemi_extra == {}


class Mood(Enum):
    SAD = "sad"
    GLAD = "glad"


class MoodField(models.Field):
    """An enum of PostgreSQL in the column, and one of Python in the attribute."""

    def db_type(self, connection):
        return "mood"

    def get_prep_value(self, value):
        return value and value.value

    def from_db_value(self, value, expression, connection):
        return value and Mood(value)


def test_p21_enum_of_the_database_and_of_python():
    with connection.cursor() as cursor:
        cursor.execute("CREATE TYPE mood AS ENUM ('sad', 'glad')")
    with table_with(value=MoodField()) as model:
        image = row_image(model.objects.create(value=Mood.SAD))
        assert instance_from(model, image).value is Mood.SAD
        change = FieldChange("value", Mood.SAD, Mood.GLAD)
        assert diff_rows(model, image, image | {"value": "glad"}) == (change,)


@pytest.mark.parametrize("field", [pytest.param(case[1], id=case[0]) for case in CASES])
def test_p21_null_is_none(field):
    field = field.clone()
    field.null = True
    with table_with(value=field) as model:
        live = model.objects.get(pk=model.objects.create(value=None).pk)
        past = instance_from(model, row_image(live))
        assert past.value == live.value
        assert past.get_deferred_fields() == set()


def test_p21_float_nan_is_a_float():
    value = driver_value("double precision", "NaN")
    assert isinstance(value, float)
    assert value != value


def test_p21_decimal_nan_is_a_decimal():
    assert driver_value("numeric(5, 2)", "NaN").is_nan()


def test_p21_every_field_class_of_django(django_assert_num_queries):
    Everything.objects.create(
        exact=Decimal("1.1"), span=timedelta(days=1), period=DateTimeTZRange(None, None), document={"a": 1.0}
    )
    live = Everything.objects.get()
    image = row_image(live)
    with django_assert_num_queries(0):
        past = instance_from(Everything, image)
        names = [field.attname for field in Everything._meta.concrete_fields]
        assert [getattr(past, name) for name in names] == [getattr(live, name) for name in names]


@pytest.mark.parametrize(
    "interval",
    [
        "1 year", "-1 year -2 mons +3 days -04:05:06.7", "2 mons", "1 day -00:00:00.000001", "100:00:00",
        "3 years 2 mons 1 day 23:59:59.999999",
    ],
)  # fmt: skip
def test_p21_interval_is_read_as_the_driver_reads_it(interval):
    with connection.cursor() as cursor:
        cursor.execute("SELECT %s::interval, to_jsonb(%s::interval)::text", [interval, interval])
        [[expected, text]] = cursor.fetchall()
    assert driver_value("interval", json.loads(text)) == expected


def test_moment_without_time_zone_support_is_naive_as_the_orm_gives_it(settings):
    settings.USE_TZ, settings.TIME_ZONE = False, "Asia/Tokyo"
    assert driver_value("timestamp with time zone", "2026-01-01T20:00:00+00:00") == datetime(2026, 1, 2, 5)


@pytest.mark.parametrize(
    ("field", "sql"),
    [
        (models.DateField(), "date 'infinity'"),
        (models.DateField(), "date '0044-03-15 BC'"),
        (models.DateTimeField(), "timestamptz '294276-01-01 00:00:00+00'"),
        (models.TimeField(), "time '24:00:00'"),
        (models.DurationField(), "interval '170000000 years'"),
        (DateRangeField(), "daterange('-infinity', 'infinity')"),
    ],
    ids=lambda case: case if isinstance(case, str) else "",
)
def test_value_that_python_cannot_hold_is_kept_aside_and_not_none(field, sql):
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT to_jsonb({sql})::text")
        text = json.loads(cursor.fetchone()[0])
    with table_with(value=field) as model:
        past = instance_from(model, {"id": 1, "value": text})
    assert past.bemi_extra == {"value": text}
    with pytest.raises(HistoricInstanceError, match="value of a historic Kind"):
        past.value  # noqa: B018


@pytest.mark.parametrize("error", [ValidationError("no"), InvalidToken(), AssertionError()], ids=repr)
@pytest.mark.parametrize("is_complete", [False, True])
def test_value_that_its_field_refuses_is_kept_aside_whatever_the_field_raises(error, is_complete):
    with table_with(value=StrictField(null=True, error=error), other=StrictField(error=error)) as model:
        image = {"id": 1, "value": "former", "other": "ok"}
        past = instance_from(model, image, is_complete=is_complete)
        assert (past.other, past.bemi_extra, past.get_deferred_fields()) == (
            "ok", {"value": "former"}, {"value"},
        )  # fmt: skip
        change = FieldChange("value", "former", "ok now")
        assert diff_rows(model, image, image | {"value": "ok now"}) == (change,)


def refuse():
    raise InvalidToken


def test_default_that_cannot_be_had_is_not_known():
    with table_with(
        value=models.TextField(default=refuse),
        strict=StrictField(db_default="ok", error=InvalidToken()),
    ) as model:
        model._meta.get_field("strict").db_default = "former"
        past = instance_from(model, {"id": 1}, is_complete=True)
        assert past.get_deferred_fields() == {"value", "strict"}


def test_generated_column_and_image_with_its_dimensions(django_assert_num_queries):
    fields = {
        "name": models.CharField(max_length=9),
        "shout": models.GeneratedField(
            expression=Upper("name"), output_field=models.TextField(), db_persist=True
        ),
        "picture": models.ImageField(width_field="width"),
        "width": models.IntegerField(null=True),
    }
    with table_with(**fields) as model:
        with django_assert_num_queries(0):
            past = instance_from(model, {"id": 1, "name": "a", "shout": "A", "picture": "x.png", "width": 5})
            assert (past.shout, past.picture.name, past.width) == ("A", "x.png", 5)
        past.save(force_insert=True)
        assert model.objects.get().shout == "A"


def test_p29_unknown_keys_are_kept_aside_and_defaults_fill_in_for_columns_of_later():
    past = instance_from(TodoList, {"id": 1, "name": "a", "colour": "red"}, is_complete=True)
    assert past.bemi_extra == {"colour": "red"}
    past = instance_from(Todo, {"id": 1, "task": "a"}, is_complete=True)
    assert (past.list_id, past.is_completed, past.price, past.meta) == (None, False, "1.10", {})
    assert past.get_deferred_fields() == {"updated_at"}, "it has no default, and NULL is not allowed"


def test_column_of_later_has_the_default_that_the_database_gave_to_the_rows():
    fields = {
        "number": models.IntegerField(db_default=7, null=True),
        "required": models.IntegerField(db_default=models.Value(8)),
        "both": models.IntegerField(default=1, db_default=9),
        "price": models.DecimalField(max_digits=5, decimal_places=2, db_default="1.10"),
        "data": models.JSONField(db_default={"a": [1]}),
        "nothing": models.TextField(db_default=None, null=True),
    }
    with table_with(name=models.TextField()) as model:
        live = model.objects.create(name="a")
        image = row_image(live)
        for name, field in fields.items():
            field.contribute_to_class(model, name)
            with connection.schema_editor() as editor:
                editor.add_field(model, field)
        expected = model.objects.values(*fields).get()
        past = instance_from(model, image, is_complete=True)
        assert {name: getattr(past, name) for name in fields} == expected
        past.data["a"].append(2)
        assert instance_from(model, image, is_complete=True).data == {"a": [1]}


def test_default_that_the_database_computed_is_not_known():
    with table_with(
        made_at=models.DateTimeField(db_default=Now(), null=True),
        total=models.IntegerField(default=1, db_default=models.Value(1) + models.Value(2)),
    ) as model:
        past = instance_from(model, {"id": 1}, is_complete=True)
        assert past.get_deferred_fields() == {"made_at", "total"}
        with pytest.raises(HistoricInstanceError):
            past.made_at  # noqa: B018


def test_p29_renamed_table_and_columns(settings):
    settings.BEMI_RENAMED = {"todos.Todo": {"tables": ["todos_item"], "columns": {"title": "task"}}}
    assert values_from(Todo, {"id": 1, "title": "old"}) == {"id": 1, "task": "old"}
    assert values_from(Todo, {"id": 1, "title": "old", "task": "new"}) == {"id": 1, "task": "new"}
    assert instance_from(Todo, {"id": 1, "title": "old"}).bemi_extra == {}


def test_value_that_is_not_known_is_neither_none_nor_read_from_the_live_table(django_assert_num_queries):
    todo = Todo.objects.create(task="live")
    past = instance_from(Todo, {"id": todo.pk, "is_completed": True})
    with django_assert_num_queries(0):
        assert past.get_deferred_fields() == {"list_id", "task", "price", "meta", "updated_at"}
        with pytest.raises(HistoricInstanceError, match="task of a historic Todo"):
            past.task  # noqa: B018
        with pytest.raises(HistoricInstanceError, match="live row of a historic Todo"):
            past.refresh_from_db()


def test_historic_instance_looks_unsaved_and_can_be_saved():
    todo = Todo.objects.create(task="old")
    image = row_image(todo)
    todo.delete()
    past = instance_from(Todo, image)
    assert past._state.adding
    assert past._state.db is None
    assert is_historic(past)
    past.save()
    assert not is_historic(past)
    past.refresh_from_db()
    assert past.task == "old"
    assert past == Todo.objects.get()
    assert not is_historic(Todo.objects.get())


def pickled(instance):
    return pickle.loads(pickle.dumps(instance))


DUPLICATES = [copy.copy, copy.deepcopy, pickled, lambda past: copy.copy(copy.copy(past))]


@pytest.mark.parametrize("duplicate", DUPLICATES)
def test_copy_is_historic_too(duplicate):
    past = duplicate(instance_from(Todo, {"id": 1, "task": "a", "gone": 1}))
    assert (past.task, past.bemi_extra, is_historic(past)) == ("a", {"gone": 1}, True)
    with pytest.raises(HistoricInstanceError):
        past.price  # noqa: B018


@pytest.mark.parametrize("duplicate", DUPLICATES)
def test_copy_that_is_saved_is_an_instance_like_any_other_and_its_original_is_not(duplicate):
    todo_list = TodoList.objects.create(name="live")
    todo = Todo.objects.create(task="old", list=todo_list)
    original = instance_from(Todo, row_image(todo))
    made = duplicate(original)
    made.pk = None
    made.save()
    Todo.objects.filter(pk=made.pk).update(task="new")
    made.refresh_from_db()
    assert (made.task, made.list) == ("new", todo_list)
    with pytest.raises(HistoricInstanceError):
        original.refresh_from_db()
    with pytest.raises(HistoricInstanceError):
        original.list  # noqa: B018
    again = duplicate(made)
    again.refresh_from_db()
    assert (again.task, again.list) == ("new", todo_list)


def test_copy_of_what_another_process_pickled():
    pickle_of_another = pickle.dumps(instance_from(Todo, {"id": 1, "task": "a"}))
    copyreg.dispatch_table.pop(Todo)
    original = pickle.loads(pickle_of_another)
    made = copy.copy(original)
    made._state.adding = False
    with pytest.raises(HistoricInstanceError):
        original.refresh_from_db()
    with pytest.raises(Todo.DoesNotExist):
        made.refresh_from_db()


def test_copy_of_an_instance_whose_relations_were_replaced():
    past = instance_from(Todo, {"id": 1, "task": "a"})
    past._state.fields_cache = {"list": None}
    assert copy.copy(past).list is None


@pytest.mark.parametrize("duplicate", DUPLICATES)
def test_copies_of_live_instances_are_as_before(duplicate):
    todo = Todo.objects.create(task="a", list=TodoList.objects.create(name="x"))
    instance_from(Todo, row_image(todo))
    other = duplicate(todo)
    assert (other.task, other.list.name) == ("a", "x")
    assert vars(other).keys() == vars(todo).keys() | {"_django_version"}


class OwnCopies(models.Model):
    """A model that says itself how it is copied."""

    def __reduce__(self):
        return OwnCopies, (self.pk,)

    class Meta:
        app_label = "elsewhere"


def test_model_that_says_itself_how_it_is_copied_is_left_to_it():
    assert copy.copy(instance_from(OwnCopies, {"id": 3})).pk == 3


def test_receiver_that_reads_an_unknown_field_is_refused():
    def read(instance, **kwargs):
        instance.task  # noqa: B018

    models.signals.post_init.connect(read, sender=Todo)
    try:
        with pytest.raises(HistoricInstanceError):
            instance_from(Todo, {"id": 1})
    finally:
        models.signals.post_init.disconnect(read, sender=Todo)


def test_child_of_a_model_with_a_table_of_its_own():
    special = SpecialDocument.objects.create(title="x", level=2)
    past = instance_from(SpecialDocument, row_image(special))
    assert (past.pk, past.id, past.level) == (special.pk, special.pk, 2)
    assert past.get_deferred_fields() == {"title"}
    whole = instance_from(SpecialDocument, row_image(special) | row_image(special.document_ptr))
    assert (whole.title, whole.get_deferred_fields()) == ("x", set())


def test_keys_of_every_kind():
    key = uuid.uuid4()
    assert instance_from(Document, {"id": str(key), "title": "x"}).pk == key
    assert instance_from(Seat, {"row": "A", "number": 1, "taken_by": ""}).pk == ("A", 1)


def test_exact_numbers_reach_the_fields():
    image = json.loads('{"id": 1, "price": 1.10}', cls=ExactDecoder)
    assert str(instance_from(Todo, image).price) == "1.10"
