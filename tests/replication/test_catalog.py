"""What is read of tables, keys and types."""

import pytest

from bemi_orm.replication.catalog import read_key_columns, read_tables, read_type_facts
from bemi_orm.wal.types import TypeFact
from tests.replication.scratch import Scratch


@pytest.fixture
def scratch():
    scratch = Scratch()
    yield scratch
    scratch.close()


def oid_of(scratch, kind, name):
    [[oid]] = scratch.fetch(f"SELECT %s::{kind}::oid::bigint", name)
    return oid


def test_tables_that_can_be_published_are_read_by_schema_and_name(scratch):
    scratch.run(
        "CREATE SCHEMA archive",
        'CREATE TABLE archive."My.Table" (id int)',
        "CREATE TABLE todo (id int)",
        "CREATE TEMP TABLE temporary (id int)",
        "CREATE UNLOGGED TABLE unlogged (id int)",
        "CREATE VIEW seen AS SELECT * FROM todo",
        "CREATE MATERIALIZED VIEW kept AS SELECT * FROM todo",
        "CREATE TABLE of_extension (id int)",
        "ALTER EXTENSION plpgsql ADD TABLE of_extension",
    )
    assert [(table.schema, table.name) for table in read_tables(scratch.connection)] == [
        ("archive", "My.Table"),
        ("public", "todo"),
    ]


def test_s37_partitions_are_read_as_leaves_of_their_root(scratch):
    scratch.run(
        "CREATE TABLE root (id int PRIMARY KEY) PARTITION BY RANGE (id)",
        "CREATE TABLE low PARTITION OF root FOR VALUES FROM (0) TO (9)",
        "CREATE TABLE branch PARTITION OF root FOR VALUES FROM (9) TO (99) PARTITION BY RANGE (id)",
        "CREATE TABLE high PARTITION OF branch FOR VALUES FROM (9) TO (50)",
        "CREATE UNLOGGED TABLE unlogged PARTITION OF branch FOR VALUES FROM (50) TO (99)",
        "CREATE TABLE empty (id int) PARTITION BY LIST (id)",
    )
    empty, root = read_tables(scratch.connection)
    assert (root.kind, [leaf.name for leaf in root.leaves]) == ("p", ["high", "low"])
    assert (empty.kind, empty.leaves) == ("p", ())


def test_an_inheriting_table_is_a_table_of_its_own(scratch):
    scratch.run("CREATE TABLE parent (id int)", "CREATE TABLE child () INHERITS (parent)")
    assert [(table.name, table.leaves) for table in read_tables(scratch.connection)] == [
        ("child", ()),
        ("parent", ()),
    ]


def test_b_q4_key_columns_come_in_key_order(scratch):
    scratch.run(
        'CREATE TABLE seat (note text, number int, "Row" text, PRIMARY KEY ("Row", number) INCLUDE (note))',
        "CREATE TABLE keyless (id int UNIQUE NOT NULL)",
    )
    keyless, seat = read_tables(scratch.connection)
    assert seat.primary_key == ("Row", "number") == read_key_columns(scratch.connection, seat.oid)
    assert keyless.primary_key == () == read_key_columns(scratch.connection, keyless.oid)
    scratch.run("DROP TABLE seat")
    assert read_key_columns(scratch.connection, seat.oid) == ()


@pytest.mark.parametrize(
    ("statements", "identity", "key_identifies", "index_identifies"),
    [
        (["CREATE TABLE t (id int PRIMARY KEY)"], "d", True, False),
        (["CREATE TABLE t (id int PRIMARY KEY DEFERRABLE)"], "d", False, False),
        (["CREATE TABLE t (id int)", "ALTER TABLE t REPLICA IDENTITY NOTHING"], "n", False, False),
        (["CREATE TABLE t (id int NOT NULL)", "CREATE UNIQUE INDEX u ON t (id)",
          "ALTER TABLE t REPLICA IDENTITY USING INDEX u"], "i", False, True),
        (["CREATE TABLE t (id int NOT NULL)", "CREATE UNIQUE INDEX u ON t (id)",
          "ALTER TABLE t REPLICA IDENTITY USING INDEX u", "DROP INDEX u"], "i", False, False),
    ],
)  # fmt: skip
def test_what_identifies_a_row_is_known(scratch, statements, identity, key_identifies, index_identifies):
    scratch.run(*statements)
    [table] = read_tables(scratch.connection)
    assert (table.replica_identity, table.key_identifies, table.index_identifies) == (
        identity,
        key_identifies,
        index_identifies,
    )


def test_ownership_includes_that_of_a_granted_role(scratch):
    owner, member, stranger = (scratch.create_role("") for _ in range(3))
    scratch.run(f"GRANT {owner} TO {member}", "CREATE TABLE t (id int)", f"ALTER TABLE t OWNER TO {owner}")
    owned = [read_tables(scratch.connect(user=role))[0].is_owner for role in (owner, member, stranger)]
    assert owned == [True, True, False]
    scratch.run("DROP TABLE t")


def test_types_are_resolved_down_to_what_is_built_in(scratch):
    scratch.run(
        "CREATE TYPE colour AS ENUM ('red')",
        "CREATE DOMAIN colours AS colour[]",
        "CREATE DOMAIN palette AS colours",
        "CREATE DOMAIN boxes AS box[]",
        "CREATE TYPE span AS RANGE (subtype = int)",
    )
    names = ["palette[]", "palette", "colours", "colour[]", "colour", "boxes", "box[]", "box", "span"]
    oid = {name: oid_of(scratch, "regtype", name) for name in names}
    wanted = {oid["palette[]"], oid["boxes"], oid["span"]}
    assert read_type_facts(scratch.connection, wanted) == {
        oid["palette[]"]: TypeFact(oid["palette[]"], "b", element_oid=oid["palette"]),
        oid["palette"]: TypeFact(oid["palette"], "d", base_oid=oid["colours"]),
        oid["colours"]: TypeFact(oid["colours"], "d", base_oid=oid["colour[]"]),
        oid["colour[]"]: TypeFact(oid["colour[]"], "b", element_oid=oid["colour"]),
        oid["colour"]: TypeFact(oid["colour"], "e"),
        oid["boxes"]: TypeFact(oid["boxes"], "d", base_oid=oid["box[]"], delimiter=";"),
        oid["box[]"]: TypeFact(oid["box[]"], "b", element_oid=oid["box"], delimiter=";"),
        oid["box"]: TypeFact(oid["box"], "b", delimiter=";"),
        oid["span"]: TypeFact(oid["span"], "r"),
    }


def test_a_type_that_is_gone_has_no_facts(scratch):
    scratch.run("CREATE TYPE mood AS ENUM ()")
    oid = oid_of(scratch, "regtype", "mood")
    scratch.run("DROP TYPE mood")
    assert read_type_facts(scratch.connection, [oid]) == {}
    assert read_type_facts(scratch.connection, []) == {}
