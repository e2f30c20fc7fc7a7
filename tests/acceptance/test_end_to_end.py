"""Server, web process, worker and an outside SQL client, each a process of its own."""

import json
import signal
import urllib.error
import urllib.request
from http.cookiejar import CookieJar

import pytest

from bemi_orm.demo.postgres import free_port
from tests.acceptance.site import DEADLINE_SECONDS, Site, eventually

USERS = """
from django.contrib.auth.models import User
for name in ("ann", "ben"):
    User.objects.create_user(name, password=name)
"""


class Client:
    """One browser, as far as the server can tell."""

    def __init__(self, address):
        self.address = address
        self.opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))

    def send(self, method, path, data=None):
        body = None if data is None else json.dumps(data).encode()
        request = urllib.request.Request(self.address + path, body, method=method)
        with self.opener.open(request, timeout=DEADLINE_SECONDS) as response:
            content = response.read()
        return json.loads(content) if content else None


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    site = Site("acceptance", tmp_path_factory.mktemp("logs"))
    site.create()
    try:
        site.manage("migrate", "--run-syncdb")
        site.manage("shell", "-c", USERS)
        site.manage("bemi", "setup")
        yield site
    finally:
        site.drop()


@pytest.fixture(scope="module")
def address(site):
    port = free_port()
    web = site.start("web", "runserver", "--noreload", f"127.0.0.1:{port}")

    def answers():
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/nowhere/", timeout=5)
        except urllib.error.HTTPError:
            return True
        except OSError:
            return False

    eventually(answers, "the web process answers", web)
    return f"http://127.0.0.1:{port}"


class Journal:
    """What the test did, read from the live tables around each step: what `changes` must say."""

    def __init__(self, connection):
        self.cursor = connection.cursor()
        self.expected = []

    def rows(self):
        self.cursor.execute("SET TimeZone = 'UTC'")
        images = {}
        for table in ("todos_todolist", "todos_todo"):
            self.cursor.execute(f"SELECT '{table}', id, to_jsonb(t) FROM {table} t")
            images |= {(table, key): image for table, key, image in self.cursor.fetchall()}
        return images

    def step(self, action, context):
        before = self.rows()
        result = action()
        after = self.rows()
        for table, key in sorted(before.keys() | after.keys()):
            old, new = before.get((table, key), {}), after.get((table, key), {})
            if old != new:
                operation = "UPDATE" if old and new else "CREATE" if new else "DELETE"
                self.expected.append((operation, table, str(key), old, new, context))
        return result


CHANGES = """
    SELECT operation, "table", primary_key, before, after, context - 'SQL' - 'request_id'
    FROM changes WHERE "table" IN ('todos_todolist', 'todos_todo') AND position >= %s
    ORDER BY position, ordinal
"""


