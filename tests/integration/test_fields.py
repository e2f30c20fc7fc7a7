"""Look-ups on the context: Django's own are the oracle for results, EXPLAIN for the index."""

import json
from functools import reduce

import pytest
from django.core.serializers.json import DjangoJSONEncoder
from django.db import connection, models
from django.db.models import Case, F, JSONField, Q, Value, When
from django.test.utils import isolate_apps
from hypothesis import given, settings
from hypothesis import strategies as st

from bemi_orm import Change
from bemi_orm.fields import ContextField, RowImageField
from tests.integration.rows import COLUMNS, plan, store

pytestmark = pytest.mark.django_db

with isolate_apps("tests.todos"):

    class PlainChange(models.Model):
        """The same table with Django's own field."""

        id = models.UUIDField(primary_key=True)
        context = JSONField(encoder=DjangoJSONEncoder)

        class Meta:
            app_label = "todos"
            db_table = "changes"
            managed = False


KEYS = ("a", "b", "0", "in it's %s", "")
SCALARS = [
    None,
    True,
    False,
    0,
    1,
    1.0,
    1.5,
    -1,
    9007199254740993,
    "1",
    "",
    "x",
    "a",
    "null",
    "it's 100%",
    'q"\\',
]
VALUES = [
    *SCALARS,
    [],
    {},
    [1],
    [1, 2],
    ["a"],
    [[1]],
    {"a": 1},
    {"a": {"b": 1}},
    {"a": None},
    {"0": 1},
    {"b": [1, {"a": 1}]},
]
CONTEXTS = [
    {},
    [],
    [1],
    ["a"],
    [{"a": 1}],
    1,
    "a",
    None,
    *({"a": value} for value in VALUES),
    *({"a": value, "b": 1} for value in VALUES),
    *({"b": value} for value in SCALARS),
    *({"0": value} for value in SCALARS),
    *({"in it's %s": value} for value in SCALARS),
    *({"": value} for value in SCALARS),
    *({"a": {"a": value, "b": None}} for value in VALUES),
    *({"a": [value]} for value in VALUES),
    *({"a": {"b": {"a": value}}} for value in SCALARS),
    {"a": 1.0, "b": {"a": [1, 1]}},
]

PATHS = st.lists(st.sampled_from([key for key in KEYS if key]), min_size=1, max_size=3).map("__".join)
LITERALS = st.sampled_from(VALUES)
EXPRESSIONS = st.sampled_from(
    [F("context__b"), F("context__a__b"), Value(1, JSONField()), Value("x", JSONField())]
)
EXACT = st.tuples(PATHS, LITERALS | EXPRESSIONS).map(lambda pair: Q(**{f"context__{pair[0]}": pair[1]}))
IN = st.tuples(PATHS, st.lists(LITERALS, max_size=3)).map(
    lambda pair: Q(**{f"context__{pair[0]}__in": pair[1]})
)
IN_WITH_EXPRESSION = st.tuples(PATHS, st.sampled_from(SCALARS[1:])).map(
    lambda pair: Q(**{f"context__{pair[0]}__in": [Value(pair[1], JSONField()), F("context__b")]})
)
OTHER = st.sampled_from(
    [Q(context__a__isnull=True), Q(context__has_key="b"), Q(context__a__gt=0), Q(context__a__icontains="x")]
)
LEAVES = EXACT | IN | IN_WITH_EXPRESSION | OTHER
CONDITIONS = st.recursive(
    LEAVES | LEAVES.map(lambda q: ~q),
    lambda inner: st.lists(inner, min_size=2, max_size=3).flatmap(
        lambda parts: st.sampled_from(
            [
                reduce(lambda x, y: x & y, parts),
                reduce(lambda x, y: x | y, parts),
                ~reduce(lambda x, y: x & y, parts),
            ]
        )
    ),
    max_leaves=4,
)


@pytest.fixture
def stored_contexts():
    return {store(context=json.dumps(context)): context for context in CONTEXTS}


