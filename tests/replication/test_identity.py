"""No table of any shape is left in a publication where the application's UPDATE or DELETE would fail."""

import psycopg2
import pytest

from bemi_orm.replication.tracking import Tracking
from tests.replication.scratch import Scratch

KEYED = "CREATE TABLE t (id int PRIMARY KEY, x int)"
INDEXED = (
    "CREATE TABLE t (id int NOT NULL, x int)",
    "CREATE UNIQUE INDEX u ON t (id)",
    "ALTER TABLE t REPLICA IDENTITY USING INDEX u",
)
STORED = "x int, twice int GENERATED ALWAYS AS (x * 2) STORED"
VIRTUAL = "x int, twice int GENERATED ALWAYS AS (x * 2) VIRTUAL"

# statements, then the identity after set-up with `full` and with `default`; None: left out of the publication
SHAPES = {
    "keyed": ((KEYED,), "f", "d"),
    "keyless": (("CREATE TABLE t (id int, x int)",), "f", "f"),
    "deferrable": (("CREATE TABLE t (id int PRIMARY KEY DEFERRABLE, x int)",), "f", "f"),
    "nothing": ((KEYED, "ALTER TABLE t REPLICA IDENTITY NOTHING"), "f", "d"),
    "already_full": ((KEYED, "ALTER TABLE t REPLICA IDENTITY FULL"), "f", "f"),
    "index": (INDEXED, "i", "i"),
    "index_gone": ((*INDEXED, "DROP INDEX u"), "f", "f"),
    "stored": ((f"CREATE TABLE t (id int PRIMARY KEY, {STORED})",), "f", "d"),
    "stored_keyless": ((f"CREATE TABLE t (id int, {STORED})",), "f", "f"),
    "stored_key": ((f"CREATE TABLE t (id int, {STORED} PRIMARY KEY)",), "f", "d"),
    "column_list": ((KEYED, "CREATE PUBLICATION other_{name} FOR TABLE t (id)"), "d", "d"),
    "row_filter": ((KEYED, "CREATE PUBLICATION other_{name} FOR TABLE t WHERE (id > 0)"), "f", "d"),
}  # fmt: skip
SINCE_18 = {
    "virtual": ((f"CREATE TABLE t (id int PRIMARY KEY, {VIRTUAL})",), "d", "d"),
    "virtual_full": (
        (f"CREATE TABLE t (id int PRIMARY KEY, {VIRTUAL})", "ALTER TABLE t REPLICA IDENTITY FULL"),
        "d",
        "d",
    ),
    "virtual_index": (
        (f"CREATE TABLE t (id int NOT NULL, {VIRTUAL})", *INDEXED[1:]),
        "i",
        "i",
    ),
    "virtual_keyless": ((f"CREATE TABLE t (id int, {VIRTUAL})",), None, None),
    "hidden_by_another": (
        (f"CREATE TABLE t (id int PRIMARY KEY, {STORED})", "CREATE PUBLICATION other_{name} FOR TABLE t"),
        "d",
        "d",
    ),
    "hidden_by_all_tables": (
        (f"CREATE TABLE t (id int PRIMARY KEY, {STORED})", "CREATE PUBLICATION other_{name} FOR ALL TABLES"),
        "d",
        "d",
    ),
    "temporal_key": (
        ("CREATE TABLE t (id int4range, p daterange, x int, PRIMARY KEY (id, p WITHOUT OVERLAPS))",),
        "f",
        "d",
    ),
}


@pytest.fixture
def scratch():
    scratch = Scratch()
    yield scratch
    scratch.close()


def make(scratch, shape):
    if shape in SINCE_18 and scratch.version < 180_000:
        pytest.skip("PostgreSQL 18 brought this shape")
    statements, full, default = (SHAPES | SINCE_18)[shape]
    scratch.run(*(statement.format(name=scratch.name) for statement in statements))
    return {"full": full, "default": default}


def write(scratch, shape):
    key = "('[1,2)', '[2025-01-01,2026-01-01)', 1)" if shape == "temporal_key" else "(1, 1)"
    scratch.run(f"INSERT INTO t VALUES {key}", "UPDATE t SET x = 2", "DELETE FROM t")


@pytest.mark.parametrize("choice", ["full", "default"])
@pytest.mark.parametrize("shape", [*SHAPES, *SINCE_18])
def test_s31_updates_and_deletes_work_after_set_up(scratch, shape, choice):
    expected = make(scratch, shape)[choice]
    plan = scratch.set_up(identity=choice)
    write(scratch, shape)
    assert scratch.published() == (set() if expected is None else {"t"})
    assert expected in (None, scratch.identity("t"))
    assert bool(plan.warnings) is (expected is None or (choice, expected) in {("full", "d"), ("full", "i")})
    assert scratch.plan(identity=choice).steps == ()


@pytest.mark.parametrize("shape", ["keyless", "deferrable", "index_gone", "virtual_full", "virtual_keyless"])
def test_s31_the_same_tables_fail_when_only_published(scratch, shape):
    """What set-up guards against is real."""
    make(scratch, shape)
    scratch.run(f"CREATE PUBLICATION {scratch.name} FOR TABLE t")
    with pytest.raises(psycopg2.Error, match="cannot update table"):
        write(scratch, shape)


@pytest.mark.parametrize("shape", ["virtual", "hidden_by_another", "hidden_by_all_tables", "column_list"])
def test_s31_the_same_tables_fail_under_identity_full(scratch, shape):
    """And so is the reason not to set it."""
    make(scratch, shape)
    scratch.run("ALTER TABLE t REPLICA IDENTITY FULL", f"CREATE PUBLICATION {scratch.name} FOR TABLE t")
    with pytest.raises(psycopg2.Error, match="cannot update table"):
        write(scratch, shape)


def test_s31_a_table_that_fails_in_the_publication_is_repaired(scratch):
    make(scratch, "keyless")
    scratch.run(f"CREATE PUBLICATION {scratch.name} FOR TABLE t")
    scratch.set_up()
    write(scratch, "keyless")


def test_s31_a_table_that_can_only_fail_is_taken_out(scratch):
    make(scratch, "virtual_keyless")
    scratch.run(f"CREATE PUBLICATION {scratch.name} FOR TABLE t")
    [warning] = scratch.set_up().warnings
    assert "virtual generated columns (twice)" in warning
    write(scratch, "virtual_keyless")


def test_s31_an_identity_that_is_kept_is_explained(scratch):
    make(scratch, "index")
    [warning] = scratch.set_up().warnings
    assert "USING INDEX" in warning


def test_s37_a_root_is_never_full_over_a_leaf_that_is_not(scratch):
    scratch.run(
        "CREATE TABLE t (id int PRIMARY KEY, x int) PARTITION BY RANGE (id)",
        "CREATE TABLE leaf PARTITION OF t FOR VALUES FROM (0) TO (9)",
        "CREATE UNIQUE INDEX u ON leaf (id)",
        "ALTER TABLE leaf REPLICA IDENTITY USING INDEX u",
        "ALTER TABLE t REPLICA IDENTITY FULL",
    )
    scratch.set_up()
    assert (scratch.identity("t"), scratch.identity("leaf")) == ("d", "d")
    write(scratch, "keyed")


def test_a_row_filter_of_the_publication_itself_is_a_warning(scratch):
    scratch.run(KEYED, f"CREATE PUBLICATION {scratch.name} FOR TABLE t WHERE (id > 0)")
    [warning] = scratch.set_up(tracking=Tracking(track=("t",))).warnings
    assert "row filter" in warning
