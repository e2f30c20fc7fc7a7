"""Draws the pictures of the admin in docs/images anew: `python -m pytest tests/acceptance/screenshots.py`.

It is no test, and pytest does not collect it by itself.
"""

import random
from datetime import timedelta
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.utils.timezone import now

from bemi_orm import context
from tests.integration.admin_rig import ACTIVITY, LIST, client_of
from tests.integration.history_site import address
from tests.integration.rows import store
from tests.integration.travels import Trail
from tests.todos.models import Tag, Todo, TodoList

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
def test_draw_the_trail(chrome, strict_server):
    chrome.log_in(strict_server, client_of(User.objects.create_superuser("carol")))
    pages = {"changes": LIST, "change": f"{LIST}{fill()}/change/", "activity": ACTIVITY}
    for name, path in pages.items():
        draw(chrome, strict_server + path, f"admin-{name}")
    chrome.reset()
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE changes")


@pytest.mark.django_db(transaction=True)
@pytest.mark.urls("tests.integration.history_site")
def test_draw_the_history_of_an_object(chrome, strict_server, settings):
    trail = Trail(settings)
    trail.open()
    try:
        user = User.objects.create_superuser("carol")
        pages = tell_a_story(trail, user)
        chrome.log_in(strict_server, client_of(user))
        for name, path in pages.items():
            draw(chrome, strict_server + path, f"history-{name}")
        chrome.speak("ar")
        draw(chrome, strict_server + pages["timeline"], "history-rtl", is_dark=True)
    finally:
        chrome.reset()
        trail.close()


def tell_a_story(trail, user):
    """Let two people change a todo, and one delete its list; give the addresses of the pages that show it."""
    other = User.objects.create_user("alice")
    home = TodoList.objects.create(name="Home")
    with context(user_id=user.pk, method="POST", path="/todos/"):
        todo = Todo.objects.create(list=home, task="Buy milk", price="1.20")
        todo.tags.add(Tag.objects.create(code="shop"))
    for who, task, price in ((other, "Buy oat milk", "1.20"), (user, "Buy two oat milks", "3.80")):
        with context(user_id=who.pk, method="PATCH", path=f"/todos/{todo.pk}/"):
            todo.task, todo.price = task, price
            todo.save()
    with context(user_id=other.pk, method="POST", path="/lists/2/delete/"):
        gone = TodoList.objects.create(name="Holidays")
        Todo.objects.create(list=gone, task="Book a train")
        key = gone.pk
        gone.delete()
    trail.drain()
    first, second, _ = (str(change.pk) for change in todo.bemi_history())
    return {
        "timeline": address("todos_todo_history", todo.pk),
        "compare": address("todos_todo_history_compare", todo.pk, **{"from": first, "to": second}),
        "as-of": address("todos_todo_history_as_of", todo.pk, at=first),
        "revert": address("todos_todo_history_revert", todo.pk, to=first),
        "deleted": address("todos_todolist_deleted"),
        "restore": address("todos_todolist_restore", key),
    }


def draw(chrome, url, name, *, is_dark=False):
    for look, width, height in (("desktop", 1280, 900), ("phone", 390, 844)):
        chrome.look(width=width, height=height, is_dark=is_dark)
        chrome.get(url)
        (FOLDER / f"{name}-{look}.webp").write_bytes(chrome.picture())
