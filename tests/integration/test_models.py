import uuid
from datetime import UTC, date, datetime, time
from decimal import Decimal

import pytest
from django.contrib.auth.models import Permission
from django.db import connection

from bemi_orm import Change
from bemi_orm.diffing import UNKNOWN, FieldChange
from bemi_orm.exceptions import BemiError
from tests.integration.rows import START, next_transaction, store

pytestmark = pytest.mark.django_db


def test_bq1_get_by_id():
    change_id = store()
    assert Change.objects.get(pk=change_id).pk == change_id
    assert Change.objects.get(pk=str(change_id)).pk == change_id
    assert not Change.objects.filter(pk=uuid.uuid4()).exists()


def test_bq2_every_column_can_be_filtered():
    change_id = store(key=5, context={"user_id": 1}, after={"id": 5})
    stored = Change.objects.values().get(pk=change_id)
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM changes LIMIT 0")
        assert [column.name for column in cursor.description] == list(stored)
    assert Change.objects.filter(
        **{name: value for name, value in stored.items() if value is not None}
    ).exists()
    assert not Change.objects.exclude(
        **{name: value for name, value in stored.items() if value is not None}
    ).exists()


def test_bq3_order_is_that_of_commit_and_ordinal():
    first, second = next_transaction(), next_transaction()
    moment = START  # the clock stepped back, and two changes tie
    ids = [
        store(transaction=second, ordinal=1, committed_at=moment),
        store(transaction=first, ordinal=1, committed_at=moment),
        store(transaction=second, ordinal=0, committed_at=moment),
        store(transaction=first, ordinal=0, committed_at=moment),
    ]
    expected = [ids[3], ids[1], ids[2], ids[0]]
    assert [change.pk for change in Change.objects.all()] == expected
    assert [change.pk for change in Change.objects.asc()] == expected
    assert [change.pk for change in Change.objects.desc()] == expected[::-1]
    assert Change.objects.last().pk == ids[0]


def test_ids_of_more_than_ten_changes_of_a_transaction_keep_their_order():
    number = next_transaction()
    for ordinal in reversed(range(300)):
        store(transaction=number, ordinal=ordinal)
    assert list(Change.objects.values_list("ordinal", flat=True)) == list(range(300))


def test_created_at_is_when_the_row_was_stored():
    store()
    store()
    first, second = Change.objects.values_list("created_at", flat=True)
    assert first < second


@pytest.mark.parametrize("digits", ["1.10", "-0.00", "12345678901234567890.12345678901234567890", "1e-7"])
def test_c1_number_with_fraction_is_a_decimal_with_its_scale(digits):
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT jsonb_build_object('price', %s::numeric)::text, %s::numeric::text", [digits, digits]
        )
        image, text = cursor.fetchone()
    store(after=image, before=image)
    change = Change.objects.get()
    for value in (
        change.after["price"],
        change.before["price"],
        Change.objects.values_list("after__price", flat=True)[0],
    ):
        assert isinstance(value, Decimal)
        assert format(value, "f") == text


def test_c2_bigint_is_exact():
    store(after='{"big": 9007199254740993, "bigger": 9223372036854775807}')
    assert Change.objects.get().after == {"big": 9007199254740993, "bigger": 9223372036854775807}


def test_c2_number_beyond_the_limit_of_python_ints_can_be_read():
    digits = "9" * 5000
    store(after=f'{{"n": {digits}}}')
    assert Change.objects.get().after["n"] == Decimal(digits)


@pytest.mark.parametrize(
    ("sql", "value"),
    [
        ("1.10::numeric", Decimal("1.10")),
        ("1.10::numeric", Decimal("1.1")),
        ("'NaN'::numeric", Decimal("NaN")),
        ("'NaN'::float8", float("nan")),
        ("'-Infinity'::float8", float("-inf")),
        ("9007199254740993", 9007199254740993),
        ("timestamptz '2026-01-02 03:04:05.120000+00'", datetime(2026, 1, 2, 3, 4, 5, 120000, UTC)),
        ("timestamptz '2026-01-02 03:04:05+00'", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("timestamp '2026-01-02 03:04:05.000001'", datetime(2026, 1, 2, 3, 4, 5, 1)),
        ("date '2026-01-02'", date(2026, 1, 2)),
        ("time '03:04:05.5'", time(3, 4, 5, 500000)),
        ("uuid '6f1a39cd-14dd-4b9c-93a3-7f2b73a2b0a4'", uuid.UUID("6f1a39cd-14dd-4b9c-93a3-7f2b73a2b0a4")),
        ("true", True),
        ("null::text", None),
        ("ARRAY[1.50, 2]", [Decimal("1.5"), 2]),
    ],
)
def test_value_in_a_filter_has_the_form_that_to_jsonb_gives(sql, value):
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT jsonb_build_object('v', {sql})::text")
        [image] = cursor.fetchone()
    store(after=image)
    assert Change.objects.after({"v": value}).exists()
    assert Change.objects.filter(after__v=value).exists()


def test_p23_diff_of_each_operation():
    store(operation="CREATE", after={"id": 1, "task": None})
    store(operation="UPDATE", before={"id": 1, "task": None}, after={"id": 1, "task": "x"})
    store(operation="DELETE", before={"id": 1, "task": "x"})
    store(operation="TRUNCATE", key=None)
    store(operation="SNAPSHOT", after={"id": 2})
    assert [change.diff() for change in Change.objects.all()] == [
        (FieldChange("id", None, 1), FieldChange("task", None, None)),
        (FieldChange("task", None, "x"),),
        (FieldChange("id", 1, None), FieldChange("task", "x", None)),
        (),
        (FieldChange("id", None, 2),),
    ]


def test_bq6_diff_under_default_identity_says_unknown():
    store(operation="UPDATE", before={"id": 1}, after={"id": 1, "task": "x"})
    assert Change.objects.get().diff() == (FieldChange("task", UNKNOWN, "x"),)


def refused_writes():
    change = Change(id=uuid.uuid4(), operation="CREATE")
    everything = Change.objects.all()
    yield "save", change.save
    yield "delete", change.delete
    yield "create", lambda: Change.objects.create(operation="CREATE")
    yield "get_or_create", lambda: Change.objects.get_or_create(id=uuid.uuid4())
    yield "update_or_create", lambda: Change.objects.update_or_create(id=uuid.uuid4())
    yield "bulk_create", lambda: Change.objects.bulk_create([change])
    yield "bulk_update", lambda: Change.objects.bulk_update([change], ["operation"])
    yield "update", lambda: everything.update(table="x")
    yield "queryset delete", everything.delete
    yield "filtered delete", everything.created().delete


@pytest.mark.parametrize(("name", "write"), [pytest.param(*case, id=case[0]) for case in refused_writes()])
def test_changes_are_never_written(name, write):
    change_id = store()
    with pytest.raises(BemiError, match="cannot be written through the ORM"):
        write()
    assert Change.objects.get().pk == change_id


def test_no_permission_to_write_exists():
    codenames = Permission.objects.filter(content_type__app_label="bemi_orm").values_list(
        "codename", flat=True
    )
    assert set(codenames) == {"view_change", "view_masked", "revert_change"}


def test_text_of_a_change_has_no_row_value():
    store(table="todos_todo", key=5, after={"task": "secret"})
    assert str(Change.objects.get()) == "CREATE public.todos_todo 5"
