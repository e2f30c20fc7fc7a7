"""`manage.py bemi setup` as a whole: what it tells, and what it notes where it comes too late."""

import logging
import sys
from contextlib import contextmanager
from io import StringIO

import psycopg2
import pytest
from django.core.management import CommandError, call_command
from django.db import connection, connections

from bemi_orm.apps import publish_new_tables
from bemi_orm.management.commands.bemi import Command, _log_to_stderr
from bemi_orm.management.databases import libpq_parameters
from tests.integration.travels import Trail

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def trail(settings):
    settings.BEMI_TRACK = ["todos"]
    trail = Trail(settings)
    yield trail
    trail.close()


def setup(*words):
    out, err = StringIO(), StringIO()
    call_command("bemi", "setup", *words, stdout=out, stderr=err, no_color=True)
    return out.getvalue(), err.getvalue()


def gaps(trail):
    return trail.fetch("SELECT from_lsn < to_lsn, reason FROM bemi_gap")


def checkpoint(trail):
    return trail.fetch("SELECT confirmed_lsn::text FROM bemi_checkpoint")


def add_tag(trail):
    trail.execute("INSERT INTO todos_tag VALUES ('early')")


def test_the_first_set_up_tells_each_step_when_it_is_done_and_warns_of_no_rows(trail):
    add_tag(trail)
    out, err = setup()
    assert f"  create publication {trail.name}: done\n" in out
    assert f"  create replication slot {trail.name}: done\n" in out
    assert "  start the checkpoint at " in out
    assert "Ready. Next: manage.py bemi worker" in out
    assert err == ""
    assert gaps(trail) == []


def test_a_step_is_told_when_it_is_done_and_not_before(trail):
    blocker = psycopg2.connect(**libpq_parameters())
    blocker.cursor().execute("LOCK TABLE todos_todo IN ACCESS EXCLUSIVE MODE")
    out = StringIO()
    with pytest.raises(CommandError, match=r"todos_todo within 3 s"):
        call_command("bemi", "setup", stdout=out)
    blocker.close()
    assert "publish public.todos_tag: done" in out.getvalue()
    assert "todos_todo: done" not in out.getvalue()
    assert "Ready" not in out.getvalue()


def test_a_dry_run_tells_of_the_checkpoint_too(trail):
    out, _ = setup("--dry-run")
    assert "start the checkpoint at the position of the new slot" in out
    assert "Nothing was changed (dry run)." in out
    assert checkpoint(trail) == []


def test_a_dry_run_does_not_say_nothing_to_do_while_the_checkpoint_is_missing(trail):
    setup()
    trail.execute("DELETE FROM bemi_checkpoint")
    out, _ = setup("--dry-run")
    assert "start the checkpoint at " in out
    assert "Nothing to do" not in out
    assert "Nothing to do" not in setup()[0]
    assert setup("--dry-run")[0] == "Nothing to do.\n"
    assert setup()[0] == "Nothing to do: all is set up.\n"


def test_a_table_that_was_dropped_from_the_publication_leaves_a_gap_on_record(trail):
    setup()
    trail.execute(f"ALTER PUBLICATION {trail.name} DROP TABLE todos_tag, todos_todo")
    add_tag(trail)
    before = checkpoint(trail)
    for words in (["--dry-run"], []):
        out, err = setup(*words)
        assert "note in bemi_gap: published only now: public.todos_tag" in out
        assert "public.todos_tag already holds rows: what was written before now" in err
        assert "todos_todo" not in err
    assert gaps(trail) == [(True, "published only now: public.todos_tag")]
    assert checkpoint(trail) == before
    assert setup() == ("Nothing to do: all is set up.\n", "")
    assert len(gaps(trail)) == 1


def test_an_empty_table_that_is_new_is_no_gap(trail):
    setup()
    trail.execute(f"ALTER PUBLICATION {trail.name} DROP TABLE todos_tag")
    assert setup()[1] == ""
    assert gaps(trail) == []


def test_wrong_options_of_the_publication_leave_a_gap_on_record(trail):
    setup()
    trail.execute(f"ALTER PUBLICATION {trail.name} SET (publish = 'insert')")
    assert f"while publication {trail.name} did not publish everything is not" in setup()[1]
    assert gaps(trail) == [(True, f"publication {trail.name} did not publish everything")]