def test_results_are_those_of_django(stored_contexts):
    def ids(queryset):
        return set(queryset.values_list("pk", flat=True))

    @settings(max_examples=400, deadline=None)
    @given(CONDITIONS)
    def compare(condition):
        assert ids(Change.objects.filter(condition)) == ids(PlainChange.objects.filter(condition))
        assert ids(Change.objects.exclude(condition)) == ids(PlainChange.objects.exclude(condition))
        case = Case(When(condition, then=1), When(~condition, then=2), default=3)
        ours, theirs = (model.objects.values_list("pk", case) for model in (Change, PlainChange))
        assert set(ours) == set(theirs)

    compare()


def test_excluding_leaves_out_rows_without_the_key_as_django_does(stored_contexts):
    excluded = Change.objects.exclude(context__a=1)
    assert {json.dumps(change.context) for change in excluded} == {
        json.dumps(context)
        for context in CONTEXTS
        if isinstance(context, dict) and "a" in context and (context["a"] is True or context["a"] != 1)
    }


def test_key_through_an_alias_and_in_a_subquery(stored_contexts):
    expected = set(PlainChange.objects.filter(context__a=1).values_list("pk", flat=True))
    assert expected
    assert (
        set(Change.objects.alias(key=F("context__a")).filter(key=1).values_list("pk", flat=True)) == expected
    )
    inner = Change.objects.filter(context__a__in=[1]).values("pk")
    assert set(Change.objects.filter(pk__in=inner).values_list("pk", flat=True)) == expected
    values = Change.objects.filter(context__b=1).values("context__b")
    assert set(Change.objects.filter(context__a__in=values).values_list("pk", flat=True)) == expected


def test_values_of_keys_come_back_decoded(stored_contexts):
    assert set(Change.objects.filter(context__b=1).values_list("context__b", flat=True)) == {1}
    assert Change.objects.filter(context__a="x").order_by("context__a").first().context["a"] == "x"


@pytest.fixture
def many_changes():
    columns = ", ".join(f'"{name}"' for name in COLUMNS)
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO changes ({columns}) "
            "SELECT gen_random_uuid(), current_database(), 'public', 'todos_todo', n::text, n, NULL, "
            "'UPDATE', '{}', '{}', jsonb_build_object('user_id', n % 1000, 'request', "
            "jsonb_build_object('path', '/' || n % 1000), 'tags', jsonb_build_array(n % 1000)), "
            "now(), now(), n, n, 0 FROM generate_series(1, 5000) n"
        )
        cursor.execute("SELECT gin_clean_pending_list('changes_default_context_idx')")  # as autovacuum does
        cursor.execute("ANALYZE changes")


@pytest.mark.parametrize(
    ("condition", "count"),
    [
        (Q(context__user_id=7), 5),
        (Q(context__user_id__in=[7, 8]), 10),
        (Q(context__request__path="/7"), 5),
        (Q(context__request__path__in=["/7", "/8"]), 10),
        (Q(context__tags=[7]), 5),
        (Q(context__request={"path": "/7"}), 5),
        (Q(context__user_id=7) | Q(context__user_id=8), 10),
        (Q(context__user_id=7) & ~Q(context__request__path="/8"), 5),
        (Q(context__user_id=None), 0),
    ],
)
def test_index_on_context_serves_keys(many_changes, condition, count):
    queryset = Change.objects.filter(condition).order_by()
    explained = queryset.explain()  # nothing ruled out: the planner chooses
    assert "changes_default_context_idx" in explained, explained
    assert "Seq Scan" not in explained
    assert queryset.count() == count


def test_django_field_would_not_reach_the_index(many_changes):
    assert "changes_default_context_idx" not in plan(PlainChange.objects.filter(context__user_id=7))


@pytest.mark.parametrize("field_class", [ContextField, RowImageField])
def test_field_is_rebuilt_from_its_deconstruction(field_class):
    field = field_class(default=dict)
    _, path, args, options = field.deconstruct()
    assert (path, list(args), options) == (f"bemi_orm.fields.{field_class.__name__}", [], {"default": dict})
    rebuilt = field.clone()
    assert (rebuilt.encoder, rebuilt.decoder) == (field.encoder, field.decoder)
    assert field.encoder is not None
