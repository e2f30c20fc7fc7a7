"""Tables whose real key is not that of their model: the worker stores what the catalog says."""

from contextlib import contextmanager

import pytest
from django.apps import apps
from django.db import connection, models
from django.test.utils import isolate_apps

from bemi_orm import BemiMixin, Change, time_travel
from bemi_orm.exceptions import TimeTravelError
from tests.integration.travels import Trail, forget_models

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])


@pytest.fixture(params=["default", "other"])
def trail(request, settings):
    trail = Trail(settings, request.param)
    yield trail
    trail.close()


@contextmanager
def legacy(trail, definition, **fields):
    """Give a model of a table that Django did not make, tracked, with two rows."""
    meta = type("Meta", (), {"app_label": "todos", "managed": False, "db_table": "legacy"})
    with isolate_apps("tests.todos"):
        body = {"__module__": __name__, "Meta": meta, "name": models.TextField(), **fields}
        model = type("Kind", (BemiMixin, models.Model), body)
    apps.register_model("todos", model)
    forget_models()
    try:
        trail.execute("CREATE DOMAIN legacy_number AS int")
        trail.execute(f"CREATE TABLE legacy {definition}")
        if "PARTITION" in definition:
            trail.execute("CREATE TABLE legacy_1 PARTITION OF legacy DEFAULT")
        trail.open()
        yield model
    finally:
        trail.execute("DROP TABLE IF EXISTS legacy; DROP DOMAIN IF EXISTS legacy_number")
        del apps.all_models["todos"]["kind"]
        apps.clear_cache()
        forget_models()


class Int8(models.Field):
    def db_type(self, connection):
        return "int8"


class Number(models.Field):
    def db_type(self, connection):
        return "legacy_number"


def number(**options):
    return models.IntegerField(**options)


TABLES = {
    "partitioned": (
        "(a int, b int, name text, PRIMARY KEY (a, b)) PARTITION BY LIST (b)",
        {"a": number(primary_key=True), "b": number()},
    ),
    "composite": (
        "(a int, b int, name text, PRIMARY KEY (b, a))",
        {"a": number(primary_key=True), "b": number()},
    ),
    "composite in another order": (
        "(a int, b int, name text, PRIMARY KEY (b, a))",
        {"pk": models.CompositePrimaryKey("a", "b"), "a": number(), "b": number()},
    ),
    "a column of two": (
        "(a int PRIMARY KEY, b int, name text)",
        {"pk": models.CompositePrimaryKey("a", "b"), "a": number(), "b": number()},
    ),
    "another unique column": (
        "(a int UNIQUE, b int PRIMARY KEY, name text)",
        {"a": number(primary_key=True), "b": number()},
    ),
    "numeric": (
        "(a numeric PRIMARY KEY, b int, name text)",
        {"a": models.BigIntegerField(primary_key=True), "b": number()},
    ),
    "int for a text": (
        "(a int PRIMARY KEY, b int, name text)",
        {"a": models.CharField(max_length=20, primary_key=True), "b": number()},
    ),
    "text for an int": (
        "(a text PRIMARY KEY, b int, name text)",
        {"a": models.CharField(max_length=20, primary_key=True), "b": number()},
    ),
    "type by another name": (
        "(a int8 PRIMARY KEY, b int, name text)",
        {"a": Int8(primary_key=True), "b": number()},
    ),
    "domain": (
        "(a legacy_number PRIMARY KEY, b int, name text)",
        {"a": Number(primary_key=True), "b": number()},
    ),
}


def rows(model):
    return list(model.objects.order_by("b").values_list("a", "b", "name"))


@pytest.mark.parametrize("table", TABLES)
def test_the_key_is_that_of_the_table(trail, table):
    definition, fields = TABLES[table]
    with legacy(trail, definition, **fields) as kind:
        trail.execute("INSERT INTO legacy (a, b, name) VALUES (1, 11, 'x'), (2, 12, 'y')")
        trail.execute("UPDATE legacy SET name = 'z' WHERE b = 11")
        expected, then = rows(kind), trail.now()
        trail.execute("UPDATE legacy SET name = 'later'")
        first, second = kind.objects.order_by("b")
        trail.execute("DELETE FROM legacy WHERE b = 12")
        trail.drain()
        with time_travel(then):
            assert rows(kind) == expected
            assert kind.objects.count() == 2
            assert [kind.objects.get(pk=row.pk).name for row in (first, second)] == ["z", "y"]
        assert sorted(row.name for row in kind.bemi.as_of(then)) == ["y", "z"]
        assert [change.before["b"] for change in kind.bemi.deleted()] == [12]
        assert [change.after["name"] for change in first.bemi_history()] == ["x", "z", "later"]
        assert [change.operation for change in second.bemi_history()] == ["CREATE", "UPDATE", "DELETE"]
        assert (first.bemi_as_of(then).name, second.bemi_as_of(then).name) == ("z", "y")


def test_a_row_that_moves_keeps_its_history_by_the_real_key(trail):
    definition, fields = TABLES["partitioned"]
    with legacy(trail, definition, **fields) as kind:
        trail.execute("INSERT INTO legacy (a, b, name) VALUES (1, 11, 'x'), (1, 12, 'y')")
        trail.execute("UPDATE legacy SET b = 13 WHERE b = 11")
        then = trail.now()
        trail.drain()
        with time_travel(then):
            inside = [change.after["b"] for change in kind.objects.get(b=13).bemi_history()]
        outside = [change.after["b"] for change in kind.objects.get(b=13).bemi_history()]
        assert inside == outside == [11, 13]


def test_without_a_primary_key_the_past_raises(trail):
    fields = {"a": number(primary_key=True)}
    with legacy(trail, "(a int, name text)", **fields) as kind:
        trail.execute("INSERT INTO legacy VALUES (1, 'x')")
        then = trail.now()
        trail.drain()
        row = kind.objects.get()
        with time_travel(then), pytest.raises(TimeTravelError, match="legacy has no primary key"):
            kind.objects.count()
        asked = [
            lambda: kind.bemi.as_of(then),
            kind.bemi.deleted,
            lambda: list(row.bemi_history()),
            lambda: row.bemi_as_of(then),
            row.bemi_blame,
        ]
        for ask in asked:
            with pytest.raises(TimeTravelError, match=r"legacy has no primary key"):
                ask()
        assert Change.objects.for_model(kind).get().after == {"a": 1, "name": "x"}


def test_a_key_that_the_model_does_not_have_raises_for_one_row(trail):
    definition, fields = TABLES["another unique column"]
    with legacy(trail, definition, a=fields["a"]) as kind:
        trail.execute("INSERT INTO legacy (a, b, name) VALUES (1, 11, 'x')")
        then = trail.now()
        trail.drain()
        with time_travel(then):
            assert kind.objects.get(pk=1).name == "x"
        assert [row.name for row in kind.bemi.as_of(then)] == ["x"]
        with pytest.raises(TimeTravelError, match=r"\(b\).* todos\.Kind has no field"):
            kind.objects.get().bemi_history().count()


def test_the_real_key_costs_no_query(trail, django_assert_num_queries):
    with legacy(trail, "(a int PRIMARY KEY, b int, name text)", a=number(primary_key=True)) as kind:
        trail.execute("INSERT INTO legacy (a, name) VALUES (1, 'x')")
        trail.drain()
        row = kind.objects.get()
        assert row.bemi_history().count() == 1
        with django_assert_num_queries(2 if trail.alias == connection.alias else 0):  # the key is known
            list(row.bemi_history())
