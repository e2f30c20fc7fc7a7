"""The first page by a text or uuid key is read from the partial index, in its order."""

import pytest
from django.db import connection

from bemi_orm import Change, time_travel
from tests.integration.rows import store
from tests.integration.test_time_travel_plans import MANY, TABLES
from tests.integration.travels import Trail
from tests.todos.models import Document, Tag

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])


@pytest.fixture
def newest(settings):
    trail = Trail(settings)
    trail.open()
    for table in ("todos_tag", "todos_document"):
        key, key_int, image = TABLES[table]
        trail.execute(MANY.format(table=table, key=key, key_int=key_int, image=image))
    store("unrelated", transaction=10)
    trail.execute("ANALYZE changes")
    yield Change.objects.get(table="unrelated")
    trail.close()


@pytest.mark.parametrize("model", [Tag, Document])
def test_the_first_page_by_a_text_key_is_not_sorted(newest, model):
    """With sorting made as dear as can be, the planner sorts only if there is no other way."""
    page = model.objects.order_by("pk")[:20]
    with time_travel(newest):
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL enable_sort = off")
        found = page.explain()
        keys = [str(row.pk) for row in page]
    assert "primary_key" in found
    assert not any(line.lstrip(" ->").startswith("Sort ") for line in found.splitlines()), found
    assert len(keys) == 20
    assert keys == sorted(keys)