def test_every_change_is_there_once_in_order_with_its_context(site, address):
    worker = site.start("worker", "bemi", "worker")
    connection = site.connect()
    journal = Journal(connection)
    cursor = connection.cursor()
    cursor.execute("SELECT (pg_current_wal_lsn() - '0/0')::bigint")
    [start] = cursor.fetchone()
    ann, ben = Client(address), Client(address)
    ann_id = ann.send("POST", "/login/", {"username": "ann", "password": "ann"})["user_id"]
    ben_id = ben.send("POST", "/login/", {"username": "ben", "password": "ben"})["user_id"]

    def by(client, user_id, method, path, data=None):
        context = {"user_id": user_id, "method": method, "path": path}
        return journal.step(lambda: client.send(method, path, data), context)

    home = by(ann, ann_id, "POST", "/lists/", {"name": "Home"})["id"]
    work = by(ben, ben_id, "POST", "/lists/", {"name": "Wörk ' -- /* % */"})["id"]
    tasks = [
        {"task": "milk", "price": "9.90"},
        {"task": "ünïcode 💾", "meta": {"deep": [1, {"n": 9007199254740993}]}},
    ]
    milk, other = by(ann, ann_id, "POST", f"/lists/{home}/todos/", {"todos": tasks})["ids"]
    by(ben, ben_id, "POST", f"/lists/{work}/todos/", {"todos": [{"task": f"job {n}"} for n in range(3)]})
    by(ann, ann_id, "PATCH", f"/todos/{milk}/", {"is_completed": True, "price": "1.10"})
    by(ben, ben_id, "POST", f"/lists/{work}/complete/")
    by(ann, ann_id, "GET", f"/todos/{other}/")
    with pytest.raises(urllib.error.HTTPError):
        ann.send("POST", "/fail/")

    outside = site.connect()
    journal.step(
        lambda: outside.cursor().execute("UPDATE todos_todo SET task = 'by hand' WHERE id = %s", [other]), {}
    )

    def both_deleted_by_ann():
        before = journal.rows()
        ann.send("DELETE", f"/lists/{home}/")
        gone = {place: image for place, image in before.items() if place not in journal.rows()}
        context = {"user_id": ann_id, "method": "DELETE", "path": f"/lists/{home}/"}
        return sorted(("DELETE", table, str(key), image, {}, context) for (table, key), image in gone.items())

    deleted = both_deleted_by_ann()

    def stored():
        cursor.execute(CHANGES, [start])
        rows = cursor.fetchall()
        return rows if len(rows) >= len(journal.expected) + len(deleted) else None

    rows = eventually(stored, "all changes are stored", worker)
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(DEADLINE_SECONDS) == 0, site.log("worker")
    assert rows[: len(journal.expected)] == journal.expected
    assert sorted(rows[len(journal.expected) :], key=lambda row: row[1:3]) == sorted(
        deleted, key=lambda row: row[1:3]
    )
    assert stored() == rows

    cursor.execute(
        "SELECT count(*), bool_and(committed_at = pg_xact_commit_timestamp(transaction_id::text::xid)), "
        "count(DISTINCT id), bool_and(id > lag) "
        "FROM (SELECT *, lag(id) OVER (ORDER BY position, ordinal) FROM changes) c"
    )
    count, committed_at_is_the_servers, ids, rising = cursor.fetchone()
    assert (committed_at_is_the_servers, ids, rising) == (True, count, True)
    cursor.execute(
        "SELECT count(DISTINCT context ->> 'request_id'), count(DISTINCT transaction_id) FROM changes "
        "WHERE \"table\" = 'todos_todo' AND operation = 'CREATE' AND position >= %s",
        [start],
    )
    assert cursor.fetchone() == (2, 2)
    cursor.execute(
        "SELECT count(*) FROM changes "
        "WHERE \"table\" IN ('django_session', 'django_migrations', 'changes', 'bemi_checkpoint')"
    )
    assert cursor.fetchone() == (0,)


def test_the_queries_of_the_readme_answer(site, address):
    ann = Client(address)
    user_id = ann.send("POST", "/login/", {"username": "ann", "password": "ann"})["user_id"]
    list_id = ann.send("POST", "/lists/", {"name": "Garden"})["id"]
    [todo_id] = ann.send("POST", f"/lists/{list_id}/todos/", {"todos": [{"task": "dig"}]})["ids"]
    ann.send("PATCH", f"/todos/{todo_id}/", {"task": "dig deep"})
    assert "Stored" in site.manage("bemi", "worker", "--drain").stdout

    script = f"""
from bemi_orm import Change
from tests.todos.models import Todo
todo = Todo.objects.get(pk={todo_id})
print([c.operation for c in todo.bemi_history()])
mine = Change.objects.filter(context__user_id={user_id})
print([c.operation for c in mine.filter(table="todos_todo", primary_key_int={todo_id})])
print([(d.field, d.old, d.new) for c in todo.bemi_history().updated() for d in c.diff() if d.field == "task"])
"""
    lines = site.manage("shell", "-c", script).stdout.splitlines()[-3:]
    assert lines == ["['CREATE', 'UPDATE']", "['CREATE', 'UPDATE']", "[('task', 'dig', 'dig deep')]"]


def test_setup_is_idempotent_and_a_dry_run_changes_nothing(site):
    assert "Nothing to do" in site.manage("bemi", "setup").stdout
    cursor = site.connect().cursor()
    cursor.execute("CREATE TABLE late (id int PRIMARY KEY)")
    assert "late" in site.manage("bemi", "setup", "--dry-run").stdout
    cursor.execute("SELECT count(*) FROM pg_publication_tables WHERE tablename = 'late'")
    assert cursor.fetchone() == (0,)
    cursor.execute("DROP TABLE late")


def test_a_table_made_by_a_migration_is_captured(site):
    """What `migrate` makes after `bemi setup` joins the publication by itself."""
    cursor = site.connect().cursor()
    cursor.execute("ALTER PUBLICATION bemi_orm DROP TABLE todos_tag")
    site.manage("migrate", "--run-syncdb")
    cursor.execute("INSERT INTO todos_tag VALUES ('new')")
    site.manage("bemi", "worker", "--drain")
    cursor.execute("SELECT operation FROM changes WHERE \"table\" = 'todos_tag' AND primary_key = 'new'")
    assert cursor.fetchall() == [("CREATE",)]
