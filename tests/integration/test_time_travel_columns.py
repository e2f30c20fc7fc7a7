"""Columns that are more than their value in an image: generated ones, and those with a collation."""

from contextlib import contextmanager

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import connection, models
from django.db.models.functions import Concat, Now, Upper
from django.test.utils import isolate_apps

from bemi_orm import Change, time_travel
from bemi_orm.exceptions import TimeTravelError
from tests.integration.travels import Trail, forget_models

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])


@contextmanager
def tracked(trail, **fields):
    """Give a model with these fields, its table tracked and its view made."""
    meta = type("Meta", (), {"app_label": "todos"})
    with isolate_apps("tests.todos"):
        model = type("Kind", (models.Model,), {"__module__": __name__, "Meta": meta, **fields})
    apps.register_model("todos", model)
    forget_models()
    with connection.schema_editor() as editor:
        editor.create_model(model)
    try:
        trail.open()
        yield model
    finally:
        with connection.schema_editor() as editor:
            editor.delete_model(model)
        del apps.all_models["todos"]["kind"]
        apps.clear_cache()
        forget_models()


@pytest.fixture(params=["default", "other"])
def trail(request, settings):
    trail = Trail(settings, request.param)
    yield trail
    trail.close()


@pytest.fixture(params=["stored", "virtual"])
def persists(request):
    if request.param == "virtual" and connection.pg_version < 180_000:
        pytest.skip("virtual generated columns are of PostgreSQL 18")
    return request.param == "stored"


class Missing(models.Func):
    """A function of the project, which the other database does not have."""

    function = "public.bemi_shout"
    output_field = models.TextField()


def generated(expression, persists, output_field=None):
    output_field = output_field or models.TextField()
    return models.GeneratedField(expression=expression, output_field=output_field, db_persist=persists)


def test_p21_generated_columns_have_their_values_published_or_not(trail, persists):
    fields = {
        "name": models.CharField(max_length=9),
        "number": models.IntegerField(null=True),
        "shout": generated(Upper("name"), persists),
        "rest": generated(models.F("number") % 3, persists, models.IntegerField()),
        "marked": generated(Concat(models.F("name"), models.Value("%it's")), persists),
    }
    with tracked(trail, **fields) as kind:
        kind.objects.create(name="new", number=5)
        kind.objects.create(name="a")
        kind.objects.filter(name="a").update(name="changed", number=7)
        expected = list(kind.objects.order_by("pk").values_list())
        then = trail.now()
        kind.objects.all().delete()
        trail.drain()
        with time_travel(then):
            assert list(kind.objects.order_by("pk").values_list()) == expected
            assert kind.objects.get(shout="NEW").rest == 2
            assert kind.objects.count() == 2


@pytest.mark.parametrize("trail", ["other"], indirect=True)
def test_a_generated_column_that_cannot_be_computed_raises(trail):
    trail.execute(
        "CREATE FUNCTION public.bemi_shout(text) RETURNS text LANGUAGE sql IMMUTABLE RETURN upper($1)"
    )
    try:
        with tracked(trail, name=models.TextField(), shout=generated(Missing("name"), True)) as kind:
            kind.objects.create(name="a")
            then = trail.now()
            trail.drain()
            published = connection.pg_version >= 180_000
            with time_travel(then):
                assert kind.objects.defer("shout").get().name == "a"
                if published:
                    assert kind.objects.get().shout == "A"
                else:
                    with pytest.raises(TimeTravelError, match=r"todos_kind\.shout is not known"):
                        kind.objects.get()
    finally:
        trail.execute("DROP FUNCTION public.bemi_shout")


def test_text_has_the_collation_of_its_column(trail):
    fields = {
        "name": models.CharField(max_length=9, db_collation="POSIX", unique=True),
        "twin": models.ForeignKey("self", models.CASCADE, to_field="name", null=True),
    }
    with tracked(trail, **fields) as kind:
        kind.objects.create(name="b", twin=kind.objects.create(name="a"))
        then = trail.now()
        trail.drain()
        with time_travel(then):
            asked = "SELECT DISTINCT pg_collation_for(name) FROM todos_kind"
            assert trail.fetch(asked, trail.alias) == [('"POSIX"',)]
            assert list(kind.objects.order_by("name").values_list("name", "twin__name")) == [
                ("a", None),
                ("b", "a"),
            ]


def add_column(model, name, field):
    """Add a column to a tracked table, as a migration does."""
    field.contribute_to_class(model, name)
    with connection.schema_editor() as editor:
        editor.add_field(model, field)
    apps.clear_cache()
    forget_models()
    call_command("bemi", "setup", verbosity=0)


def test_an_added_column_has_what_its_migration_put_into_the_rows(trail):
    fields = {
        "number": models.IntegerField(db_default=7, null=True),
        "required": models.IntegerField(db_default=models.Value(8)),
        "both": models.IntegerField(default=1, db_default=9),
        "text": models.TextField(db_default="it's 100%"),
        "flag": models.BooleanField(db_default=False),
        "price": models.DecimalField(max_digits=5, decimal_places=2, db_default=1),
        "data": models.JSONField(db_default={"a": [1]}),
        "of_django": models.IntegerField(default=10),
    }
    with tracked(trail, name=models.TextField()) as kind:
        kind.objects.create(name="a")
        trail.drain()
        then = Change.objects.order_by("-id").first()
        for name, field in fields.items():
            add_column(kind, name, field)
        expected = kind.objects.values_list(*fields).get()
        with time_travel(then):
            assert kind.objects.values_list(*fields).get() == expected


def test_an_added_column_whose_default_is_computed_is_null(trail):
    with tracked(trail, name=models.TextField()) as kind:
        kind.objects.create(name="a")
        trail.drain()
        then = Change.objects.order_by("-id").first()
        add_column(kind, "made_at", models.DateTimeField(db_default=Now()))
        with time_travel(then):
            assert kind.objects.get().made_at is None
