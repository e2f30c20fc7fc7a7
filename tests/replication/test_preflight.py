"""What server and role must have before anything is set up."""

from pathlib import Path

import pytest

from bemi_orm.demo.postgres import EmbeddedPostgres
from bemi_orm.exceptions import SetupError
from bemi_orm.replication.preflight import check_source
from bemi_orm.replication.slots import create_slot, drop_slot, read_slot
from bemi_orm.wal.lsn import parse_lsn
from tests.replication.scratch import Scratch


@pytest.fixture
def scratch():
    scratch = Scratch()
    yield scratch
    scratch.close()


@pytest.fixture
def unfit_server(pytestconfig):
    """A server where logical replication is not configured."""
    folder = pytestconfig.getoption("--pg-bin")
    settings = {"wal_level": "replica", "max_wal_senders": "0", "max_replication_slots": "1"}
    with EmbeddedPostgres(Path(folder) if folder else None, settings) as server:
        yield server


@pytest.fixture
def unfit(unfit_server):
    connection = unfit_server.connect()
    yield connection
    connection.close()


def test_e14_a_server_that_fits_passes(scratch):
    check_source(scratch.connection, scratch.name)


def test_e14_everything_that_is_missing_is_said_at_once(unfit):
    with unfit.cursor() as cursor:
        cursor.execute("SELECT pg_create_physical_replication_slot('taken')")
    with pytest.raises(SetupError) as failure:
        check_source(unfit, "bemi_orm")
    wal_level, senders, slots = str(failure.value).split("\n")
    assert "wal_level is replica" in wal_level
    assert "ALTER SYSTEM SET wal_level = 'logical'" in wal_level
    assert "rds.logical_replication" in wal_level
    assert "ALTER SYSTEM SET max_wal_senders" in senders
    assert "All 1 replication slots are in use" in slots


def test_e14_a_full_server_is_no_problem_when_the_slot_is_among_them(unfit):
    with unfit.cursor() as cursor:
        cursor.execute("SELECT pg_create_physical_replication_slot('bemi_orm')")
    with pytest.raises(SetupError) as failure:
        check_source(unfit, "bemi_orm")
    assert "slots are in use" not in str(failure.value)


def test_e14_a_standby_is_refused(unfit_server, unfit):
    with unfit.cursor() as cursor:
        cursor.execute("SHOW data_directory")
        [data_directory] = cursor.fetchone()
    unfit_server.shut_down()
    (Path(data_directory) / "standby.signal").touch()
    unfit_server.start()
    connection = unfit_server.connect()
    try:
        with pytest.raises(SetupError, match="standby"):
            check_source(connection, "bemi_orm")
    finally:
        connection.close()


def test_e14_a_role_must_be_allowed_to_replicate(scratch):
    role = scratch.create_role("")
    with pytest.raises(SetupError, match=f'ALTER ROLE "{role}" REPLICATION'):
        check_source(scratch.connect(user=role), scratch.name)


def test_e14_the_attribute_replication_is_enough(scratch):
    check_source(scratch.connect(user=scratch.create_role("REPLICATION")), scratch.name)


def test_e14_membership_of_rds_replication_is_enough(scratch):
    role = scratch.create_role("")
    scratch.run("CREATE ROLE rds_replication", f"GRANT rds_replication TO {role}")
    try:
        check_source(scratch.connect(user=role), scratch.name)
    finally:
        scratch.run("DROP ROLE rds_replication")


def test_a_slot_is_read_as_it_was_made(scratch):
    assert read_slot(scratch.connection, scratch.name) is None
    lsn = create_slot(scratch.connection, scratch.name)
    slot = read_slot(scratch.connection, scratch.name)
    assert (slot.name, slot.plugin, slot.database) == (scratch.name, "pgoutput", scratch.name)
    assert (slot.active_pid, slot.wal_status, slot.two_phase, slot.temporary) == (
        None,
        "reserved",
        False,
        False,
    )
    assert slot.restart_lsn <= slot.confirmed_lsn == lsn


def test_s18_the_slot_s_position_is_the_one_the_server_shows(scratch):
    create_slot(scratch.connection, scratch.name)
    scratch.run("CREATE TABLE t (id int)")
    [[moved_to]] = scratch.fetch(
        "SELECT end_lsn::text FROM pg_replication_slot_advance(%s, pg_current_wal_lsn())", scratch.name
    )
    assert read_slot(scratch.connection, scratch.name).confirmed_lsn == parse_lsn(moved_to)


def test_dropping_a_slot_twice_is_dropping_it(scratch):
    create_slot(scratch.connection, scratch.name)
    drop_slot(scratch.connection, scratch.name)
    drop_slot(scratch.connection, scratch.name)
    assert read_slot(scratch.connection, scratch.name) is None
