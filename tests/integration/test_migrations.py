from importlib.resources import files
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import DataError, IntegrityError, connection, connections, transaction
from django.db.migrations.recorder import MigrationRecorder

from bemi_orm import Change
from bemi_orm.exceptions import SetupError
from bemi_orm.operations import ForeignTableError
from tests.integration.rows import store

pytestmark = pytest.mark.django_db(databases=["default", "other"])

TABLES = {"bemi_checkpoint", "bemi_gap", "changes"}
OUR_ROUTER = "bemi_orm.BemiDatabaseRouter"


class NoOtherApps:
    """A router such as projects have, which knows nothing of bemi_orm."""

    def allow_migrate(self, db, app_label, **hints):
        return app_label == "todos"


def migrate(alias, *target):
    call_command("migrate", "bemi_orm", *target, database=alias, verbosity=0)


def tables(alias):
    with connections[alias].cursor() as cursor:
        names = connections[alias].introspection.table_names(cursor)
    return {name for name in names if name.startswith(("bemi", "changes"))}


def rows(query, *parameters):
    with connection.cursor() as cursor:
        cursor.execute(query, parameters)
        return cursor.fetchall()


def test_migrations_are_complete():
    call_command("makemigrations", "bemi_orm", check=True, dry_run=True, verbosity=0)


def test_tables_are_on_the_alias_of_the_trail_only():
    assert tables("default") == TABLES
    assert tables("other") == set()


@pytest.mark.parametrize(
    "routers",
    [[], [OUR_ROUTER], [f"{__name__}.NoOtherApps"], [f"{__name__}.NoOtherApps", OUR_ROUTER]],
    ids=["none", "ours", "another's", "another's first"],
)
def test_a22_routers_do_not_decide_where_tables_are_made(settings, routers):
    migrate("default", "zero")
    migrate("other", "zero")
    assert tables("default") == tables("other") == set()
    settings.DATABASE_ROUTERS = routers
    migrate("default")
    migrate("other")
    assert tables("default") == TABLES
    assert tables("other") == set()
    migrate("default", "zero")
    assert tables("default") == set()


def test_a22_router_configured_after_the_first_migrate_changes_nothing(settings):
    settings.DATABASE_ROUTERS = []
    migrate("default", "zero")
    migrate("default")
    settings.DATABASE_ROUTERS = [OUR_ROUTER]
    migrate("default")
    store()
    assert Change.objects.count() == 1


def test_a22_trail_in_a_database_of_its_own(settings):
    migrate("default", "zero")
    migrate("other", "zero")
    settings.BEMI_DATABASE = "other"
    migrate("default")
    migrate("other")
    assert tables("default") == set()
    assert tables("other") == TABLES
    store(alias="other")
    assert Change.objects.count() == 1


def test_trail_that_was_made_before_is_kept(settings):
    """The setting named another alias for a while, and both migrations were reversed there and back."""
    change_id = store()
    settings.BEMI_DATABASE = "other"
    migrate("default", "zero")
    assert tables("default") == TABLES
    settings.BEMI_DATABASE = "default"
    migrate("default")
    assert Change.objects.get().pk == change_id


@pytest.fixture
def foreign_table():
    """The table that an existing Bemi makes, with a row."""
    migrate("default", "zero")
    with connection.cursor() as cursor:
        cursor.execute(
            'CREATE TABLE changes (id uuid PRIMARY KEY, "table" text, context jsonb); '
            "INSERT INTO changes VALUES (gen_random_uuid(), 'todo', '{}')"
        )


def test_table_of_another_is_refused_and_not_touched(foreign_table):
    with pytest.raises(
        ForeignTableError, match=r'"public"\."changes" exists.*SET SCHEMA former.*BEMI_DATABASE'
    ):
        migrate("default")
    assert rows('SELECT "table" FROM changes') == [("todo",)]
    assert tables("default") == {"changes"}


def test_the_refusal_is_an_error_of_set_up_and_of_the_command():
    assert issubclass(ForeignTableError, (SetupError, CommandError))
    assert str(ForeignTableError("in the way")) == "in the way"


def test_table_of_another_is_not_dropped_by_reversing(foreign_table):
    MigrationRecorder(connection).record_applied("bemi_orm", "0001_initial")  # as migrate --fake does
    with pytest.raises(ForeignTableError, match="It was not touched"):
        migrate("default", "zero")
    assert rows('SELECT "table" FROM changes') == [("todo",)]


