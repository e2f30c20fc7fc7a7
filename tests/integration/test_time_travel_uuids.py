"""UUIDs, which the views show as texts: whatever is asked of them is answered as by the live tables."""

import uuid

import pytest
from django.apps import apps
from django.contrib.postgres.aggregates import ArrayAgg
from django.contrib.postgres.expressions import ArraySubquery
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.functions import RandomUUID
from django.db import DatabaseError, connection, models
from django.db.models import Case, Count, Exists, F, Max, OuterRef, Q, Subquery, Value, When, Window
from django.db.models.functions import Cast, Coalesce, Concat, Greatest, JSONObject, NullIf, RowNumber
from django.test.utils import isolate_apps

from bemi_orm import time_travel
from bemi_orm.timetravel.setup import plan_views
from bemi_orm.timetravel.uuids import casts_to_texts
from tests.integration.travels import Trail, forget_models
from tests.todos.models import Document, SpecialDocument

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])

KEYS = [uuid.UUID(int=number << 120 | 0xABCDEF) for number in (0x01, 0x9A, 0xA1, 0xE0, 0xFF)]


@pytest.fixture
def page():
    """A model with a uuid key, a foreign key to another one, a uuid that is no key, and an array of them."""
    with isolate_apps("tests.todos"):

        class Page(models.Model):
            id = models.UUIDField(primary_key=True, default=uuid.uuid4)
            document = models.ForeignKey(Document, models.CASCADE, null=True, related_name="+")
            token = models.UUIDField(null=True)
            seen_by = ArrayField(models.UUIDField(), default=list)

            class Meta:
                app_label = "todos"

    Page._meta.get_field("document").remote_field.model = Document
    apps.register_model("todos", Page)
    forget_models()
    with connection.schema_editor() as editor:
        editor.create_model(Page)
    yield Page
    with connection.schema_editor() as editor:
        editor.delete_model(Page)
    del apps.all_models["todos"]["page"]
    apps.clear_cache()
    forget_models()


@pytest.fixture
def trail(settings, page):
    trail = Trail(settings)
    trail.open()
    plan_views(lambda schema, table: True).apply()
    yield trail
    trail.close()


@pytest.fixture
def then(trail, page):
    """The moment of the rows that QUERIES are about; they are gone since, but for one that was changed."""
    for key in KEYS[:3]:
        Document.objects.create(id=key, title=str(key).upper())
    SpecialDocument.objects.create(id=KEYS[3], title="special", level=1)
    page.objects.create(id=KEYS[0], document_id=KEYS[1], token=KEYS[2], seen_by=KEYS[:2])
    page.objects.create(id=KEYS[1], document_id=KEYS[1], token=KEYS[1])
    page.objects.create(id=KEYS[4], document_id=KEYS[3], seen_by=[KEYS[4]])
    page.objects.create(id=KEYS[2])
    return trail.now()


def raw(sql, *params):
    with connection.cursor() as cursor:
        cursor.execute(sql, params or None)
        return cursor.fetchall()


TEXT = models.TextField()
TOKEN = Coalesce("token", "document_id", "pk")
CASE = Case(When(pk__lt=KEYS[1], then="token"), When(token=None, then=Value(KEYS[4])), default="document_id")