def test_a_lost_publication_leaves_a_gap_on_record_once_its_slot_is_made_anew(trail):
    setup()
    add_tag(trail)
    trail.execute(f"DROP PUBLICATION {trail.name}")
    with pytest.raises(CommandError, match="--accept-gap"):
        setup()
    assert gaps(trail) == []
    trail.execute(f"SELECT pg_drop_replication_slot('{trail.name}')")
    out, _ = setup("--dry-run")
    assert "to the position of the new slot (this stops without --accept-gap)" in out
    setup("--accept-gap")
    reasons = [reason for _, reason in gaps(trail)]
    assert reasons == [
        f"publication {trail.name} was missing; published only now: public.todos_tag",
        "the slot was past the checkpoint at set-up",
    ]


def test_a_gap_is_noted_even_if_a_later_step_fails(trail):
    """The next call would find the table published, and not know that it came late."""
    setup()
    trail.execute(f"ALTER PUBLICATION {trail.name} DROP TABLE todos_tag, todos_todo")
    add_tag(trail)
    trail.execute("ALTER TABLE todos_todo REPLICA IDENTITY DEFAULT")
    blocker = psycopg2.connect(**libpq_parameters())
    blocker.cursor().execute("LOCK TABLE todos_todo IN ACCESS EXCLUSIVE MODE")
    with pytest.raises(CommandError, match="todos_todo within"):
        setup()
    blocker.close()
    [(_, reason)] = gaps(trail)
    assert "public.todos_tag" in reason


def test_settings_that_track_nothing_are_refused(trail, settings):
    setup()
    settings.BEMI_TRACK = ["todoz"]
    with pytest.raises(CommandError, match=r"DROP TABLE ONLY .*\"public\"\.\"todos_tag\""):
        setup()
    settings.BEMI_TRACK = "todos"
    with pytest.raises(CommandError, match=r"BEMI_TRACK is 'todos'; it must be a list"):
        setup()


@pytest.mark.parametrize("words", [["-v0", "setup"], ["setup", "-v0"], ["setup", "--verbosity", "0"]])
def test_base_options_may_stand_before_or_after_the_subcommand(words):
    parsed = Command().create_parser("manage.py", "bemi").parse_args(words)
    assert (parsed.subcommand, parsed.verbosity) == ("setup", 0)


@pytest.mark.parametrize("subcommand", [["setup"], ["worker"], ["log", "t"], ["blame", "t", "1"]])
def test_every_subcommand_takes_the_base_options(subcommand):
    words = [*subcommand, "--settings", "x", "--traceback", "--no-color", "--pythonpath", "."]
    parsed = Command().create_parser("manage.py", "bemi").parse_args(words)
    assert (parsed.settings, parsed.traceback, parsed.no_color, parsed.verbosity) == ("x", True, True, 1)


@contextmanager
def handlers(of_root):
    """In the test itself: pytest adds handlers of its own to the root logger for the time of the call."""
    logger, root = logging.getLogger("bemi_orm"), logging.getLogger()
    saved = logger.handlers, logger.level, root.handlers
    logger.handlers, root.handlers = [], of_root
    try:
        yield logger.handlers
    finally:
        logger.handlers, logger.level, root.handlers = saved


def test_log_lines_go_to_stderr_where_the_project_says_nothing():
    with handlers(of_root=[]) as own:
        _log_to_stderr(1)
        assert [handler.stream for handler in own] == [sys.stderr]


def test_log_lines_are_not_doubled_where_the_root_logger_is_configured():
    with handlers(of_root=[logging.NullHandler()]) as own:
        _log_to_stderr(1)
        assert own == []


def test_migrate_goes_on_when_the_set_up_after_it_cannot_be_read(trail, settings, caplog):
    settings.BEMI_PUBLICATION = ["a", "list"]
    publish_new_tables(using="default", verbosity=1)
    assert "BEMI_PUBLICATION is ['a', 'list']; it must be a string" in caplog.text


def test_migrate_goes_on_when_set_up_is_refused(trail, settings, caplog):
    setup()
    settings.BEMI_TRACK = ["todoz"]
    publish_new_tables(using="default", verbosity=1)
    assert "New tables are not captured until `manage.py bemi setup` succeeds" in caplog.text


@pytest.fixture
def dead_server(monkeypatch):
    monkeypatch.setitem(connections["default"].settings_dict, "PORT", "1")
    connection.close()


def test_a_server_that_is_gone_is_one_line_and_stops_no_migration(settings, caplog, dead_server):
    with pytest.raises(CommandError, match="does not answer"):
        call_command("bemi", "setup")
    with pytest.raises(CommandError, match="does not answer"):
        call_command("bemi", "log", "todos.Todo", "--no-pager")
    publish_new_tables(using="default", verbosity=1)
    assert "New tables are not captured" in caplog.text
