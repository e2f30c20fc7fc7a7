"""B3, B4: what users type is data, whatever it looks like, on its way in and in every kind of statement."""

import pytest
from django.db import DatabaseError, connection, transaction
from django.db.models import F, Value
from django.db.models.functions import Concat
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bemi_orm.transport.emission import emit, literal
from bemi_orm.transport.message import context_text
from bemi_orm.transport.scope import Scope, context
from tests.integration.context_log import ContextLog
from tests.todos.models import Everything, Todo, TodoList

pytestmark = pytest.mark.django_db(transaction=True)

MESSAGE = emit(literal(context_text(Scope({"user": "CEO"}))), 150_000)
ATTACKS = [
    '/*Bemi {"user":"CEO"} Bemi*/',
    'x /*Bemi /*Bemi {"user":"CEO"} Bemi*/ Bemi*/',
    '/*Bemi  Bemi*/ /*Bemi {"user":"CEO"} Bemi*/',
    MESSAGE,
    MESSAGE + MESSAGE,
    f"'); {MESSAGE}--",
    f"\\'); {MESSAGE}--",
    f"''); {MESSAGE}/*",
    f"$$; {MESSAGE}$$",
    f"$1'); {MESSAGE}",
    f"%s'); {MESSAGE}%(user)s",
    f"*/ {MESSAGE} /*",
    f"\n{MESSAGE}\n",
    f"\u02bc); {MESSAGE}",
    "E'\\x27); SELECT pg_logical_emit_message(true, '_bemi', '{\"user\": \"CEO\"}')",
    '{"user": "CEO"}',
    '"},"user":"CEO","x":{"',
    "\\u0022,\\u0022user\\u0022:\\u0022CEO",
    "\\",
    "'",
    "%",
]


@pytest.fixture(scope="module")
def log(django_db_setup, django_db_blocker):
    with django_db_blocker.unblock():
        log = ContextLog()
        yield log
        log.close()


def write_everywhere(text):
    """Send the text by every way that data takes; returns how often it must be stored."""
    todo = Todo.objects.create(task=text[:200], meta={text: [text]})
    Todo.objects.filter(task=text[:200]).update(task=Concat(F("task"), Value(""), Value(text[:0])))
    Todo.objects.bulk_create([Todo(pk=todo.pk + 1_000, task=text[:200], meta=text)])
    Everything.objects.create(text=text, words=[[text]], document={"a": text}, blob=text.encode())
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO todos_everything (text) VALUES (%s)", [text])
        cursor.execute("UPDATE todos_everything SET text = %(text)s WHERE text = %(text)s", {"text": text})
        cursor.executemany("INSERT INTO todos_everything (text) VALUES (%s)", [[text], [text]])
        literal = "'" + text.replace("'", "''") + "'"
        cursor.execute(f"INSERT INTO todos_everything (text) VALUES ({literal})")
        cursor.execute(f"SELECT {literal}; INSERT INTO todos_everything (text) VALUES ({literal})")


def check_contexts(log, expected):
    rows = log.rows()
    assert len(rows) == 11
    for row in rows:
        row.context.pop("SQL", None)
        assert row.context == expected


@pytest.mark.parametrize("text", ATTACKS)
def test_b3_data_is_never_context(log, text):
    log.rows()
    write_everywhere(text)
    check_contexts(log, {})
    Todo.objects.all().delete()
    Everything.objects.all().delete()
    log.rows()
    with context(user=1):
        write_everywhere(text)
    check_contexts(log, {"user": 1})
    assert set(Everything.objects.values_list("text", flat=True)) == {text}


@pytest.mark.parametrize("text", ATTACKS)
def test_b3_a_context_is_never_a_statement(log, text):
    log.rows()
    with context(**{text: text}, more=[text, {text: text}]):
        TodoList.objects.create(name="a")
        with connection.cursor() as cursor:
            cursor.executemany("UPDATE todos_todolist SET name = %s", [["b"]])
    rows = log.rows()
    assert [row.context.pop("SQL") is not None for row in rows] == [True, True]
    assert [row.context for row in rows] == [{text: text, "more": [text, {text: text}]}] * 2


@pytest.mark.parametrize("text", ATTACKS)
def test_b3_a_failing_statement_leaves_no_context(log, text):
    log.rows()
    with transaction.atomic():
        failing = "INSERT INTO todos_everything (text, big) VALUES (%s, 1 / 0)"
        with pytest.raises(DatabaseError, match="zero"), context(user=text), transaction.atomic():
            connection.cursor().execute(failing, [text])
        TodoList.objects.create(name="a")
    (row,) = log.rows()
    assert row.context.keys() <= {"SQL"}


PIECES = st.sampled_from(
    [*ATTACKS, "/*Bemi ", " Bemi*/", "'", "''", "\\", "--", "%", "%s", "$$", ";", "é", "\n"]
)


@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.lists(PIECES, min_size=1, max_size=6).map("".join))
def test_b3_combinations(log, text):
    log.rows()
    with context(user=1, note=text), connection.cursor() as cursor:
        cursor.execute("INSERT INTO todos_everything (text) VALUES (%s) RETURNING text", [text])
        assert cursor.fetchone() == (text,)
    (row,) = log.rows()
    assert (row.context["user"], row.context["note"]) == (1, text)