QUERIES = {
    "get": lambda page: page.objects.get(pk=str(KEYS[1]).upper()).pk,
    "gt": lambda page: page.objects.filter(pk__gt=KEYS[1]),
    "gte": lambda page: page.objects.filter(pk__gte=KEYS[1]),
    "lt": lambda page: page.objects.filter(document__lt=KEYS[2]),
    "lte": lambda page: page.objects.filter(token__lte=KEYS[2]),
    "range": lambda page: page.objects.filter(pk__range=(KEYS[1], KEYS[2])),
    "in": lambda page: page.objects.filter(pk__in=[*KEYS[:2], uuid.UUID(int=1)]),
    "exclude": lambda page: page.objects.exclude(document__in=KEYS[:2]),
    "text look-ups": lambda page: page.objects.filter(Q(pk__icontains="ABCDEF") & Q(token__startswith="a1")),
    "compare columns": lambda page: page.objects.filter(Q(pk=F("token")) | Q(document__gt=F("token"))),
    "order": lambda page: page.objects.order_by(F("token").desc(nulls_last=True), "-pk").values_list("pk"),
    "distinct": lambda page: page.objects.order_by("document").distinct("document").values_list("document"),
    "values": lambda page: page.objects.values("pk", "document", "document__pk", "token", "seen_by"),
    "rows": lambda page: page.objects.values_list(),
    "joins": lambda page: page.objects.filter(document__title__startswith="9A").select_related("document"),
    "fetched": lambda page: [(row.pk, row.document) for row in page.objects.prefetch_related("document")],
    "inherited": lambda page: SpecialDocument.objects.values_list("pk", "document_ptr", "title"),
    "in bulk": lambda page: list(page.objects.in_bulk(KEYS).items()),
    "union": lambda page: page.objects.values_list("pk").union(Document.objects.values_list("pk")),
    "union of token": lambda page: page.objects.values_list("token").union(page.objects.values_list("pk")),
    "intersection": lambda page: page.objects.values_list("document").intersection(
        Document.objects.values_list("pk")
    ),
    "coalesce": lambda page: page.objects.annotate(x=TOKEN).values_list("x"),
    "coalesce with value": lambda page: page.objects.values_list(Coalesce("token", Value(KEYS[4]))),
    "coalesce with cast": lambda page: page.objects.values_list(
        Coalesce("token", Cast(Value(str(KEYS[4]).upper()), models.UUIDField()))
    ),
    "case": lambda page: page.objects.annotate(x=CASE).values_list("pk", "x"),
    "null if": lambda page: page.objects.values_list(NullIf("pk", Value(KEYS[0]))),
    "cast": lambda page: page.objects.values_list(
        Cast("pk", TEXT), Concat("pk", Value(""), output_field=TEXT)
    ),
    "cast back": lambda page: Document.objects.exclude(title="special").values_list(
        Cast("title", models.UUIDField())
    ),
    "compare with cast": lambda page: Document.objects.exclude(title="special").filter(
        pk=Cast("title", models.UUIDField())
    ),
    "json": lambda page: page.objects.values_list(JSONObject(key="pk", token="token")),
    "array": lambda page: page.objects.aggregate(x=ArrayAgg("document", distinct=True), n=Count("document")),
    "greatest": lambda page: page.objects.values_list(Greatest("pk", "token", Value(KEYS[1]))),
    "max of texts": lambda page: page.objects.aggregate(x=Max(Cast("pk", TEXT))),
    "group": lambda page: page.objects.values("document").annotate(x=ArrayAgg("pk", order_by="pk")),
    "array field": lambda page: page.objects.filter(seen_by__contains=[KEYS[0]], seen_by__0=KEYS[0]),
    "array overlaps": lambda page: page.objects.filter(seen_by__overlap=[KEYS[4], KEYS[3]]),
    "array subquery": lambda page: Document.objects.values_list(
        ArraySubquery(page.objects.filter(document=OuterRef("pk")).order_by("pk").values("pk"))
    ),
    "subquery": lambda page: page.objects.annotate(
        x=Subquery(Document.objects.filter(pk__gte=OuterRef("document")).order_by("pk").values("pk")[:1])
    ).values_list("pk", "x"),
    "in subquery": lambda page: Document.objects.filter(pk__in=page.objects.values("token")),
    "exists": lambda page: Document.objects.filter(Exists(page.objects.filter(document=OuterRef("pk")))),
    "window": lambda page: page.objects.values_list("pk", Window(RowNumber(), "document", order_by="pk")),
    "random": lambda page: page.objects.filter(pk=RandomUUID()),
    "iterator": lambda page: list(page.objects.filter(pk__gt=KEYS[0]).iterator(chunk_size=1)),
    "raw model": lambda page: list(page.objects.raw("SELECT * FROM todos_page WHERE id > %s", [KEYS[0]])),
    "raw any": lambda page: raw("SELECT count(*) FROM todos_page WHERE id = ANY(%s)", KEYS[:2]),
    "raw typed": lambda page: raw("SELECT count(*) FROM todos_page WHERE CAST(%s AS uuid) <= id", KEYS[1]),
    "raw literal": lambda page: raw(
        f"SELECT count(*) FROM todos_page WHERE id IN ('{str(KEYS[1]).upper()}'::uuid, '{KEYS[2]}'::UUID)"
    ),
}


def ask_all(page):
    return {name: _shown(ask(page)) for name, ask in QUERIES.items()}


def _shown(answer):
    if isinstance(answer, models.QuerySet) and answer.ordered:
        return [repr(row) for row in answer]
    return sorted(map(repr, answer)) if isinstance(answer, models.QuerySet | list) else repr(answer)


def test_p30_uuids_are_answered_as_by_live_tables(then, trail, page):
    expected = ask_all(page)
    page.objects.exclude(pk=KEYS[0]).delete()
    page.objects.update(token=KEYS[0], seen_by=[], document=None)
    Document.objects.all().delete()
    trail.drain()
    with time_travel(then):
        assert ask_all(page) == expected
    assert page.objects.get().token == KEYS[0]


def test_a_uuid_that_stays_one_is_not_mixed_with_texts_silently(then, trail, page):
    """Only `::uuid` is read in raw SQL."""
    trail.drain()
    with time_travel(then), pytest.raises(DatabaseError, match="text and uuid cannot be matched"):
        raw(f"SELECT id FROM todos_page UNION SELECT CAST('{KEYS[0]}' AS uuid)")


def test_casts_are_found_outside_of_strings_only():
    assert casts_to_texts("SELECT x::uuid, y :: pg_catalog.UUID, z::uuid[3]") == (
        "SELECT x::uuid::text, y :: pg_catalog.UUID::text, z::uuid[3]::text[3]"
    )
    for sql in ("SELECT '::uuid'", "SELECT x::uuids", "SELECT 1 -- ::uuid", "SELECT uuid FROM t"):
        assert casts_to_texts(sql) == sql
