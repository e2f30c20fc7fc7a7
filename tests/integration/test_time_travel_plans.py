"""Conditions and joins by key reach the index through the views."""

import re
import uuid
from datetime import UTC, datetime

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from bemi_orm import Change, time_travel
from bemi_orm.history.commits import FIRST_ID
from tests.integration.rows import store
from tests.todos.models import Document, SpecialDocument, Tag, Todo

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])

MANY = """
INSERT INTO changes (id, database, schema, "table", primary_key, primary_key_int, operation, after,
                     committed_at, queued_at, transaction_id, position, ordinal)
SELECT {first_id}, current_database(), 'public', '{table}', {key}, {key_int}, 'CREATE',
       jsonb_build_object({image}), now(), now(), n, {base} + n, 0
FROM generate_series(1, 5000) n
"""
TABLES = {
    "todos_todo": ("n::text", "n", "'id', n, 'list_id', n % 100 + 1, 'task', 'task ' || n"),
    "todos_todolist": ("n::text", "n", "'id', n, 'name', 'list ' || n"),
    "todos_document": ("md5(n::text)::uuid::text", "NULL", "'id', md5(n::text)::uuid, 'title', 'x'"),
    "todos_specialdocument": (
        "md5(n::text)::uuid::text",
        "NULL",
        "'document_ptr_id', md5(n::text)::uuid, 'level', n",
    ),
    "todos_tag": ("'tag ' || n", "NULL", "'code', 'tag ' || n"),
}


@pytest.fixture
def newest(trail):
    """The newest of many changes."""
    for number, (table, (key, key_int, image)) in enumerate(TABLES.items()):
        first_id = FIRST_ID.format(position=f"{number * 5000} + n")
        trail.execute(
            MANY.format(
                table=table, key=key, key_int=key_int, image=image, base=number * 5000, first_id=first_id
            )
        )
    store("unrelated", transaction=1000)
    trail.execute("ANALYZE changes")
    return Change.objects.get(table="unrelated")


def plan(queryset, moment):
    with time_travel(moment):
        return queryset.explain()


def scans(found):
    """Give the costs of sequential scans, but for partitions of a page or two."""
    costs = re.findall(r"Seq Scan on changes\S* \w+  \(cost=\S+\.\.(\S+) ", found)
    return [cost for cost in costs if float(cost) > 10]


def some_uuid(trail):
    [[key]] = trail.fetch("SELECT md5('7')::uuid")
    return key


QUERIES = {
    "integer": lambda key: Todo.objects.filter(pk=7),
    "integers": lambda key: Todo.objects.filter(pk__in=[7, 8, 9]),
    "join": lambda key: Todo.objects.select_related("list").filter(pk=7),
    "text": lambda key: Tag.objects.filter(pk="tag 7"),
    "uuid": lambda key: Document.objects.filter(pk=key),
    "uuids": lambda key: Document.objects.filter(pk__in=[key, uuid.UUID(int=1)]),
    "inherited uuid": lambda key: SpecialDocument.objects.filter(pk=key),
    "page": lambda key: Todo.objects.order_by("pk")[:20],
    "page with parents": lambda key: Todo.objects.select_related("list").order_by("pk")[:20],
}


@pytest.mark.parametrize("query", QUERIES.values(), ids=QUERIES)
def test_p19_look_ups_by_key_reach_the_index(trail, newest, query):
    queryset = query(some_uuid(trail))
    found = plan(queryset, newest)
    assert not scans(found), found
    assert "primary_key" in found
    with time_travel(newest):
        assert len(queryset) == min(queryset.count(), 20) > 0


def test_p19_as_of_reaches_the_index(newest):
    found = Change.objects.for_model(Todo).filter(primary_key_int=7).as_of(newest).explain()
    assert not scans(found), found


def test_p19_a_page_of_joined_rows_is_not_taken_from_all_of_them(newest):
    """The planner knows nothing of the values in images, so it expects next to no rows of such a join."""
    joined = Todo.objects.filter(list__name__startswith="list").order_by("pk")
    with time_travel(newest):
        assert not re.search(r"Sort +\(cost", found := joined[:20].explain()), found
        assert len(joined[:20]) == 20


def test_p19_partitions_of_later_changes_are_left_out(trail, newest):
    assert "changes_2100_01" not in _page_after_partition(trail, newest)


def test_partitions_count_by_their_changes_not_by_the_clock(trail, newest):
    """The clock was wrong: a change of the moment is in a later partition."""
    assert "changes_2100_01" in _page_after_partition(trail, newest, 999)


def _page_after_partition(trail, moment, *transactions):
    """Give the plan of a page, with what ran, where a partition has rows of the next century."""
    trail.execute(
        "CREATE TABLE changes_2100_01 PARTITION OF changes FOR VALUES FROM ('2100-01-01') TO ('2100-02-01')"
    )
    try:
        for number in (1001, *transactions):
            store("todos_todo", 6000, transaction=number, committed_at=datetime(2100, 1, 1, tzinfo=UTC))
        with time_travel(moment):
            return Todo.objects.order_by("pk")[:20].explain(analyze=True)
    finally:
        trail.execute("DROP TABLE changes_2100_01")


@pytest.mark.parametrize("model", [Todo, Document, SpecialDocument])
def test_p19_whole_tables_are_counted_with_the_moment_as_a_constant(newest, model):
    with time_travel(newest), CaptureQueriesContext(connection) as asked:
        assert model.objects.count() == len(model.objects.all()) == 5000
    assert any("count_rows" in query["sql"] for query in asked)


PAGES = {
    "integer": lambda key: Todo.objects.filter(pk__gt=4000),
    "text": lambda key: Tag.objects.filter(pk__gt="tag 7"),
    "uuid": lambda key: Document.objects.filter(pk__gt=key),
    "first by text": lambda key: Tag.objects.all(),
    "first by uuid": lambda key: Document.objects.all(),
}


@pytest.mark.parametrize("order", ["pk", "-pk"])
@pytest.mark.parametrize("query", PAGES.values(), ids=PAGES)
def test_p19_the_index_can_serve_the_order_of_pages_by_key(trail, newest, query, order):
    """Sorts and whole scans are forbidden, so that what is shown is not the planner's taste."""
    queryset = query(some_uuid(trail)).order_by(order)[:20]
    with time_travel(newest):
        for way in ("sort", "seqscan", "bitmapscan"):
            trail.execute(f"SET LOCAL enable_{way} = off")
        found = queryset.explain()
        assert len(queryset) == 20
    assert not re.search(r"Sort +\(cost", found), found
    of_rows = re.findall(r"(\w+ Scan.* on changes\S* c(?:_\d+)? .*)\n *(.*)", found)
    assert of_rows, found
    for scan, condition in of_rows:
        assert re.search(r"Index Scan( Backward)? using \S+_primary_key_\S+_idx", scan), scan
        assert " > " not in str(queryset.query) or re.search(r"primary_key(_int)? > ", condition), condition
