"""What happens next on a site that stays up, so that its admin has something to show."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Final

from bemi_orm.demo.client import Client
from bemi_orm.demo.databases import DemoDatabase, connect
from bemi_orm.demo.story import OUTSIDER, Step

KEEPER: Final = "carol"
"""Her password is her name, as is everybody's."""

LISTS: Final = {
    "Garden": ["Rake the leaves", "Prune the roses", "Water the ferns", "Mend the fence"],
    "Trip": ["Book a train", "Pack a tent", "Charge the lamp", "Print the map", "Fill the bottles"],
}
RENAMED: Final = ("Book a night train", "Pack two tents", "Charge both lamps")
IMPORT: Final = (
    "INSERT INTO demo_todo (list_id, task, is_completed) "
    "SELECT %s, 'Plant ' || name, false FROM unnest(ARRAY['tulips', 'garlic', 'a pear tree']) AS name"
)
COMPLETE: Final = "UPDATE demo_todo SET is_completed = true WHERE list_id = %s"


def go_on(address: str, database: DemoDatabase) -> Iterator[Step]:
    """Give each step before it is done, as `tell` does, whose users go on; some 30 changes."""
    yield Step("(shell)", "createsuperuser", "adds carol, who may see and revert it all")
    _add_keeper()
    alice, bob, carol = (Client(address, name) for name in ("alice", "bob", KEEPER))
    yield Step("all", "POST /login/", "log in")
    for user in (alice, bob, carol):
        user.log_in()

    yield Step("carol", "POST /api/lists/", "adds two lists with 9 todos")
    lists = ({"name": name, "todos": tasks} for name, tasks in LISTS.items())
    garden, trip = (carol.send("POST", "/api/lists/", each) for each in lists)
    yield Step(OUTSIDER, "INSERT INTO ...", "an import adds 3 todos, past Django")
    _write_sql(database, IMPORT, garden["id"])
    yield Step("bob", "PATCH /api/todos/", "completes four todos one by one")
    _complete(bob, garden["todos"], is_completed=True)
    yield Step("alice", "PATCH /api/todos/", "renames three todos")
    for todo, task in zip(trip["todos"], RENAMED, strict=False):
        alice.send("PATCH", f"/api/todos/{todo}/", {"task": task})
    yield Step(OUTSIDER, "UPDATE demo_todo ...", "somebody completes all of a list, past Django")
    _write_sql(database, COMPLETE, trip["id"])
    yield Step("carol", "PATCH /api/todos/", "opens two of them again")
    _complete(carol, trip["todos"][:2], is_completed=False)


def _add_keeper() -> None:
    from django.contrib.auth.models import User

    User.objects.create_superuser(KEEPER, password=KEEPER)


def _complete(user: Client, todos: Sequence[int], *, is_completed: bool) -> None:
    for todo in todos:
        user.send("PATCH", f"/api/todos/{todo}/", {"is_completed": is_completed})


def _write_sql(database: DemoDatabase, statement: str, list_id: int) -> None:
    with closing(connect(database)) as connection, connection.cursor() as cursor:
        cursor.execute(statement, [list_id])
