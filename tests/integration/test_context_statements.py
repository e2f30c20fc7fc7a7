"""The context of single statements: which carry one, and that results and errors stay the project's own."""

import io
import pickle

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.db.backends.postgresql.psycopg_any import errors, is_psycopg3, sql
from django.test.utils import CaptureQueriesContext

from bemi_orm.exceptions import ConfigurationError
from bemi_orm.timetravel.guard import GuardedSender, install_wrapper
from bemi_orm.transport.scope import context, source_scope
from bemi_orm.transport.wrapper import emit_context
from tests.integration.context_log import ContextLog
from tests.todos.models import Tag, Todo, TodoList

if is_psycopg3:
    from psycopg import ClientCursor
    from psycopg.types.string import StrDumper

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])


def execute(statement, params=None):
    with connection.cursor() as cursor:
        cursor.execute(statement, params)
        return cursor.rowcount, cursor.fetchall() if cursor.description else None


def contexts(log):
    return [{key: value for key, value in row.context.items() if key != "SQL"} for row in log.rows()]


def test_p1_every_way_to_write(log):
    with context(user=1):
        todo = Todo.objects.create(task="one")
        todo.save()
        Todo.objects.bulk_create([Todo(task="two"), Todo(task="three")])
        Todo.objects.update(is_completed=True)
        Todo.objects.bulk_update(Todo.objects.all(), ["task"])
        Todo.objects.bulk_create(
            [Todo(pk=todo.pk, task="x")], update_conflicts=True, update_fields=["task"], unique_fields=["pk"]
        )
        execute("UPDATE todos_todo SET task = 'raw'")
        Todo.objects.all().delete()
    rows = log.rows()
    assert [row.operation for row in rows] == ["I", "U", *"II", *"UUU", *"UUU", "U", *"UUU", *"DDD"]
    assert {row.context["user"] for row in rows} == {1}
    assert all(row.context["SQL"].startswith(("INSERT", "UPDATE", "DELETE")) for row in rows)
    assert rows[0].context["SQL"].count("%s") > 3


def test_b1_one_message_per_statement(log):
    with context(user=1):
        Todo.objects.bulk_create([Todo(task=str(number)) for number in range(500)])
    assert len(log.rows()) == 500
    assert log.messages == 1


def test_no_scope_no_message(log):
    Todo.objects.create(task="a")
    assert [row.context for row in log.rows()] == [{}]
    assert log.messages == 0


@pytest.mark.parametrize(
    ("statement", "operations"),
    [
        ("\n UPDATE todos_tag SET code = code || 'x'", "U"),
        ("/* /* */ c */ -- d\n DELETE FROM todos_tag", "D"),
        ("WITH x AS (SELECT 'b' AS code) INSERT INTO todos_tag SELECT code FROM x", "I"),
        ("WITH x AS (DELETE FROM todos_tag RETURNING code) SELECT count(*) FROM x", "D"),
        ("MERGE INTO todos_tag USING (SELECT 1) s ON true WHEN MATCHED THEN DELETE", "D"),
        ("EXPLAIN ANALYZE DELETE FROM todos_tag", "D"),
        ("TRUNCATE todos_tag CASCADE", "TT"),
        ("SELECT 1; DELETE FROM todos_tag", "D"),
        ("BEGIN ISOLATION LEVEL SERIALIZABLE; DELETE FROM todos_tag; COMMIT", "D"),
        ("COPY todos_tag FROM PROGRAM 'echo z'", "I"),
    ],
)
def test_a7_statements(log, statement, operations):
    Tag.objects.create(code="a")
    log.rows()
    with context(user=1):
        execute(statement)
    rows = log.rows()
    assert "".join(row.operation for row in rows) == operations
    assert {(row.context["user"], row.context["SQL"]) for row in rows} == {(1, statement)}


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM todos_tag FOR UPDATE",
        "EXPLAIN DELETE FROM todos_tag",
        "SELECT 'DELETE FROM todos_tag'",
        "SHOW lock_timeout",
    ],
)
def test_a13_a_read_gets_no_message(log, statement):
    with context(user=1), transaction.atomic():
        execute(statement)
        (_, [(transaction_id,)]) = execute("SELECT pg_current_xact_id_if_assigned()")
    assert "FOR UPDATE" in statement or transaction_id is None
    assert log.rows() == []
    assert log.messages == 0


def test_a7_results_are_the_users():
    with context(user=1):
        assert execute("INSERT INTO todos_tag VALUES ('a'), ('b') RETURNING code") == (2, [("a",), ("b",)])
        assert execute("UPDATE todos_tag SET code = code || 'x'") == (2, None)
        assert Tag.objects.filter(code="ax").delete() == (1, {"todos.Tag": 1})


