"""What the demo's two users and an outsider do, over HTTP and by SQL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Final

from bemi_orm.demo.client import Client
from bemi_orm.demo.databases import DemoDatabase, connect

OUTSIDER: Final = "(psql)"
OUTSIDE_UPDATE: Final = "UPDATE demo_todo SET task = %s WHERE id = %s"


@dataclass(frozen=True, slots=True)
class Step:
    """What was about to be done when this was given, and by whom; the next `next()` does it."""

    who: str
    request: str
    meaning: str


def tell(address: str, database: DemoDatabase) -> Iterator[Step]:
    """Give each step before it is done.

    Raises BemiError when the site refuses one.
    """
    alice, bob = Client(address, "alice"), Client(address, "bob")
    for user in (alice, bob):
        yield Step(user.name, "POST /login/", "logs in")
        user.log_in()

    groceries: dict[str, Any] = {"name": "Groceries", "todos": ["Buy milk", "Buy bread"]}
    yield Step("alice", "POST /api/lists/", "adds a list with 2 todos")
    groceries = alice.send("POST", "/api/lists/", groceries)
    office: dict[str, Any] = {"name": "Office", "todos": ["Buy stamps", "Call Zoë"]}
    yield Step("bob", "POST /api/lists/", "adds a list with 2 todos")
    office = bob.send("POST", "/api/lists/", office)

    milk, stamps = f"/api/todos/{groceries['todos'][0]}/", office["todos"][0]
    yield Step("alice", f"PATCH {milk}", "completes a todo")
    alice.send("PATCH", milk, {"is_completed": True})
    yield Step("alice", f"PATCH /api/todos/{stamps}/", "renames a todo of bob's list")
    alice.send("PATCH", f"/api/todos/{stamps}/", {"task": "Buy 20 stamps"})
    office_path = f"/api/lists/{office['id']}/"
    yield Step("bob", f"PATCH {office_path}", "completes the whole list: one bulk UPDATE")
    bob.send("PATCH", office_path, {"is_completed": True})

    yield Step(OUTSIDER, "UPDATE demo_todo ...", "an outsider writes SQL, past Django")
    _update_from_outside(database, "Buy 500 stamps", stamps)
    delete = f"/api/lists/{groceries['id']}/"
    yield Step("alice", f"DELETE {delete}", "deletes a list, and its todos with it")
    alice.send("DELETE", delete)


def _update_from_outside(database: DemoDatabase, task: str, todo_id: int) -> None:
    with closing(connect(database)) as connection, connection.cursor() as cursor:
        cursor.execute(OUTSIDE_UPDATE, [task, todo_id])
