"""Past and present never mix: what cannot be answered from the past raises."""

import asyncio
from contextlib import suppress
from contextvars import copy_context

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.contrib.sessions.models import Session
from django.core.management import call_command
from django.db import ProgrammingError, connections, transaction

from bemi_orm import Change, time_travel
from bemi_orm.exceptions import PastIsReadOnlyError, TimeTravelError
from tests.integration.travels import Trail
from tests.todos.models import Seat, Tag, TodoList

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])


@pytest.fixture(params=["default", "other"])
def trail(request, settings):
    trail = Trail(settings, request.param)
    trail.open()
    yield trail
    trail.close()


@pytest.fixture
def beside(settings):
    trail = Trail(settings, "default")
    trail.open()
    yield trail
    trail.close()


@pytest.fixture
def apart(settings):
    trail = Trail(settings, "other")
    trail.open()
    yield trail
    trail.close()


def rename_once(trail):
    """Give the moment at which the list was still called old."""
    TodoList.objects.create(name="old")
    then = trail.now()
    TodoList.objects.update(name="new")
    trail.drain()
    return then


def names():
    return list(TodoList.objects.values_list("name", flat=True))


WRITES = {
    "save": lambda: TodoList(name="x").save(),
    "save again": lambda: TodoList.objects.get().save(),
    "update": lambda: TodoList.objects.update(name="x"),
    "delete": lambda: TodoList.objects.all().delete(),
    "bulk": lambda: Tag.objects.bulk_create([Tag(code="x")]),
    "get_or_create": lambda: Tag.objects.get_or_create(code="x"),
    "session": lambda: Session.objects.all()._raw_delete("default"),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_writes_raise_and_change_nothing(trail, write):
    then = rename_once(trail)
    with time_travel(then), pytest.raises(PastIsReadOnlyError):
        write()
    assert (names(), Tag.objects.count()) == (["new"], 0)


def test_a_function_that_writes_raises(beside):
    then = rename_once(beside)
    with time_travel(then), pytest.raises(PastIsReadOnlyError):
        beside.execute("SELECT nextval('todos_todo_id_seq')")


def test_the_live_table_by_the_name_of_its_schema_raises(beside):
    then = rename_once(beside)
    for statement in ("SELECT * FROM public.todos_todolist", 'SELECT * FROM "public"."todos_todolist"'):
        with time_travel(then), pytest.raises(TimeTravelError, match="live table"):
            beside.execute(statement)


@pytest.mark.parametrize(
    "table",
    [
        "Public.todos_todolist",
        "PUBLIC . todos_todolist",
        "public.Todos_TodoList",
        "public/**/./**/todos_todolist",
        "public/* /* nested */ */./**/todos_todolist",
        'public -- a comment\n."todos_todolist"',
        'public.U&"todos_todolist"',
        'u&"public".todos_todolist',
    ],
)
def test_no_spelling_of_the_live_table_is_read(beside, table):
    then = rename_once(beside)
    with time_travel(then):
        with pytest.raises(TimeTravelError, match=r"live table|U&"):
            beside.fetch(f"SELECT name FROM {table}")
        assert beside.fetch("SELECT name FROM Todos_TodoList /* not public. */") == [("old",)]


def test_no_spelling_of_the_live_table_is_read_by_another_alias(apart):
    then = rename_once(apart)
    for table in ("Todos_TodoList", 'U&"todos_todolist"'):
        with time_travel(then), pytest.raises(TimeTravelError, match=r"live table|U&"):
            apart.execute(f"SELECT name FROM {table}")


@pytest.mark.parametrize(
    "statement",
    [
        "SET search_path TO public",
        "set local Search_Path = public",
        'SET SESSION "search_path" TO public',
        "SET SCHEMA 'public'",
        "SET bemi_orm.position = '1'",
        "RESET search_path",
        "RESET ALL",
        "DISCARD ALL",
        "SELECT set_config('search_path', 'public', true)",
        "/* a */ COMMIT",
        "SELECT 1; commit; SELECT 2",
        "END",
        "ABORT",
        "ROLLBACK",
        "ROLLBACK AND CHAIN",
        "BEGIN",
        "START TRANSACTION",
        "PREPARE TRANSACTION 'x'",
    ],
)
def test_statements_that_would_leave_the_past_raise(beside, statement):
    then = rename_once(beside)
    with time_travel(then):
        with pytest.raises(TimeTravelError, match=r"inside time_travel\(\)"):
            beside.execute(statement)
        assert names() == ["old"]
    assert names() == ["new"]


def test_a_parameter_does_not_leave_the_past(beside):
    then = rename_once(beside)
    with time_travel(then), connections["default"].cursor() as cursor:
        with pytest.raises(TimeTravelError, match="set_config"):
            cursor.execute("SELECT set_config(%s, %s, true)", ["search_path", "public"])
        assert names() == ["old"]


def test_other_settings_and_savepoints_are_free(beside):
    then = rename_once(beside)
    with time_travel(then):
        beside.execute("SET LOCAL statement_timeout = '5s'; SELECT set_config('work_mem', '8MB', true)")
        beside.execute("SELECT CASE WHEN true THEN 1 END")
        with suppress(ZeroDivisionError), transaction.atomic():
            raise ZeroDivisionError
        with transaction.atomic(), time_travel(then):
            assert names() == ["old"]
        assert names() == ["old"]


def test_the_live_database_raises_where_changes_are_elsewhere(apart):
    then = rename_once(apart)
    with time_travel(then):
        assert names() == ["old"]
        assert Session.objects.count() == 0  # has no past
        with pytest.raises(TimeTravelError, match="live table"):
            list(TodoList.objects.using("default"))
        with pytest.raises(TimeTravelError, match="live table"):
            apart.execute("SELECT count(*) FROM todos_todolist")
        with pytest.raises(PastIsReadOnlyError):
            apart.execute("DELETE FROM django_session")


def test_instances_from_before_do_not_read_the_live_row(apart):
    then = rename_once(apart)
    live = TodoList.objects.get()
    with time_travel(then):
        assert list(live.todos.all()) == []
        live.refresh_from_db()
        assert live.name == "old"


def test_it_nests_and_is_left_by_an_exception(trail):
    then = rename_once(trail)
    newest = Change.objects.desc()[0]
    with time_travel(then):
        with suppress(ZeroDivisionError), time_travel(newest):
            assert names() == ["new"]
            raise ZeroDivisionError
        assert names() == ["old"]
    TodoList.objects.create(name="later")
    assert sorted(names()) == ["later", "new"]


def test_an_open_transaction_is_only_interrupted(trail):
    then = rename_once(trail)
    with transaction.atomic(), transaction.atomic(using=trail.alias):
        TodoList.objects.create(name="mine")
        with time_travel(then):
            assert names() == ["old"]
        TodoList.objects.filter(name="mine").update(name="still mine")
    assert sorted(names()) == ["new", "still mine"]


def test_a_failed_query_does_not_end_the_transaction_around(beside):
    then = rename_once(beside)
    with transaction.atomic():
        TodoList.objects.create(name="mine")
        with pytest.raises(TimeTravelError), time_travel(then):
            beside.execute("SELECT * FROM bemi_time_travel.refuse('no')")
    assert sorted(names()) == ["mine", "new"]


def test_changes_can_be_asked_inside(trail):
    then = rename_once(trail)
    with time_travel(then):
        todo_list = TodoList.objects.get()
        assert Change.objects.for_model(TodoList).count() == 2
        assert [change.operation for change in todo_list.bemi_history()] == ["CREATE", "UPDATE"]


def test_async(trail):
    then = rename_once(trail)

    async def travel():
        async with time_travel(then):
            await asyncio.sleep(0)
            found = [row.name async for row in TodoList.objects.all()]
            with pytest.raises(PastIsReadOnlyError):
                await TodoList.objects.aupdate(name="x")
        return found, [row.name async for row in TodoList.objects.all()]

    assert async_to_sync(travel)() == (["old"], ["new"])


def test_another_task_on_the_same_connection_raises(beside):
    then = rename_once(beside)

    async def travel():
        entered, answered = asyncio.Event(), asyncio.Event()

        async def stay():
            async with time_travel(then):
                entered.set()
                await answered.wait()

        staying = asyncio.create_task(stay())
        await entered.wait()
        try:
            with pytest.raises(TimeTravelError, match="another task"):
                await TodoList.objects.acount()
        finally:
            answered.set()
            await staying

    async_to_sync(travel)()


def test_another_thread_in_the_past_does_not_read_the_present(beside):
    then = rename_once(beside)

    async def travel():
        async with time_travel(then):
            with pytest.raises(TimeTravelError, match="live table"):
                await sync_to_async(_names_on_own_connection, thread_sensitive=False)()

    async_to_sync(travel)()


def _names_on_own_connection():
    try:
        return names()
    finally:
        connections["default"].close()


def test_a_view_that_is_missing_or_old_raises_until_the_next_migration(trail):
    then = rename_once(trail)
    for statement in (
        "COMMENT ON VIEW bemi_time_travel.todos_todo IS 'bemi_orm of an earlier model'",
        "DROP VIEW bemi_time_travel.todos_todo",
    ):
        trail.execute(statement, trail.alias)
        with (
            pytest.raises(TimeTravelError, match=r"todos_todo\. Run: manage.py bemi setup"),
            time_travel(then),
        ):
            pass
        call_command("migrate", database="default", verbosity=0)
        with time_travel(then):
            assert names() == ["old"]
    assert names() == ["new"]


def test_a_table_that_is_not_tracked_raises(settings):
    settings.BEMI_IGNORE = ["todos_seat"]
    trail = Trail(settings)
    trail.open()
    try:
        then = rename_once(trail)
        with time_travel(then):
            assert names() == ["old"]
            for ask in (Seat.objects.count, lambda: list(Seat.objects.filter(row="a", number__gt=1))):
                with (
                    pytest.raises(TimeTravelError, match=r"public\.todos_seat is not tracked"),
                    transaction.atomic(),
                ):
                    ask()
    finally:
        trail.close()


def test_setup_makes_views_once_and_says_so(trail, capsys):
    call_command("bemi", "setup")
    assert "Nothing to do" in capsys.readouterr().out
    trail.execute("COMMENT ON SCHEMA bemi_time_travel IS NULL", trail.alias)
    call_command("bemi", "setup", "--dry-run")
    assert "make the views of the past" in capsys.readouterr().out
    call_command("bemi", "setup")
    assert "make the views of the past" in capsys.readouterr().out


@pytest.fixture
def reader(beside):
    """A role that may read what the test grants it."""
    role = f"{beside.name}_reader"
    beside.execute(f"CREATE ROLE {role}; GRANT SELECT ON bemi_checkpoint TO {role}")
    yield role
    beside.execute(f"RESET ROLE; DROP OWNED BY {role}; DROP ROLE {role}")


def test_a_role_travels_where_it_may_read_changes(beside, reader):
    then = rename_once(beside)
    beside.execute(f"GRANT SELECT ON changes TO {reader}; SET ROLE {reader}")
    with time_travel(then):
        assert names() == ["old"]


def test_a_view_shows_no_more_than_the_rights_on_changes(beside, reader):
    rename_once(beside)
    beside.execute(
        f"SET bemi_orm.position = '{2**62}'; SET bemi_orm.ordinal = '0'; "
        f"SET bemi_orm.until = 'infinity'; SET ROLE {reader}"
    )
    with pytest.raises(ProgrammingError, match="permission denied for table changes"):
        beside.execute("SELECT * FROM bemi_time_travel.todos_todolist")
    beside.execute("RESET bemi_orm.position; RESET bemi_orm.ordinal; RESET bemi_orm.until")


@pytest.mark.parametrize("write", [write for name, write in WRITES.items() if name != "session"])
def test_after_a_refused_write_the_block_goes_on(trail, write):
    """Django marks the transaction as broken, for which nothing was sent."""
    then = rename_once(trail)
    newest = Change.objects.desc()[0]
    with time_travel(then):
        with pytest.raises(PastIsReadOnlyError):
            write()
        assert names() == ["old"]
        with pytest.raises(PastIsReadOnlyError), transaction.atomic(using=trail.alias):
            write()
        assert names() == ["old"]
        with pytest.raises(PastIsReadOnlyError):
            write()
        with time_travel(newest):
            assert names() == ["new"]
        assert names() == ["old"]
    assert names() == ["new"]


def test_after_an_error_of_the_server_the_block_says_how_to_go_on(beside):
    then = rename_once(beside)
    with time_travel(then):
        with pytest.raises(PastIsReadOnlyError), transaction.atomic():
            beside.execute("SELECT nextval('todos_todo_id_seq')")
        assert names() == ["old"]
        with pytest.raises(PastIsReadOnlyError):
            beside.execute("SELECT nextval('todos_todo_id_seq')")
        with pytest.raises(TimeTravelError, match=r"put a query that may fail into transaction\.atomic"):
            names()
    assert names() == ["new"]


@pytest.fixture
def readers(request):
    """Views of the project over tracked tables, one of them in a schema that is not searched."""
    trail = request.getfixturevalue(getattr(request, "param", "beside"))
    trail.execute(
        "CREATE SCHEMA reports; CREATE VIEW todo_lists AS SELECT id, name FROM todos_todolist; "
        "CREATE MATERIALIZED VIEW reports.list_names AS SELECT name FROM todo_lists; "
        "CREATE VIEW settings AS SELECT 1 AS one"
    )
    call_command("bemi", "setup", verbosity=0)
    yield trail
    trail.execute("DROP SCHEMA reports CASCADE; DROP VIEW todo_lists, settings CASCADE")


def test_views_of_the_project_raise(readers):
    then = rename_once(readers)
    with time_travel(then):
        for query, message in {
            "SELECT name FROM todo_lists WHERE id > 0": "todo_lists is a view, which always reads the live",
            "SELECT name FROM list_names": "list_names is a view, which always",
            "SELECT name FROM Public.todo_lists": "live table",
            'SELECT name FROM reports."list_names"': "live table",
        }.items():
            with pytest.raises(TimeTravelError, match=message), transaction.atomic():
                readers.fetch(query)
        assert readers.fetch("SELECT one FROM settings") == [(1,)]
    assert readers.fetch("SELECT name FROM todo_lists") == [("new",)]


@pytest.mark.parametrize("readers", ["apart"], indirect=True)
def test_views_of_the_project_raise_in_the_live_database(readers):
    then = rename_once(readers)
    with time_travel(then):
        for alias, message in (("default", "live table todo_lists would be"), ("other", "is a view, which")):
            with pytest.raises(TimeTravelError, match=message), transaction.atomic(using=alias):
                readers.fetch("SELECT name FROM todo_lists", alias)


@pytest.fixture
def without_model(request):
    """A table and a partition that no model has, and a view on the table."""
    trail = request.getfixturevalue(request.param)
    trail.execute(
        "CREATE TABLE ledger (id int PRIMARY KEY, note text); CREATE VIEW notes AS SELECT note FROM ledger; "
        "CREATE SCHEMA parts; CREATE TABLE parts.logs (id int PRIMARY KEY) PARTITION BY RANGE (id); "
        "CREATE TABLE parts.logs_of_now PARTITION OF parts.logs FOR VALUES FROM (0) TO (9)"
    )
    call_command("bemi", "setup", verbosity=0)
    trail.execute("INSERT INTO ledger VALUES (1, 'old'); INSERT INTO parts.logs VALUES (1)")
    yield trail
    trail.execute("DROP SCHEMA parts CASCADE; DROP TABLE ledger CASCADE")


@pytest.mark.parametrize("without_model", ["beside", "apart"], indirect=True)
def test_a_table_without_a_model_raises(without_model):
    then = rename_once(without_model)
    queries = {
        "SELECT note FROM ledger WHERE id > 0": "ledger is a table without a model",
        "SELECT note FROM notes": "notes is a view",
        "SELECT id FROM logs_of_now": "logs_of_now is a table without a model",
        "SELECT note FROM public.ledger": "live table",
        "SELECT id FROM parts.logs": "live table",
    }
    with time_travel(then):
        for query, message in queries.items():
            with (
                pytest.raises(TimeTravelError, match=message),
                transaction.atomic(using=without_model.alias),
            ):
                without_model.fetch(query, without_model.alias)
        if without_model.alias != "default":
            with pytest.raises(TimeTravelError, match="live table ledger"):
                without_model.fetch("SELECT note FROM ledger")
        assert names() == ["old"]
    assert without_model.fetch("SELECT note FROM ledger") == [("old",)]


@pytest.mark.parametrize("without_model", ["beside"], indirect=True)
def test_a_table_without_a_model_that_is_ignored_is_read_as_it_is_now(without_model, settings):
    settings.BEMI_IGNORE = ["ledger"]
    call_command("bemi", "setup", verbosity=0)
    then = rename_once(without_model)
    without_model.execute("UPDATE ledger SET note = 'new'")
    with time_travel(then):
        assert without_model.fetch("SELECT note FROM ledger") == [("new",)]


def test_a_generator_that_is_closed_in_another_context_leaves_the_past(trail):
    """The context variable cannot be reset there; the connection has to be in the present all the same."""
    then = rename_once(trail)

    def look():
        with time_travel(then):
            yield names()

    looking = look()
    assert copy_context().run(next, looking) == ["old"]
    with pytest.raises(ValueError, match="different Context"):
        looking.close()
    assert names() == ["new"]
    TodoList.objects.update(name="newer")
    assert names() == ["newer"]
