"""Monthly partitions: made ahead, and missed without harm."""

import logging
from datetime import UTC, datetime

import psycopg2
import pytest

from bemi_orm.sink.partitions import ensure_partitions


@pytest.fixture
def destination(rig):
    connection = psycopg2.connect(rig.dsn)
    yield connection
    connection.close()


def partitions(rig):
    return [
        name
        for (name,) in rig.fetch(
            "SELECT relid::regclass::text FROM pg_partition_tree('changes') WHERE isleaf ORDER BY 1"
        )
    ]


def test_this_month_and_the_next_two_over_the_turn_of_the_year(rig, destination):
    ensure_partitions(destination, "public", datetime(2026, 12, 31, 23, tzinfo=UTC))
    expected = ["changes_2026_12", "changes_2027_01", "changes_2027_02", "changes_default"]
    assert partitions(rig) == expected
    ensure_partitions(destination, "public", datetime(2026, 12, 1, tzinfo=UTC))
    assert partitions(rig) == expected


def test_a_stored_change_lies_in_its_month(rig):
    rig.sql.execute("CREATE TABLE item (id int PRIMARY KEY)")
    rig.set_up("item")
    rig.sql.execute("INSERT INTO item VALUES (1)")
    rig.drain()
    assert rig.fetch(
        "SELECT tableoid::regclass::text = 'changes_' || to_char(committed_at AT TIME ZONE 'UTC', 'YYYY_MM') "
        "FROM changes"
    ) == [(True,)]


@pytest.mark.parametrize("obstacle", ["rows in the default partition", "no privilege"])
def test_a_partition_that_cannot_be_made_is_a_warning(rig, destination, caplog, obstacle):
    if obstacle == "no privilege":
        rig.sql.execute("CREATE ROLE reader_of_partitions")
        with destination, destination.cursor() as cursor:
            cursor.execute("SET SESSION AUTHORIZATION reader_of_partitions")
    else:
        rig.sql.execute(
            'INSERT INTO changes (id, database, schema, "table", operation, committed_at, queued_at, '
            "transaction_id, position, ordinal) "
            "VALUES (gen_random_uuid(), 'd', 's', 't', 'CREATE', '2026-12-05Z', now(), 1, 1, 0)"
        )
    try:
        with caplog.at_level(logging.WARNING, "bemi_orm"):
            ensure_partitions(destination, "public", datetime(2026, 12, 31, tzinfo=UTC))
    finally:
        destination.close()
        rig.sql.execute("DROP ROLE IF EXISTS reader_of_partitions")
    assert "changes_2026_12" in caplog.text
    assert "changes_default" in caplog.text
    assert "changes_2026_12" not in partitions(rig)
