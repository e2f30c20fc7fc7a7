"""How long pages of the REST API and of the admin take, on the history that `time_travel` makes.

    python -m tests.benchmarks.web_pages [ROWS] [--pg-bin DIR]

There are two changes a row; 2,000,000 rows are the full size, 20,000 the default.
"""

from __future__ import annotations

from base64 import b64encode
from urllib.parse import quote
from uuid import UUID

from bemi_orm.rows import change_id_bytes
from tests.benchmarks.time_travel import report, run

REST = "/audit/changes/"
ADMIN = "/admin/bemi_orm/change/"


def measure(rows: int) -> None:
    from django.contrib.auth.models import User
    from django.test import Client, override_settings

    client = Client()
    client.force_login(User.objects.create_superuser("auditor"))
    with override_settings(ROOT_URLCONF="tests.integration.rest_site"):
        for name, address in rest_pages(rows).items():
            report(f"REST: {name}", lambda address=address: get(client, address))
    for name, address in admin_pages(rows).items():
        report(f"admin: {name}", lambda address=address: get(client, address))


def rest_pages(rows: int) -> dict[str, str]:
    """Give pages of 50 at several depths, and others."""
    depths = {"newest page": 2 * rows, "page in the middle": rows, "last page but one": 100}
    pages = {name: f"{REST}?page_size=50&cursor={cursor(number)}" for name, number in depths.items()}
    user = "context.user_id=77&page_size=50"
    return pages | {"first page": REST, "a user's first page": f"{REST}?{user}", "a row's": row(rows)}


def row(rows: int) -> str:
    return f"{REST}?table=todos_todo&primary_key={rows // 2 + 1}"


def admin_pages(rows: int) -> dict[str, str]:
    return {
        "first page": ADMIN,
        "page of a table": f"{ADMIN}?table=todos_todo",
        "search by key": f"{ADMIN}?q={rows // 2 + 1}",
        "search by context": f"{ADMIN}?q=user_id%3D77",
        "one change": f"{ADMIN}{change_id(rows)}/change/",
    }


def change_id(number: int) -> UUID:
    return UUID(bytes=change_id_bytes(number << 16, 0, 0))


def cursor(number: int) -> str:
    return quote(b64encode(f"p={change_id(number)}".encode()))


def get(client: object, address: str) -> None:
    response = client.get(address, follow=True)  # type: ignore[attr-defined]
    assert response.status_code == 200, (address, response.status_code)


if __name__ == "__main__":
    run(__doc__, measure)
