"""Exports: exact, safe to open in a spreadsheet, in constant memory."""

import csv
import io
import json
from decimal import Decimal
from pathlib import Path

import pytest
from asgiref.sync import async_to_sync
from django.test import AsyncClient

from bemi_orm.access import MASKED
from bemi_orm.rest_framework.exporting import CHUNK
from bemi_orm.rest_framework.parameters import FIELDS
from tests.integration.rest_client import PAGE, client, fill, user
from tests.integration.rows import store

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.integration.rest_site")]


@pytest.fixture
def export():
    api = client(user("view_change"))

    def get(**query):
        response = api.get(f"{PAGE}export/", query)
        assert response.status_code == 200
        return b"".join(response.streaming_content).decode()

    return get


def test_json_lines_are_exact_and_in_commit_order(export):
    first = store(key=1, after='{"price": 1.10, "name": "é\\n"}')
    second = store(key=2, operation="DELETE", before={"id": 2})
    lines = export().splitlines()
    assert [json.loads(line)["id"] for line in lines] == [str(first), str(second)]
    assert json.loads(lines[0], parse_float=Decimal)["after"] == {"price": Decimal("1.10"), "name": "é\n"}
    assert "é" in lines[0]
    [line] = export(operation="DELETE", fields="id,before").splitlines()
    assert json.loads(line) == {"id": str(second), "before": {"id": 2}}
    assert [json.loads(line)["id"] for line in export(ordering="-id").splitlines()] == [
        str(second),
        str(first),
    ]
    assert export(table="nothing") == ""


def test_csv_holds_objects_as_json(export):
    store(key=1, after={"task": 'a "b", c'}, context={"user_id": 1})
    rows = list(csv.DictReader(io.StringIO(export(form="csv"))))
    assert tuple(rows[0]) == FIELDS
    assert json.loads(rows[0]["after"]) == {"task": 'a "b", c'}
    assert (rows[0]["previous_primary_key"], rows[0]["ordinal"]) == ("", "0")
    assert export(form="csv", fields="id,table", table="nothing") == "id,table\r\n"


@pytest.mark.parametrize("key", ["=1+1", "+1", "-1", "@SUM(A1)", "\uff1d1", "\t=1", "\r=1", "\n=1"])
def test_csv_cell_is_never_a_formula(export, key):
    store(table="todos_tag", key=key)
    assert export(form="csv", fields="primary_key").splitlines()[1].lstrip('"').startswith("'")
    [row] = csv.DictReader(io.StringIO(export(form="csv", fields="primary_key"), newline=""))
    assert row["primary_key"] == f"'{key}"


def test_headers_of_the_download():
    query, headers = {"form": "csv"}, {"Accept": "text/csv"}
    response = client(user("view_change")).get(f"{PAGE}export/", query, headers=headers)
    assert response["Content-Type"] == "text/csv; charset=utf-8"
    assert response["Content-Disposition"] == 'attachment; filename="changes.csv"'
    assert "private" in response["Cache-Control"]
    assert "ETag" not in response


def test_more_than_one_chunk_is_complete(export):
    fill(2 * CHUNK + 1, size=1)
    for ordering in ("id", "-id"):
        keys = [int(json.loads(line)["primary_key"]) for line in export(ordering=ordering).splitlines()]
        assert sorted(keys) == list(range(1, 2 * CHUNK + 2))
        assert keys == sorted(keys, reverse=ordering == "-id")


def test_memory_does_not_grow_with_the_number_of_changes():
    """By the kernel's high-water mark, which holds what the driver takes too."""
    fill(20_000, size=4_000)
    api = client(user("view_change"))

    def peak_bytes(**query):
        response = api.get(f"{PAGE}export/", {"fields": "id,after", **query})
        Path("/proc/self/clear_refs").write_text("5")
        before = _high_water_bytes()
        total = sum(map(len, response.streaming_content))
        return total, _high_water_bytes() - before

    peak_bytes(until="2026-01-01T00:50:00Z")  # so that caches are warm
    total, growth = peak_bytes()
    assert total > 80_000_000
    assert growth < 20_000_000


def _high_water_bytes():
    [line] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024


def test_asgi_streams_too():
    store(key=1, after={"task": "a"})
    auditor = user("view_change")

    async def download():
        api = AsyncClient()
        await api.aforce_login(auditor)
        response = await api.get(f"{PAGE}export/", {"fields": "after"})
        assert response.is_async
        return b"".join([part async for part in response.streaming_content])

    assert async_to_sync(download)() == b'{"after":{"task":"a"}}\n'


def test_masks_hold_for_a_spreadsheet(export, settings):
    settings.BEMI_MASKED = {"todos.Todo": ["task"]}
    store(key=1, after={"task": "hidden", "id": 1})
    assert json.loads(next(csv.DictReader(io.StringIO(export(form="csv"))))["after"]) == {
        "task": MASKED,
        "id": 1,
    }
