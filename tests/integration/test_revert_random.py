"""The revert of any suffix of a random history gives exactly the database as it was; so does its revert."""

import pytest
from django.db import Error, connection, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bemi_orm import Change
from bemi_orm.revert.planning import plan_revert
from tests.integration.revert_rig import capture, publish

pytestmark = pytest.mark.django_db(transaction=True)

TABLES = ("area", "item", "link", "seat")
SCHEMA = """
CREATE SCHEMA revert;
CREATE TABLE revert.area (
    id int PRIMARY KEY,
    code text UNIQUE NOT NULL,
    twice text GENERATED ALWAYS AS (code || code) STORED,
    boss int REFERENCES revert.area {defer});
CREATE TABLE revert.item (
    id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    area_code text REFERENCES revert.area (code) ON DELETE CASCADE {defer},
    rank int NOT NULL UNIQUE {defer},
    note jsonb);
CREATE TABLE revert.link (
    area int REFERENCES revert.area ON DELETE CASCADE {defer},
    item int REFERENCES revert.item ON DELETE SET NULL {defer},
    place int NOT NULL,
    tags text[],
    PRIMARY KEY (area, place),
    UNIQUE (item, place) {defer});
CREATE TABLE revert.seat (number int PRIMARY KEY {defer}, who text);
"""

SWAP = """
UPDATE revert.item SET rank = -1 WHERE rank = 1;
UPDATE revert.item SET rank = 1 WHERE rank = %s;
UPDATE revert.item SET rank = %s WHERE rank = -1;
"""
FILL = """
INSERT INTO revert.area (id, code) SELECT id, chr(96 + id) FROM generate_series(1, 3) AS id;
UPDATE revert.area SET boss = id % 3 + 1;
INSERT INTO revert.item OVERRIDING SYSTEM VALUE SELECT id, chr(96 + id), id FROM generate_series(1, 3) AS id;
"""

small = st.integers(1, 4)
code = st.sampled_from("abc")
maybe = st.one_of(st.none(), small)
swap = st.integers(2, 3).map(lambda rank: (SWAP, (rank, rank)))
operations = st.one_of(
    swap,
    swap,
    st.tuples(st.just("UPDATE revert.area SET boss = (id + %s) %% 3 + 1"), st.tuples(small)),
    st.tuples(st.just("UPDATE revert.area SET boss = NULL WHERE id <> %s"), st.tuples(small)),
    st.tuples(
        st.just("INSERT INTO revert.area (id, code, boss) VALUES (%s, %s, %s)"),
        st.tuples(small, code, maybe),
    ),
    st.tuples(
        st.just(
            "INSERT INTO revert.item (id, area_code, rank, note) OVERRIDING SYSTEM VALUE "
            "VALUES (%s, %s, %s, '{\"a\": [1.50, null]}')"
        ),
        st.tuples(small, st.one_of(st.none(), code), small),
    ),
    st.tuples(
        st.just("INSERT INTO revert.link VALUES (%s, %s, %s, '{a,NULL,\"b c\"}')"),
        st.tuples(small, maybe, small),
    ),
    st.tuples(
        st.just("UPDATE revert.area SET code = %s, boss = %s WHERE id = %s"), st.tuples(code, maybe, small)
    ),
    st.tuples(st.just("UPDATE revert.area SET id = %s WHERE id = %s"), st.tuples(small, small)),
    st.tuples(
        st.just("UPDATE revert.item SET rank = %s, area_code = %s WHERE id = %s"),
        st.tuples(st.integers(1, 9), st.one_of(st.none(), code), small),
    ),
    st.tuples(
        st.just("UPDATE revert.link SET place = %s, item = %s WHERE area = %s AND place = %s"),
        st.tuples(small, maybe, small, small),
    ),
    st.tuples(st.just("DELETE FROM revert.area WHERE id = %s"), st.tuples(small)),
    st.tuples(st.just("DELETE FROM revert.item WHERE id = %s"), st.tuples(small)),
    st.tuples(st.just("DELETE FROM revert.link WHERE place = %s"), st.tuples(small)),
    st.tuples(st.just("INSERT INTO revert.seat VALUES (%s, %s)"), st.tuples(small, code)),
    st.tuples(st.just("UPDATE revert.seat SET number = number + %s"), st.tuples(st.sampled_from([-1, 1]))),
    st.tuples(st.just("UPDATE revert.seat SET who = %s WHERE number = %s"), st.tuples(code, small)),
    st.tuples(st.just("DELETE FROM revert.seat WHERE number = %s"), st.tuples(small)),
)
histories = st.lists(st.lists(operations, min_size=1, max_size=5), min_size=1, max_size=12)


def snapshot(rig):
    return {name: rig.table(f"revert.{name}") for name in TABLES}


def position(rig):
    [(lsn,)] = rig.fetch("SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint")
    return lsn


def play(rig, history):
    """Run each transaction, what fails in it left out; give the state before each, and at the end."""
    states = [(position(rig), snapshot(rig))]
    for statements in history:
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                for statement, parameters in statements:
                    attempt(cursor, statement, parameters)
        except Error:
            continue  # a deferred constraint failed at commit
        states.append((position(rig), snapshot(rig)))
    return states


def attempt(cursor, statement, parameters):
    try:
        with transaction.atomic():
            cursor.execute(statement, parameters)
    except Error:
        pass


@pytest.fixture(scope="module", params=["", "DEFERRABLE INITIALLY DEFERRED", "DEFERRABLE"])
def rig(request, django_db_setup, django_db_blocker):
    with django_db_blocker.unblock(), capture() as rig:
        rig.run(SCHEMA.format(defer=request.param))
        publish()
        yield rig


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=histories)
def test_revert_of_any_suffix_gives_the_database_as_it_was(rig, history):
    rig.run("TRUNCATE revert.area, revert.item, revert.link, revert.seat", FILL)
    states = play(rig, history)
    end, final = states[-1]
    rig.drain()
    for start, state in states:
        before_revert = position(rig)
        suffix = Change.objects.filter(schema="revert", position__gte=start, position__lt=end)
        plan = plan_revert(suffix)
        assert not plan.conflicts, str(plan)
        plan.apply(using_sql=True)
        assert snapshot(rig) == state, str(plan)
        rig.drain()
        again = plan_revert(Change.objects.filter(schema="revert", position__gte=before_revert))
        assert not again.conflicts, str(again)
        again.apply()
        assert snapshot(rig) == final, str(again)
        rig.drain()