def test_percent_signs_and_parameters(log):
    data = {"text": "100%40 %s %(a)s", "dash": "a---b", "comment": "*/ /*", "quote": "'\"\\", "e": "a@b.c"}
    with context(**data):
        execute("INSERT INTO todos_tag VALUES (%s), ('50%%')", ["a%sb"])
        execute("INSERT INTO todos_tag VALUES ('60%')")
        execute("INSERT INTO todos_tag VALUES (%(name)s)", {"name": "it's"})
    assert sorted(Tag.objects.values_list("code", flat=True)) == ["50%", "60%", "a%sb", "it's"]
    assert contexts(log) == [data] * 4


def test_a3_any_unicode_with_non_standard_strings(log):
    value = "/s?q=a&b=c \\ ' é \U0001f600 \\' \\u0041"
    with connection.cursor() as cursor:
        if connection.pg_version < 190000:
            cursor.execute("SET standard_conforming_strings = off")
    try:
        with context(value=value):
            execute("INSERT INTO todos_tag VALUES (1)")
    finally:
        execute("RESET standard_conforming_strings")
    assert contexts(log) == [{"value": value}]


@pytest.mark.parametrize("kind", ["bytes", "composed"])
def test_statements_that_are_not_str(log, kind):
    statement = sql.SQL("INSERT INTO {} VALUES ({})").format(sql.Identifier("todos_tag"), sql.Literal("é%"))
    with context(user=1):
        execute(statement if kind == "composed" else b"INSERT INTO todos_tag VALUES ('\xc3\xa9%')")
    assert Tag.objects.get().code == "é%"
    assert contexts(log) == [{"user": 1}]


def test_a1_an_error_is_the_users_and_the_statement_is_sent_once(log):
    TodoList.objects.create(name="a")
    log.rows()
    sent = []

    def count(run, *arguments):
        sent.append(arguments[0])
        return run(*arguments)

    with context(user=1), transaction.atomic(), connection.execute_wrapper(count):
        with pytest.raises(IntegrityError), transaction.atomic():
            TodoList.objects.create(name="a")
        assert len([text for text in sent if "INSERT" in text]) == 1
        assert TodoList.objects.get_or_create(name="a")[1] is False
        TodoList.objects.create(name="b")
    assert contexts(log) == [{"user": 1}]


def test_b3_user_data_is_never_context(log):
    Todo.objects.create(task='hi /*Bemi {"u": "CEO"} Bemi*/')
    Todo.objects.create(task="SELECT pg_logical_emit_message(true, '_bemi', '{}');")
    with context(user=1):
        Todo.objects.create(task="'); SELECT pg_logical_emit_message(true, '_bemi', '{\"user\": 2}'); --")
    assert contexts(log) == [{}, {}, {"user": 1}]


def test_a8_every_alias(log):
    other = ContextLog("other")
    try:
        with context(user=1):
            Tag.objects.using("other").create(code="a")
        assert contexts(other) == [{"user": 1}]
        assert log.rows() == []
    finally:
        other.close()


def test_d1_each_row_its_own_context(log):
    with transaction.atomic():
        with context(user=1):
            Tag.objects.create(code="a")
        with context(user=2):
            Tag.objects.create(code="b")
    assert contexts(log) == [{"user": 1}, {"user": 2}]


def test_d2_no_scope_does_not_inherit(log):
    with transaction.atomic():
        with context(user=1):
            Tag.objects.create(code="a")
        Tag.objects.create(code="b")
        lost = connection.savepoint()
        Tag.objects.create(code="lost with its savepoint")
        connection.savepoint_rollback(lost)
        Tag.objects.create(code="c")
    Tag.objects.create(code="d")
    assert contexts(log) == [{"user": 1}, {}, {}, {}]
    assert log.messages == 3


def test_p9_nothing_is_left_for_the_next_transaction(log):
    with context(user=1), transaction.atomic():
        Tag.objects.create(code="a")
        transaction.set_rollback(True)
    with transaction.atomic():
        Tag.objects.create(code="b")
    assert contexts(log) == [{}]
    assert log.messages == 0


def test_p13_no_session_state(log):
    with context(user=1):
        Tag.objects.create(code="a")
    changed = "SELECT name FROM pg_settings WHERE source = 'session'"
    (_, before) = execute(changed)
    with context(user=2):
        Tag.objects.create(code="b")
    assert execute(changed)[1] == before
    Tag.objects.create(code="c")
    assert contexts(log) == [{"user": 1}, {"user": 2}, {}]