def test_what_the_error_advises_works(foreign_table):
    with connection.cursor() as cursor:
        cursor.execute('CREATE SCHEMA former; ALTER TABLE "public"."changes" SET SCHEMA former;')
    migrate("default")
    assert tables("default") == TABLES
    assert rows('SELECT "table" FROM former.changes') == [("todo",)]


def test_reversing_drops_no_table_of_a_later_schema_of_the_search_path():
    with connection.cursor() as cursor:
        cursor.execute("CREATE SCHEMA app")
        cursor.execute("SET LOCAL search_path = app, public")
    migrate("default", "zero")
    assert rows("SELECT to_regclass('public.changes') IS NOT NULL") == [(True,)]


def test_sqlmigrate_prints_the_tables():
    for options, word in (
        ({}, "CREATE TABLE changes"),
        ({"backwards": True}, "DROP TABLE IF EXISTS changes"),
    ):
        out = StringIO()
        call_command("sqlmigrate", "bemi_orm", "0001", stdout=out, **options)
        assert word in out.getvalue()


def test_table_is_partitioned_and_the_default_partition_catches_all():
    store()
    assert rows("SELECT pg_get_partkeydef('changes'::regclass)") == [("RANGE (committed_at)",)]
    assert rows("SELECT tableoid::regclass::text FROM changes") == [("changes_default",)]


def test_columns():
    found = rows(
        "SELECT attname, format_type(atttypid, atttypmod), attnotnull, collname FROM pg_attribute "
        "LEFT JOIN pg_collation c ON c.oid = attcollation "
        "WHERE attrelid = 'changes'::regclass AND attnum > 0 ORDER BY attnum"
    )
    names = {
        "database": True,
        "schema": True,
        "table": True,
        "primary_key": False,
        "previous_primary_key": False,
    }
    expected = {name: ("text", required, "C") for name, required in names.items()} | {
        "id": ("uuid", True, None),
        "primary_key_int": ("bigint", False, None),
        "operation": ("text", True, "default"),
        **dict.fromkeys(["before", "after", "context"], ("jsonb", True, None)),
        **dict.fromkeys(
            ["committed_at", "queued_at", "created_at"], ("timestamp with time zone", True, None)
        ),
        **dict.fromkeys(["transaction_id", "position"], ("bigint", True, None)),
        "ordinal": ("integer", True, None),
    }
    assert {name: tuple(rest) for name, *rest in found} == expected


def test_indexes_are_those_of_the_design_and_no_others():
    found = rows("SELECT indexdef FROM pg_indexes WHERE tablename = 'changes'")
    assert {definition.partition(" USING ")[2] for [definition] in found} == {
        "btree (id, committed_at)",
        'btree ("table", primary_key_int, "position" DESC, ordinal DESC) WHERE (primary_key_int IS NOT NULL)',
        'btree ("table", primary_key, "position" DESC, ordinal DESC) WHERE (primary_key_int IS NULL)',
        "hash (primary_key)",
        'btree ("table", previous_primary_key, "position") WHERE (previous_primary_key IS NOT NULL)',
        'btree ("table", "position") WHERE (operation = \'TRUNCATE\'::text)',
        "gin (context jsonb_path_ops)",
        "brin (committed_at)",
    }


def test_operation_is_checked_and_so_is_the_key():
    with pytest.raises(IntegrityError, match="changes_operation"), transaction.atomic():
        store(operation="create")
    change_id = store()
    [[committed_at, position]] = Change.objects.filter(pk=change_id).values_list("committed_at", "position")
    with pytest.raises(IntegrityError, match="pkey"), transaction.atomic():
        store(transaction=position // 1024, committed_at=committed_at)


def test_checkpoint_and_gap_have_their_defaults():
    assert rows(
        "INSERT INTO bemi_checkpoint "
        "(source, system_identifier, timeline, database_oid, slot, confirmed_lsn) "
        "VALUES ('s', '7', 1, 4294967295, 'bemi_orm', '16/B374D848') RETURNING epoch, updated_at = now()"
    ) == [(0, True)]
    assert rows(
        "INSERT INTO bemi_gap (source, from_lsn, to_lsn, reason) VALUES ('s', '0/1', '0/2', 'slot') "
        "RETURNING noticed_at = now()"
    ) == [(True,)]
    with pytest.raises(DataError), transaction.atomic():
        rows("UPDATE bemi_checkpoint SET confirmed_lsn = 'x'")


def test_sql_files_are_part_of_the_package():
    names = {entry.name for entry in files("bemi_orm").joinpath("sql").iterdir()}
    assert names >= {"tables.sql", "drop_tables.sql", "find_tables.sql"}
