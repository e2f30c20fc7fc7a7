"""Statements as projects send them, and all that a project can see of what became of them."""

from contextlib import contextmanager, suppress

from django.db import connection, models, transaction
from django.db.backends.postgresql.psycopg_any import is_psycopg3, sql
from django.db.models import F

from bemi_orm.transport.scope import context
from bemi_orm.transport.wrapper import ContextSender
from tests.todos.models import Document, Everything, Seat, Tag, Todo, TodoList

TABLES = "todos_todolist, todos_todo, todos_tag, todos_seat, todos_document, todos_everything"
RAW = {
    "insert": ("INSERT INTO todos_tag VALUES (%s)", ["x"]),
    "insert without parameters": ("INSERT INTO todos_tag VALUES ('50%')",),
    "insert with escaped percent": ("INSERT INTO todos_tag VALUES (%s || '50%%')", ["x"]),
    "insert with names": ("INSERT INTO todos_tag VALUES (%(a)s), (%(b)s)", {"a": "x", "b": "it's \\"}),
    "insert returning": (
        "INSERT INTO todos_tag VALUES ('x'), ('y') RETURNING code, 1.10 AS n, now() < 'epoch'",
    ),
    "insert of nothing": ("INSERT INTO todos_tag SELECT 'x' WHERE false RETURNING code",),
    "insert or nothing": ("INSERT INTO todos_tag VALUES ('a') ON CONFLICT DO NOTHING",),
    "upsert": ("INSERT INTO todos_tag VALUES ('a') ON CONFLICT (code) DO UPDATE SET code = 'z' RETURNING *",),
    "update": ("UPDATE todos_tag SET code = code || %s", ["x"]),
    "update of nothing": ("UPDATE todos_tag SET code = 'x' WHERE false",),
    "delete returning": ("DELETE FROM todos_tag RETURNING *",),
    "with update": (
        "WITH u AS (UPDATE todos_tag SET code = 'x' WHERE code = 'a' RETURNING *) SELECT * FROM u",
    ),
    "merge": ("MERGE INTO todos_tag USING (SELECT 1) s ON code = 'a' WHEN MATCHED THEN DELETE",),
    "truncate": ("TRUNCATE todos_tag CASCADE",),
    "select into": ("SELECT 1 AS a INTO TEMP made",),
    "create as": ("CREATE TEMP TABLE made AS SELECT 1 AS a",),
    "explain": ("EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF, BUFFERS OFF) DELETE FROM todos_tag",),
    "comment first": ("/* é */ -- c\n  \n UPDATE todos_tag SET code = 'x' WHERE code = 'a'",),
    "semicolon last": ("DELETE FROM todos_tag WHERE code = 'a';  ",),
    "several": ("INSERT INTO todos_tag VALUES ('x') RETURNING code; SELECT 2 AS two",),
    "several, write last": ("SELECT 1 AS one; DELETE FROM todos_tag",),
    "transaction control": ("SELECT 1 AS one; BEGIN; DELETE FROM todos_tag; COMMIT",),
    "setting first": ("SET LOCAL lock_timeout = 0; ; INSERT INTO todos_tag VALUES ('x') RETURNING code",),
    "savepoints": (
        "BEGIN; SAVEPOINT a; SELECT 1; SELECT 2; DELETE FROM todos_tag RETURNING code; ROLLBACK TO a; COMMIT",
    ),
    "block": ("DO $$BEGIN UPDATE todos_tag SET code = 'x' WHERE code = 'a'; END$$",),
    "copy": ("COPY todos_tag FROM PROGRAM 'echo x'",),
    "read": ("SELECT code, count(*) OVER () FROM todos_tag ORDER BY 1",),
    "two executions would show": ("INSERT INTO todos_tag SELECT nextval('runs')::text",),
    "unique violation": ("INSERT INTO todos_tag SELECT 'a' FROM (SELECT nextval('runs')) r",),
    "foreign key at once": ("INSERT INTO todos_todo_tags (todo_id, tag_id) VALUES (-1, 'a')",),
    "null violation": ("INSERT INTO todos_tag VALUES (NULL)",),
    "too long": ("INSERT INTO todos_seat VALUES ('12345', 1, '')",),
    "division": ("UPDATE todos_tag SET code = (length(code) / 0)::text WHERE nextval('runs') > 0",),
    "missing column": ("UPDATE todos_tag\nSET code = 'é',\n    missing = 1",),
    "missing column in the middle": (
        "\nWITH a AS (\n  SELECT 'é' AS b\n)\nUPDATE todos_tag\n SET code = a.missing\n  FROM a",
    ),
    "missing column after BEGIN": ("BEGIN;\nUPDATE todos_tag\nSET missing = 1;\nCOMMIT",),
    "an error before BEGIN": ("SELECT missing;\nBEGIN; DELETE FROM todos_tag; COMMIT",),
    "syntax in the middle": ("DELETE\nFROM todos_tag\nWHERE WHERE\ncode = 'a'",),
    "missing table": ("DELETE FROM todos_missing WHERE code = 'a'",),
    "missing column after a comment": ("/* é */ UPDATE todos_tag SET missing = 1",),
    "syntax": ("UPDATE todos_tag SETT code = 1",),
    "syntax on line ten": ("UPDATE todos_tag" + "\n" * 9 + " SET code == 1",),
    "syntax on line nine": ("UPDATE todos_tag" + "\n" * 8 + " SET code == 1",),
    "syntax beyond what is shown": (
        "UPDATE todos_tag SET code = '" + "x" * 200 + "' WHERE a b " + "y" * 200,
    ),
    "an error before the write": ("SELECT missing;\n DELETE FROM todos_tag",),
    "an error on the line after": ("SELECT 1;\nDELETE FROM todos_missing",),
    "an error in a function": (
        "UPDATE todos_tag SET code = to_char(now(), NULL) || (SELECT nextval('missing'))",
    ),
    "raised": ("DO $$BEGIN PERFORM nextval('runs'); RAISE EXCEPTION 'é %%', 1 USING HINT = 'h'; END$$", []),
    "too few parameters": ("INSERT INTO todos_tag VALUES (%s, %s)", ["x"]),
    "too many parameters": ("INSERT INTO todos_tag VALUES (%s)", ["x", "y"]),
    "no such name": ("INSERT INTO todos_tag VALUES (%(a)s)", {"b": 1}),
    "lone percent": ("INSERT INTO todos_tag VALUES ('50%', %s)", ["x"]),
    "parameter that no driver knows": ("INSERT INTO todos_tag VALUES (%s)", [object]),
    "NUL": ("INSERT INTO todos_tag VALUES (%s)", ["a\0b"]),
    "empty": ("",),
    "bytes": (b"INSERT INTO todos_tag VALUES ('\xc3\xa9') RETURNING code",),
    "composed": (sql.SQL("DELETE FROM {} RETURNING 1").format(sql.Identifier("todos_tag")),),
    "missing table, composed": (sql.SQL("DELETE FROM {}").format(sql.Identifier("missing")),),
}