def test_executemany(log):
    with context(user=1), connection.cursor() as cursor:
        cursor.executemany("INSERT INTO todos_tag VALUES (%s)", [["a"], ["b"]])
        assert cursor.rowcount in (1, 2)
    assert contexts(log) == [{"user": 1}] * 2
    with pytest.raises(IntegrityError), context(user=1), connection.cursor() as cursor:
        cursor.executemany("INSERT INTO todos_tag VALUES (%s)", [["a"]])
    assert connection.get_autocommit()


def test_procedures_that_commit(log):
    body = "BEGIN INSERT INTO todos_tag VALUES ('p'); COMMIT; END"
    execute(f"CREATE PROCEDURE fill() LANGUAGE plpgsql AS $${body}$$")
    try:
        with context(user=1):
            execute("CALL fill()")
            with transaction.atomic():
                execute("DO $$BEGIN DELETE FROM todos_tag; END$$")
    finally:
        execute("DROP PROCEDURE fill")
    assert contexts(log) == [{}, {"user": 1}]


def test_emit_context(log):
    execute("CREATE FUNCTION fill() RETURNS void LANGUAGE sql AS $$INSERT INTO todos_tag VALUES ('f')$$")
    try:
        with context(user=1), transaction.atomic():
            emit_context()
            execute("SELECT fill()")
    finally:
        execute("DROP FUNCTION fill")
    assert contexts(log) == [{"user": 1}]


def test_a7_a_function_that_writes_inherits_the_nearest_context(log):
    execute("CREATE FUNCTION fill() RETURNS void LANGUAGE sql AS $$INSERT INTO todos_tag VALUES ('f')$$")
    try:
        with transaction.atomic():
            with context(user=1):
                Tag.objects.create(code="a")
            with context(user=2):
                execute("SELECT fill()")
    finally:
        execute("DROP FUNCTION fill")
    assert contexts(log) == [{"user": 1}, {"user": 1}]


def test_a19_ten_megabytes(log, settings):
    large = "é\0'%" * 2_000_000
    with context(user=1, large=large):
        Tag.objects.create(code="a")
    assert contexts(log) == [
        {"user": 1, "large": "[truncated]", "_bemi_truncated": ["large"], "_bemi_replaced": ["large"]}
    ]
    settings.BEMI_CONTEXT_MAX_BYTES = 100_000_000  # more than the worker takes
    large = "é\0'%" * 20_000
    with context(large=large, larger=large * 100):
        Tag.objects.create(code="b")
    marks = {"_bemi_truncated": ["larger"], "_bemi_replaced": ["large", "larger"]}
    assert contexts(log) == [{"large": large.replace("\0", "\ufffd"), "larger": "[truncated]", **marks}]


def test_emit_context_before_copy(log):
    with context(user=1), transaction.atomic(), connection.cursor() as cursor:
        emit_context()
        if is_psycopg3:
            with cursor.copy("COPY todos_tag FROM STDIN") as copy:
                copy.write_row(["a"])
        else:
            cursor.copy_expert("COPY todos_tag FROM STDIN", io.StringIO("a\n"))
    assert contexts(log) == [{"user": 1}]


def test_an_error_shows_the_users_line_only():
    with pytest.raises(DatabaseError) as caught, context(user="secret"):
        execute("DELETE FROM todos_tag WHERE missing = 1")
    assert "missing" in str(caught.value)
    assert "secret" not in str(caught.value)
    assert "emit_message" not in str(caught.value)


def test_emit_context_outside_of_a_transaction():
    with pytest.raises(ConfigurationError, match="atomic"):
        emit_context()


def test_emit_context_is_not_inherited_by_what_has_no_scope(log):
    with transaction.atomic():
        with context(user=1):
            emit_context()
        Tag.objects.create(code="a")
    assert contexts(log) == [{}]


def test_a_broken_transaction_fails_as_ever():
    TodoList.objects.create(name="a")
    asked = []
    with source_scope(lambda: {"asked": asked.append(1)}), transaction.atomic():
        with pytest.raises(IntegrityError):
            TodoList.objects.create(name="a")
        with pytest.raises(DatabaseError, match=r"atomic|aborted"):
            TodoList.objects.create(name="b")
        transaction.set_rollback(True)
    assert len(asked) == 1


