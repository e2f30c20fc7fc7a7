"""What goes wrong on the first day: each says what to do, and loses nothing."""

import psycopg2
import pytest
from psycopg2.extensions import make_dsn

from bemi_orm.demo.postgres import EmbeddedPostgres, free_port
from tests.acceptance.site import Site

ROLE = "plain_role"


@pytest.fixture
def site(tmp_path):
    site = Site("bad_input", tmp_path)
    site.create()
    yield site
    site.drop()


def refusal(site, *words, command="bemi"):
    """The text of a command that fails as it should: exit code 1, no traceback."""
    outcome = site.manage(command, *words, check=False)
    assert outcome.returncode == 1, outcome
    assert "Traceback" not in outcome.stderr
    return outcome.stderr


@pytest.mark.parametrize("words", [["setup"], ["worker"], ["worker", "--drain"]])
def test_changes_not_migrated(site, words):
    assert "manage.py migrate" in refusal(site, *words)


@pytest.mark.parametrize("words", [["worker"], ["worker", "--drain"]])
def test_worker_before_setup(site, words):
    site.manage("migrate", "--run-syncdb")
    assert "manage.py bemi setup" in refusal(site, *words)


def test_a_table_changes_of_another_stops_migrate_with_one_line(site):
    with site.connect() as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE changes (id uuid PRIMARY KEY)")
    lines = refusal(site, command="migrate").strip().splitlines()
    assert lines[-1].startswith('ForeignTableError: The table "public"."changes" exists')


def test_the_first_migrate_warns_of_nothing_and_base_options_may_follow_the_subcommand(site):
    assert site.manage("migrate", "--run-syncdb").stderr == ""
    assert site.manage("bemi", "setup", "--settings", "tests.settings", "-v0").stdout == ""
    outcome = site.manage("bemi", "worker", "--drain", "--traceback", "-v", "0")
    assert (outcome.stdout, outcome.stderr) == ("", "")


def test_wal_level_is_not_logical(tmp_path):
    with EmbeddedPostgres(settings={"wal_level": "replica"}) as server:
        site = Site("bad_input", tmp_path, f"postgresql://postgres@127.0.0.1:{server.port}/postgres")
        site.create()
        site.manage("migrate", "--run-syncdb")
        text = refusal(site, "setup")
        assert "wal_level" in text
        assert "restart" in text.lower()
        with site.connect() as connection, connection.cursor() as cursor:
            cursor.execute(
                "SELECT (SELECT count(*) FROM pg_publication), (SELECT count(*) FROM bemi_checkpoint)"
            )
            assert cursor.fetchone() == (0, 0)


def test_no_replication_privilege(site):
    site.manage("migrate", "--run-syncdb")
    with psycopg2.connect(site.dsn) as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE ROLE {ROLE} LOGIN")
        cursor.execute(f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {ROLE}")
    connection.close()
    site.environment["BEMI_TEST_DSN"] = make_dsn(site.server_dsn, user=ROLE)
    try:
        assert "REPLICATION" in refusal(site, "setup")
    finally:
        with psycopg2.connect(site.dsn) as connection, connection.cursor() as cursor:
            cursor.execute(f"DROP OWNED BY {ROLE}")
            cursor.execute(f"DROP ROLE {ROLE}")
        connection.close()


@pytest.mark.parametrize("words", [["setup"], ["worker", "--drain"]])
def test_database_unreachable(site, words):
    site.environment["BEMI_TEST_DSN"] = make_dsn(site.server_dsn, port=free_port())
    assert "does not answer" in refusal(site, *words)


def test_destination_unreachable_loses_nothing(site, tmp_path):
    """The destination goes away, rows are written meanwhile, and are stored when it is back."""
    with EmbeddedPostgres() as destination:
        site.environment["BEMI_TEST_DESTINATION_PORT"] = str(destination.port)
        destination.create_database("audit")
        site.manage("migrate", "--run-syncdb")
        site.manage("migrate", "bemi_orm", "--database", "bemi")
        site.manage("bemi", "setup")
        destination.shut_down()
        assert "destination" in refusal(site, "worker", "--drain").lower()
        with site.connect() as connection, connection.cursor() as cursor:
            cursor.execute("INSERT INTO todos_tag VALUES ('late')")
        destination.start()
        assert "Stored 1 changes" in site.manage("bemi", "worker", "--drain").stdout
        audit = destination.connect("audit")
        with audit.cursor() as cursor:
            cursor.execute("SELECT database, primary_key FROM changes")
            assert cursor.fetchall() == [(site.name, "late")]
        audit.close()


def test_context_function_that_does_not_import_is_an_error_of_the_check(site):
    site.environment["BEMI_TEST_CONTEXT_FUNCTION"] = "todos.nowhere.context"
    outcome = site.manage("check", check=False)
    assert outcome.returncode == 1
    assert "BEMI_CONTEXT_FUNCTION" in outcome.stderr


def test_a_locked_table_makes_setup_say_so(site):
    """A table that somebody holds locked: setup says so and can be run again; nothing hangs."""
    site.manage("migrate", "--run-syncdb")
    connection = psycopg2.connect(site.dsn)
    connection.cursor().execute("LOCK TABLE todos_tag IN ACCESS EXCLUSIVE MODE")
    text = refusal(site, "setup")
    assert "todos_tag" in text
    connection.rollback()
    connection.close()
    assert "Ready" in site.manage("bemi", "setup").stdout