def _many(statement, rows):
    def run(cursor):
        cursor.executemany(statement, rows)

    return run


MANY = {
    "many": _many("INSERT INTO todos_tag VALUES (%s)", [["x"], ["y"], ["z"]]),
    "many of none": _many("INSERT INTO todos_tag VALUES (%s)", []),
    "many, one wrong": _many(
        "INSERT INTO todos_tag SELECT %s FROM (SELECT nextval('runs')) r", [["x"], ["a"]]
    ),
    "many updates": _many("UPDATE todos_tag SET code = %s WHERE code = %s", [["x", "a"], ["y", "none"]]),
}


def orm(function):
    """A step by Django's own calls; what it returns is compared."""
    ORM[function.__name__] = function
    return function


ORM = {}


@orm
def create():
    made = TodoList.objects.create(name="new")
    return made.pk, made._state.db


@orm
def save_and_refresh():
    seat = Seat.objects.create(row="b", number=1)
    seat.taken_by = "ann"
    seat.save(update_fields=["taken_by"])
    seat.refresh_from_db()
    return seat.taken_by


@orm
def create_twice():
    return [TodoList.objects.create(name="twice").pk for _ in range(2)]


@orm
def get_or_create():
    return [TodoList.objects.get_or_create(name=name)[1] for name in ("home", "new", "new")]


@orm
def update_or_create():
    return [Tag.objects.update_or_create(code="a", create_defaults={"code": "q"})[1] for _ in range(2)]


@orm
def caught_inside_atomic():
    with transaction.atomic():
        try:
            with transaction.atomic():
                TodoList.objects.create(name="home")
        except transaction.IntegrityError as error:
            caught = str(error)
        return caught, TodoList.objects.create(name="after").pk


@orm
def broken_transaction():
    with transaction.atomic():
        try:
            TodoList.objects.create(name="home")
        except transaction.IntegrityError:
            return TodoList.objects.create(name="after")


@orm
def bulk_create():
    made = Todo.objects.bulk_create([Todo(task=str(number)) for number in range(250)], batch_size=100)
    return [todo.pk for todo in made]


@orm
def bulk_upsert():
    tags = [Tag(code="a"), Tag(code="n")]
    Tag.objects.bulk_create(tags, ignore_conflicts=True)
    lists = [TodoList(name="home"), TodoList(name="n")]
    made = TodoList.objects.bulk_create(
        lists, update_conflicts=True, update_fields=["name"], unique_fields=["name"]
    )
    return [each.pk for each in made]


@orm
def bulk_update():
    todos = Todo.objects.bulk_create([Todo(task=str(number)) for number in range(10)])
    for todo in todos:
        todo.price = todo.pk * 10
    return Todo.objects.bulk_update(todos, ["price"], batch_size=4)


@orm
def queryset_update():
    return Tag.objects.update(code=F("code")), Tag.objects.filter(code="none").update(code="x")