def test_server_side_cursors_read_as_ever():
    Tag.objects.create(code="a")
    with context(user=1):
        assert [tag.code for tag in Tag.objects.iterator()] == ["a"]
        with pytest.raises(DatabaseError, match="DELETE"), connection.chunked_cursor() as cursor:
            cursor.execute("DELETE FROM todos_tag")
    assert Tag.objects.count() == 1


@pytest.mark.skipif(not is_psycopg3, reason="psycopg 3 only")
def test_psycopg_3_parses_a_statement_once_for_all_contexts(monkeypatch):
    sent = []
    execute = ClientCursor.execute

    def note(cursor, query, params=None, **options):
        sent.append((query, len(params or ())))
        return execute(cursor, query, params, **options)

    monkeypatch.setattr(ClientCursor, "execute", note)
    for user in "ab":
        with context(user=user):
            Tag.objects.create(code=user)
            with connection.cursor() as cursor:
                cursor.execute("UPDATE todos_tag SET code = code || '%%' WHERE code = %s", [user])
    orm, raw = ([text for text in sent if word in text[0]] for word in ("INSERT", "UPDATE"))
    assert orm[0] == orm[1]
    assert [count for _, count in orm] == [2, 2]
    assert raw[0] != raw[1], "the message is in the text, where placeholders are not plain"


@pytest.mark.skipif(not is_psycopg3, reason="psycopg 3 only")
def test_a_projects_adapters_of_strings_leave_the_message_alone(log):
    class Lower(StrDumper):
        def dump(self, obj):
            return super().dump(obj.replace("\\u", "").lower())

    connection.ensure_connection()
    connection.connection.adapters.register_dumper(str, Lower)
    try:
        with context(user="BOB é"):
            Tag.objects.create(code="CODE")
    finally:
        connection.close()
    assert contexts(log) == [{"user": "BOB é"}]
    assert Tag.objects.get().code == "code"


def test_other_wrappers_leave_the_message_alone(log):
    def shout(execute, sql, params, many, context):
        return execute(sql, tuple(str(each).upper() for each in params), many, context)

    with connection.execute_wrapper(shout), context(user="bob"):
        Tag.objects.create(code="a")
    assert contexts(log) == [{"user": "bob"}]
    assert Tag.objects.get().code == "A"


READS = [
    "WITH a AS (SELECT max(update) AS m FROM t1) SELECT * FROM a",
    "(SELECT count(update) FROM t1) UNION ALL SELECT 1",
    "SELECT 1 AS into",
    "SELECT t1.update FROM t1",
    "EXPLAIN (ANALYZE 'off') DELETE FROM t1",
    (
        "WITH RECURSIVE a (b) AS (SELECT 1 UNION ALL SELECT b FROM a WHERE false) "
        "SEARCH DEPTH FIRST BY b SET update SELECT update FROM a"
    ),
]


@pytest.mark.parametrize("query", READS)
def test_no_read_gets_a_transaction_id(query):
    execute("CREATE TEMP TABLE t1 (update int)")
    try:
        with transaction.atomic(), context(user=1):
            execute("SET TRANSACTION READ ONLY")
            with connection.cursor() as cursor:
                cursor.execute(query)
                cursor.execute("SELECT pg_current_xact_id_if_assigned()")
                assert cursor.fetchone() == (None,)
    finally:
        execute("DROP TABLE t1")


def test_the_message_belongs_to_the_statement_after_search_and_cycle(log):
    recursive = "WITH RECURSIVE a (code) AS (VALUES ('a') UNION ALL SELECT code FROM a WHERE false)"
    with transaction.atomic():
        with context(user=1):
            Tag.objects.create(code="b")
        with context(user=2):
            execute(f"{recursive} SEARCH DEPTH FIRST BY code SET o INSERT INTO todos_tag SELECT code FROM a")
        with context(user=3):
            execute(
                f"{recursive} CYCLE code SET c USING p DELETE FROM todos_tag t USING a WHERE t.code = a.code"
            )
    assert contexts(log) == [{"user": 1}, {"user": 2}, {"user": 3}]


@pytest.mark.skipif(is_psycopg3, reason="psycopg2 only")
def test_an_error_can_be_pickled():
    with pytest.raises(DatabaseError) as caught, context(user=1):
        execute("INSERT INTO todos_tag (code) VALUES (missing)")
    error = caught.value.__cause__
    assert error.diag.statement_position == "38"
    again = pickle.loads(pickle.dumps(error))
    assert (again.pgcode, again.pgerror) == (error.pgcode, error.pgerror) == ("42703", error.pgerror)


