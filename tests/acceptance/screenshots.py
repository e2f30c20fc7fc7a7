"""Draws the pictures of docs/admin.md anew: `python -m pytest tests/acceptance/screenshots.py`.

It is no test, and pytest does not collect it by itself.
"""

import random
from datetime import timedelta
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.utils.timezone import now

from tests.integration.admin_rig import ACTIVITY, LIST, client_of
from tests.integration.rows import store

FOLDER = Path(__file__).parents[2] / "docs" / "images"
TASKS = ("Buy milk", "Call Zoë", "Read the news", "Write a letter")
SQL = 'UPDATE "todos_todo" SET "task" = %s, "is_completed" = %s WHERE "todos_todo"."id" = %s'


def fill(count=400):
    """Store a day of a small team, a deleted member included; give the id of an update."""
    chance = random.Random(1)
    people = [User.objects.create_user(name).pk for name in ("alice", "bob")]
    gone = {"id": 36, "username": "zoe"}
    store(table="auth_user", key=36, operation="DELETE", before=gone, committed_at=now() - timedelta(days=2))
    updates = []
    for number in range(count):
        key, user = chance.randint(1, 40), chance.choice([*people, people[0], 36, None])
        operation = chance.choice(["CREATE", "UPDATE", "UPDATE", "UPDATE", "DELETE"])
        row = {
            "id": key,
            "list_id": chance.randint(1, 4),
            "task": chance.choice(TASKS),
            "is_completed": False,
        }
        new = row | {"task": "Buy oat milk", "is_completed": True} if operation == "UPDATE" else row
        change = store(
            key=key,
            operation=operation,
            table="todos_todo" if number % 7 else "legacy_orders",
            before={} if operation == "CREATE" else row,
            after={} if operation == "DELETE" else new,
            context=request_of(user, key, chance)
            if user
            else {"command": "import_todos", "os_user": "deploy"},
            committed_at=now() - timedelta(hours=23) * (1 - number / count) ** 1.5,
        )
        if operation == "UPDATE" and user and number % 7:
            updates.append(change)
    return updates[-1]


def request_of(user, key, chance):
    request_id = f"{chance.getrandbits(128):032x}"
    return {
        "user_id": user,
        "method": "PATCH",
        "path": f"/todos/{key}/",
        "request_id": request_id,
        "SQL": SQL,
    }


@pytest.mark.django_db(transaction=True)
def test_draw(chrome, strict_server):
    chrome.log_in(strict_server, client_of(User.objects.create_superuser("carol")))
    pages = {"changes": LIST, "change": f"{LIST}{fill()}/change/", "activity": ACTIVITY}
    for name, path in pages.items():
        for look, width, height in (("desktop", 1280, 900), ("phone", 390, 844)):
            draw(chrome, strict_server + path, f"admin-{name}-{look}.png", width=width, height=height)
    draw(chrome, strict_server + ACTIVITY, "admin-activity-dark.png", width=1280, height=900, is_dark=True)
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE changes")


def draw(chrome, url, name, **look):
    chrome.look(**look)
    chrome.get(url)
    chrome.driver.save_screenshot(str(FOLDER / name))