@orm
def delete_cascade():
    todo = Todo.objects.create(task="t", list=TodoList.objects.get(name="home"))
    todo.tags.add("a", "b")
    return TodoList.objects.all().delete()


@orm
def many_to_many():
    todo = Todo.objects.create(task="t")
    todo.tags.set(["a", "b"])
    todo.tags.remove("a")
    todo.tags.clear()
    return todo.tags.count()


@orm
def inheritance_and_types():
    Document.objects.create(pk=1, title="\\ ' %s % é /* -- \U0001f600")
    made = Everything.objects.create(blob=b"\x00'%\\", document={"a": [1, None, "%s'"]}, words=[["a,b", '"']])
    made.refresh_from_db()
    return bytes(made.blob), made.document, made.words


@orm
def raw_query():
    return [tag.code for tag in Tag.objects.raw("UPDATE todos_tag SET code = code || %s RETURNING *", ["x"])]


@orm
def iterate_while_writing():
    return [Tag.objects.filter(code=tag.code).update(code=tag.code * 2) for tag in Tag.objects.iterator()]


@orm
def on_commit_and_rollback():
    called = []
    with transaction.atomic():
        transaction.on_commit(lambda: called.append(Tag.objects.create(code="later").pk))
        sid = connection.savepoint()
        Tag.objects.create(code="lost")
        connection.savepoint_rollback(sid)
    return called


@orm
def deferred_constraint():
    with transaction.atomic():
        Todo.objects.create(task="t", list_id=-1)


@orm
def select_for_update():
    with transaction.atomic():
        return [tag.code for tag in Tag.objects.select_for_update().order_by("pk")]


@orm
def aggregates():
    return Todo.objects.aggregate(models.Sum("price"), models.Count("pk"))


@contextmanager
def without_sender():
    """Leave the connection as if the app were not installed."""
    senders = [wrapper for wrapper in connection.execute_wrappers if isinstance(wrapper, ContextSender)]
    connection.execute_wrappers[:] = [w for w in connection.execute_wrappers if w not in senders]
    try:
        yield
    finally:
        connection.execute_wrappers[:0] = senders


@contextmanager
def with_sender():
    """Send a context, as a request would."""
    assert any(isinstance(wrapper, ContextSender) for wrapper in connection.execute_wrappers)
    with context(user=1, path="/é'%s%/*-- \\"):
        yield


def prepare():
    """Put the tables into the state that each step starts from."""
    with connection.cursor() as cursor:
        cursor.execute(f"TRUNCATE {TABLES} RESTART IDENTITY CASCADE")
        cursor.execute("DROP SEQUENCE IF EXISTS runs; CREATE SEQUENCE runs; DROP TABLE IF EXISTS made")
    TodoList.objects.create(name="home")
    Tag.objects.bulk_create([Tag(code="a"), Tag(code="b")])


def cursor_view(cursor):
    """What a cursor shows after a statement."""
    described = [tuple(column[:7]) for column in cursor.description or ()]
    view = [cursor.rowcount, described, cursor.fetchall() if described else None]
    view += [getattr(cursor, name, None) for name in ("lastrowid", "statusmessage", "rownumber", "arraysize")]
    if is_psycopg3:
        while cursor.nextset():
            view += [cursor.rowcount, cursor.statusmessage, cursor.fetchall() if cursor.description else None]
        view += [results_by_number(cursor)]
    return view


def results_by_number(cursor):
    """What `set_result` of psycopg 3.3 gives; None before that."""
    if not hasattr(cursor, "set_result"):
        return None
    seen = []
    with suppress(IndexError):
        while True:
            cursor.set_result(len(seen))
            seen.append((cursor.statusmessage, cursor.fetchall() if cursor.description else None))
    return seen


def error_view(error):
    """What an error shows: Django's and the driver's."""
    cause = error.__cause__
    view = [type(error), error.args, type(cause), getattr(cause, "args", None)]
    if diag := getattr(cause, "diag", None):
        names = {name for name in dir(diag) if not name.startswith("_")} - {"source_line", "source_file"}
        if not is_psycopg3:
            view += [cause.pgerror, cause.pgcode]
        view += [(name, getattr(diag, name)) for name in sorted(names)]
    return view


def state_view():
    """What is left behind: transaction, tables, and how often the counting statements ran."""
    info = connection.connection.info
    view = [connection.in_atomic_block, connection.needs_rollback, connection.autocommit]
    view += [connection.get_autocommit(), len(connection.savepoint_ids), int(info.transaction_status)]
    return view


def table_view():
    """The tables' rows, once a transaction that the step itself has begun and left is gone."""
    if connection.connection.info.transaction_status:
        connection.close()
    with connection.cursor() as cursor:
        for table in TABLES.split(", "):
            cursor.execute(f"SELECT to_jsonb(t) - 'updated_at' FROM {table} t ORDER BY 1")
            yield table, cursor.fetchall()
        cursor.execute("SELECT last_value, is_called FROM runs")
        yield cursor.fetchall()