@pytest.mark.skipif(is_psycopg3, reason="psycopg2 only")
def test_a_bad_placeholder_is_where_it_is():
    def message():
        with pytest.raises(ValueError, match="at index") as caught, connection.cursor() as cursor:
            cursor.execute("INSERT INTO todos_tag VALUES (%d)", [1])
        return str(caught.value)

    expected = message()
    with context(user=1):
        assert message() == expected


@pytest.mark.parametrize("closes", [False, True])
def test_an_error_is_the_projects_own_though_a_wrapper_of_its_closes_the_connection(closes):
    def close(run, *arguments):
        try:
            return run(*arguments)
        except DatabaseError:
            if closes:
                connection.close()
            raise

    def failing():
        with connection.execute_wrapper(close), pytest.raises(IntegrityError) as caught:
            execute("INSERT INTO todos_tag VALUES (NULL)")
        return str(caught.value)

    expected = failing()
    with context(user=1):
        assert failing() == expected


def test_queries_show_the_users_statement():
    with context(user=1), CaptureQueriesContext(connection) as captured:
        Tag.objects.create(code="a")
        with connection.cursor() as cursor:
            cursor.executemany("INSERT INTO todos_tag VALUES (%s)", [["b"]])
    assert [query["sql"] for query in captured if "INSERT" in query["sql"]] == [
        """INSERT INTO "todos_tag" ("code") VALUES ('a')""",
        "1 times: INSERT INTO todos_tag VALUES (%s)",
    ]
    assert not [query for query in captured if "emit_message" in query["sql"]]


def test_installed_once_and_below_wrappers_of_others():
    def other(run, *arguments):
        return run(*arguments)

    fresh = connection.copy()
    try:
        with fresh.execute_wrapper(other):
            install_wrapper(None, fresh)
            install_wrapper(None, fresh)
        assert [type(wrapper) for wrapper in fresh.execute_wrappers] == [GuardedSender]
    finally:
        fresh.close()


@pytest.mark.skipif(not is_psycopg3, reason="psycopg 3 only")
class TestPsycopg3:
    """What only psycopg 3 has."""

    @pytest.fixture
    def server_binding(self):
        connection.close()
        connection.settings_dict["OPTIONS"]["server_side_binding"] = True
        yield
        connection.close()
        del connection.settings_dict["OPTIONS"]["server_side_binding"]

    @pytest.mark.usefixtures("server_binding")
    def test_server_side_binding(self, log):
        with context(user=1):
            Tag.objects.create(code="a")
            with transaction.atomic():
                Tag.objects.create(code="b")
            assert execute("DELETE FROM todos_tag WHERE code = %s RETURNING code", ["a"]) == (1, [("a",)])
            with pytest.raises(IntegrityError):
                Tag.objects.create(code="b")
        assert connection.get_autocommit()
        assert contexts(log) == [{"user": 1}] * 3

    @pytest.mark.parametrize("block", [transaction.atomic, lambda: transaction.atomic(savepoint=False)])
    def test_pipeline(self, log, block):
        with context(user=1), block(), connection.cursor() as cursor, connection.connection.pipeline():
            cursor.execute("INSERT INTO todos_tag VALUES (%s)", ["a"])
            cursor.execute("INSERT INTO todos_tag VALUES (%s)", ["b"])
        assert contexts(log) == [{"user": 1}] * 2

    def test_pipeline_in_autocommit(self, log):
        with context(user=1), connection.cursor() as cursor, connection.connection.pipeline():
            cursor.execute("INSERT INTO todos_tag VALUES (%s)", ["a"])
            cursor.execute("INSERT INTO todos_tag VALUES (%s) RETURNING code", ["b"])
            assert cursor.fetchall() == [("b",)]
        assert contexts(log) == [{"user": 1}] * 2

    def test_a_pipeline_in_autocommit_stays_one_transaction(self):
        def insert_twice():
            with context(user=1), connection.cursor() as cursor, connection.connection.pipeline():
                cursor.execute("INSERT INTO todos_tag VALUES ('a')")
                cursor.execute("INSERT INTO todos_tag VALUES ('a')")

        with pytest.raises(errors.UniqueViolation):
            insert_twice()
        assert not Tag.objects.exists()

    def test_results_of_several_statements(self):
        with context(user=1), connection.cursor() as cursor:
            cursor.execute("INSERT INTO todos_tag VALUES ('a') RETURNING code; SELECT 2")
            assert cursor.fetchall() == [("a",)]
            assert cursor.nextset()
            assert cursor.fetchall() == [(2,)]
            assert not cursor.nextset()
            cursor.execute("SELECT 3; INSERT INTO todos_tag VALUES ('b')")
            assert cursor.fetchall() == [(3,)]
