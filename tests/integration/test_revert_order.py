"""The order of a plan's steps where constraints are checked at once: swaps, circles, keys that move."""

import pytest
from django.db import IntegrityError, transaction

from bemi_orm.exceptions import RevertConflict
from bemi_orm.revert.steps import PARKED, ConflictKind, Effect
from tests.integration.revert_rig import capture, publish

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def rig():
    with capture() as rig:
        rig.run("CREATE SCHEMA revert")
        yield rig


TABLES = (
    "SELECT oid::regclass::text FROM pg_class WHERE relnamespace = 'revert'::regnamespace AND relkind = 'r'"
)


def undo(rig, tables, setup, *statements):
    """Make the tables, do the statements, undo them, and undo that; give the plan of the undo."""
    rig.run(*tables)
    publish()
    rig.run(*setup)
    names = [name for (name,) in rig.fetch(TABLES)]
    before = {name: rig.table(name) for name in names}
    changes = rig.changes(*statements)
    after = {name: rig.table(name) for name in names}
    assert before != after
    plan = changes.revert_plan()
    assert not plan.conflicts, str(plan)
    last = rig.last()
    plan.apply()
    assert {name: rig.table(name) for name in names} == before, str(plan)
    rig.captured_since(last).revert()
    assert {name: rig.table(name) for name in names} == after
    return plan


@pytest.mark.parametrize(
    ("type_", "values"),
    [
        ("int NOT NULL", ("1", "2", "0")),
        ("numeric(4,1) NOT NULL", ("1.5", "2.5", "0")),
        ("varchar(3) NOT NULL", ("a", "b", "c")),
        ("uuid NOT NULL", tuple(f"{n}0000000-0000-0000-0000-000000000000" for n in (1, 2, 3))),
        ("date NOT NULL", ("2026-01-01", "2026-01-02", "2026-01-03")),
        ("timestamptz NOT NULL", ("2026-01-01 00:00Z", "2026-01-02 00:00Z", "2026-01-03 00:00Z")),
    ],
)
def test_r101_swapped_unique_values_are_parked_meanwhile(rig, type_, values):
    one, two, free = values
    plan = undo(
        rig,
        [f"CREATE TABLE revert.t (id int PRIMARY KEY, code {type_} UNIQUE)"],
        [f"INSERT INTO revert.t VALUES (1, '{one}'), (2, '{two}')"],
        f"UPDATE revert.t SET code = '{free}' WHERE id = 1",
        f"UPDATE revert.t SET code = '{one}' WHERE id = 2",
        f"UPDATE revert.t SET code = '{two}' WHERE id = 1",
    )
    detours = [step for step in plan.steps if step.is_detour]
    assert [effect.new for step in detours for effect in step.columns] == [PARKED]
    assert "(a free value)" in str(plan)


def test_r101_swapped_nullable_values_go_over_null(rig):
    plan = undo(
        rig,
        ["CREATE TABLE revert.t (id int PRIMARY KEY, code text UNIQUE)"],
        ["INSERT INTO revert.t VALUES (1, 'a'), (2, 'b'), (3, 'c')"],
        "UPDATE revert.t SET code = NULL",
        "UPDATE revert.t SET code = chr(97 + id % 3)",
    )
    assert [step.columns[0].new for step in plan.steps if step.is_detour] == [None]


def test_r101_deferrable_unique_values_need_no_detour(rig):
    plan = undo(
        rig,
        ["CREATE TABLE revert.t (id int PRIMARY KEY, code text NOT NULL UNIQUE DEFERRABLE)"],
        ["INSERT INTO revert.t VALUES (1, 'a'), (2, 'b')"],
        "UPDATE revert.t SET code = chr(99 - id)",
    )
    assert len(plan.steps) == 2


def test_r101_swapped_primary_keys(rig):
    undo(
        rig,
        ["CREATE TABLE revert.t (id int PRIMARY KEY, name text)"],
        ["INSERT INTO revert.t VALUES (1, 'a'), (2, 'b')"],
        "UPDATE revert.t SET id = 0 WHERE id = 1",
        "UPDATE revert.t SET id = 1 WHERE id = 2",
        "UPDATE revert.t SET id = 2 WHERE id = 0",
    )


def test_value_passed_on_by_a_deleted_row(rig):
    plan = undo(
        rig,
        ["CREATE TABLE revert.t (id int PRIMARY KEY, code text NOT NULL UNIQUE)"],
        ["INSERT INTO revert.t VALUES (1, 'a'), (2, 'b')"],
        "DELETE FROM revert.t WHERE id = 1",
        "UPDATE revert.t SET code = 'a' WHERE id = 2",
        "INSERT INTO revert.t VALUES (3, 'b')",
    )
    assert [step.effect for step in plan.steps] == [Effect.DELETE, Effect.UPDATE, Effect.INSERT]


def test_key_used_again_by_another_row(rig):
    undo(
        rig,
        ["CREATE TABLE revert.t (id int PRIMARY KEY, name text)"],
        ["INSERT INTO revert.t VALUES (1, 'a'), (2, 'b')"],
        "DELETE FROM revert.t WHERE id = 2",
        "UPDATE revert.t SET id = 2 WHERE id = 1",
        "INSERT INTO revert.t VALUES (1, 'c')",
    )


def test_s32b_deferrable_keys_swap(rig):
    undo(
        rig,
        ["CREATE TABLE revert.t (id int PRIMARY KEY DEFERRABLE INITIALLY DEFERRED, name text)"],
        ["INSERT INTO revert.t VALUES (1, 'a'), (2, 'b'), (3, 'c')"],
        "UPDATE revert.t SET id = 4 - id",
    )


def test_s32b_deferrable_keys_shift(rig):
    undo(
        rig,
        ["CREATE TABLE revert.t (id int PRIMARY KEY DEFERRABLE, name text)"],
        ["INSERT INTO revert.t VALUES (1, 'a'), (2, 'b'), (3, 'c')"],
        "UPDATE revert.t SET id = id + 1",
    )


def test_key_that_another_row_takes_over_long_after_it_left_its_own(rig):
    undo(
        rig,
        ["CREATE TABLE revert.t (id int PRIMARY KEY, name text)"],
        ["INSERT INTO revert.t VALUES (1, 'a'), (2, 'b')"],
        "UPDATE revert.t SET id = 9 WHERE id = 1",
        "DELETE FROM revert.t WHERE id = 2",
        "UPDATE revert.t SET id = 2 WHERE id = 9",
    )


RING = [
    "CREATE TABLE revert.a (id int PRIMARY KEY, b int {null})",
    "CREATE TABLE revert.b (id int PRIMARY KEY, a int NOT NULL REFERENCES revert.a {defer})",
    "ALTER TABLE revert.a ADD CONSTRAINT a_b FOREIGN KEY (b) REFERENCES revert.b {defer}",
]
AT_ONCE = (
    "INSERT INTO revert.a VALUES (1, NULL); INSERT INTO revert.b VALUES (1, 1); UPDATE revert.a SET b = 1",
    "UPDATE revert.a SET b = NULL; DELETE FROM revert.b; DELETE FROM revert.a",
)
DEFERRED = (
    "SET CONSTRAINTS ALL DEFERRED; INSERT INTO revert.a VALUES (1, 1); INSERT INTO revert.b VALUES (1, 1)",
    "SET CONSTRAINTS ALL DEFERRED; DELETE FROM revert.b; DELETE FROM revert.a",
)


@pytest.mark.parametrize(
    ("null", "defer", "statements", "detours"),
    [("", "", AT_ONCE, 1), ("NOT NULL", "DEFERRABLE", DEFERRED, 0)],
    ids=["nullable", "deferrable"],
)
@pytest.mark.parametrize("first", ["delete", "insert"])
def test_circle_of_foreign_keys(rig, null, defer, statements, detours, first):
    tables = [statement.format(null=null, defer=defer) for statement in RING]
    insert, delete = statements
    setup, statement = ([insert], delete) if first == "delete" else ([], insert)
    plan = undo(rig, tables, setup, statement)
    assert len([step for step in plan.steps if step.is_detour]) == detours


def test_rows_that_point_to_each_other_in_one_table(rig):
    undo(
        rig,
        ["CREATE TABLE revert.t (id int PRIMARY KEY, boss int REFERENCES revert.t)"],
        ["INSERT INTO revert.t VALUES (1, 1), (2, 1), (3, 2)", "UPDATE revert.t SET boss = 3 WHERE id = 1"],
        "DELETE FROM revert.t",
    )


@pytest.mark.parametrize("defer", ["DEFERRABLE", "DEFERRABLE INITIALLY DEFERRED"])
@pytest.mark.parametrize("own", [True, False], ids=["in_one_table", "in_another"])
def test_another_row_takes_the_place_that_rows_point_to(rig, defer, own):
    child = "INSERT INTO revert.a VALUES (1, 2)" if own else "INSERT INTO revert.b VALUES (7, 2)"
    plan = undo(
        rig,
        [
            f"CREATE TABLE revert.a (id int PRIMARY KEY, boss int REFERENCES revert.a {defer})",
            f"CREATE TABLE revert.b (id int PRIMARY KEY, a int NOT NULL REFERENCES revert.a {defer})",
        ],
        ["INSERT INTO revert.a VALUES (2, NULL), (3, NULL)", child],
        "SET CONSTRAINTS ALL DEFERRED; DELETE FROM revert.a WHERE id = 2; "
        "UPDATE revert.a SET id = 2 WHERE id = 3",
    )
    assert [step.table.table for step in plan.steps] == ["a", "a"], "the row that points is in no step"


@pytest.mark.parametrize("action", ["", "ON UPDATE SET NULL DEFERRABLE", "ON UPDATE RESTRICT DEFERRABLE"])
def test_no_row_may_point_to_nothing_where_that_cannot_wait(rig, action):
    rig.run(
        "CREATE TABLE revert.a (id int PRIMARY KEY)",
        f"CREATE TABLE revert.b (id int PRIMARY KEY, a int REFERENCES revert.a {action})",
    )
    publish()
    rig.run("INSERT INTO revert.a VALUES (2), (3)")
    changes = rig.changes("DELETE FROM revert.a WHERE id = 2; UPDATE revert.a SET id = 2 WHERE id = 3")
    rig.run("INSERT INTO revert.b VALUES (7, 2)")
    [conflict] = changes.revert_plan().conflicts
    assert conflict.kind is ConflictKind.CHILDREN_EXIST
    assert "revert.b 7" in str(conflict)


def test_foreign_key_that_follows_updates(rig):
    undo(
        rig,
        [
            "CREATE TABLE revert.a (id int PRIMARY KEY)",
            "CREATE TABLE revert.b (id int PRIMARY KEY, a int NOT NULL)",
            "ALTER TABLE revert.b ADD FOREIGN KEY (a) REFERENCES revert.a ON UPDATE CASCADE",
        ],
        ["INSERT INTO revert.a VALUES (1)", "INSERT INTO revert.b VALUES (1, 1)"],
        "UPDATE revert.a SET id = 2",
    )


CODES = "CREATE TABLE revert.p (id int PRIMARY KEY, code text UNIQUE NOT NULL)"
BOTH = "ON UPDATE CASCADE ON DELETE CASCADE"
POINTING = "FOREIGN KEY (code) REFERENCES revert.p (code)"
SWAP = (
    "UPDATE revert.p SET code = 'x' WHERE id = 1",
    "UPDATE revert.p SET code = 'a' WHERE id = 2",
    "UPDATE revert.p SET code = 'z' WHERE id = 1",
)


@pytest.mark.parametrize("defer", ["", "DEFERRABLE", "DEFERRABLE INITIALLY DEFERRED"])
@pytest.mark.parametrize("action", ["CASCADE", "SET NULL", "SET DEFAULT"])
def test_what_a_key_does_to_the_rows_that_point_to_swapped_parents_overwrites_no_step(rig, action, defer):
    undo(
        rig,
        [
            CODES,
            "CREATE TABLE revert.c (id int PRIMARY KEY, code text DEFAULT 'd', note text)",
            f"ALTER TABLE revert.c ADD {POINTING} ON UPDATE {action} {defer}",
        ],
        [
            "INSERT INTO revert.p VALUES (1, 'a'), (2, 'z'), (3, 'd')",
            "INSERT INTO revert.c VALUES (1, 'a', 'n'), (2, 'z', 'm')",
        ],
        *SWAP,
    )


@pytest.mark.parametrize("defer", ["", "DEFERRABLE INITIALLY DEFERRED"])
@pytest.mark.parametrize("action", ["CASCADE", "SET NULL", "NO ACTION", "RESTRICT"])
def test_row_leaves_a_parent_before_it_goes_and_comes_to_the_one_in_its_place(rig, action, defer):
    undo(
        rig,
        [
            CODES,
            "CREATE TABLE revert.c (id int PRIMARY KEY, code text, note text)",
            f"ALTER TABLE revert.c ADD {POINTING} ON DELETE {action} {defer}",
        ],
        ["INSERT INTO revert.p VALUES (1, 'a'), (2, 'z')", "INSERT INTO revert.c VALUES (1, 'z', 'n')"],
        "UPDATE revert.p SET code = 'b' WHERE id = 1",
        "INSERT INTO revert.p VALUES (3, 'a')",
        "UPDATE revert.c SET code = 'a'",
    )


@pytest.mark.parametrize("action", ["SET NULL ON UPDATE SET NULL", "NO ACTION"])
def test_row_leaves_a_parent_that_makes_room_before_it_goes(rig, action):
    undo(
        rig,
        [
            f"{CODES[:-1]}, boss int REFERENCES revert.p ON DELETE {action})",
            f"CREATE TABLE revert.c (id int PRIMARY KEY, code text REFERENCES revert.p (code) {BOTH})",
        ],
        [
            "INSERT INTO revert.p VALUES (2, 'z', NULL), (1, 'a', 2)",
            "INSERT INTO revert.c VALUES (1, 'a'), (2, 'z'), (3, 'z')",
        ],
        "UPDATE revert.p SET boss = NULL",
        "UPDATE revert.c SET code = NULL WHERE id = 2",
        "DELETE FROM revert.p WHERE id = 2",
        "UPDATE revert.p SET code = 'z' WHERE id = 1",
    )


@pytest.mark.parametrize("defer", ["", "DEFERRABLE INITIALLY DEFERRED"])
@pytest.mark.parametrize("action", ["CASCADE", "SET NULL", "SET DEFAULT", "NO ACTION", "RESTRICT"])
@pytest.mark.parametrize(
    ("leave", "come_back"),
    [
        ("UPDATE revert.c SET code = 'a' WHERE id = 2", "UPDATE revert.c SET code = 'z' WHERE id = 2"),
        ("DELETE FROM revert.c WHERE id = 2", "INSERT INTO revert.c VALUES (2, 'z', 'm')"),
        ("DELETE FROM revert.c WHERE id = 2", "INSERT INTO revert.c VALUES (2, 'z', 'other')"),
    ],
)
@pytest.mark.parametrize(
    "passing", ["DELETE FROM revert.p WHERE id = 2", "UPDATE revert.p SET code = 'y' WHERE id = 2"]
)
def test_reference_that_came_back_to_the_place_that_another_row_took(
    rig, passing, leave, come_back, action, defer
):
    undo(
        rig,
        [
            CODES,
            "CREATE TABLE revert.c (id int PRIMARY KEY, code text DEFAULT 'd', note text)",
            f"ALTER TABLE revert.c ADD {POINTING} ON UPDATE {action} ON DELETE {action} {defer}",
        ],
        [
            "INSERT INTO revert.p VALUES (1, 'b'), (2, 'z'), (3, 'd'), (4, 'a')",
            "INSERT INTO revert.c VALUES (1, 'b', 'n'), (2, 'z', 'm')",
        ],
        leave,
        passing,
        "UPDATE revert.c SET code = NULL WHERE id = 1",
        "UPDATE revert.p SET code = 'z' WHERE id = 1",
        come_back,
    )


@pytest.mark.parametrize("defer", ["", "DEFERRABLE INITIALLY DEFERRED"])
@pytest.mark.parametrize(
    "statements",
    [
        ["UPDATE revert.p SET id = 5 WHERE id = 1"],
        [
            "UPDATE revert.p SET id = 9 WHERE id = 1",
            "UPDATE revert.p SET id = 1 WHERE id = 2",
            "UPDATE revert.p SET id = 2 WHERE id = 9",
        ],
        ["UPDATE revert.p SET id = 5 WHERE id = 1", "UPDATE revert.c SET n = n + 1, note = 'b'"],
        ["UPDATE revert.p SET id = 5 WHERE id = 1", "DELETE FROM revert.c WHERE p = 5"],
        ["INSERT INTO revert.c VALUES (1, 7, 'new')", "UPDATE revert.p SET id = 5 WHERE id = 1"],
    ],
    ids=["moved", "swapped", "and_changed", "and_deleted", "inserted"],
)
def test_rows_whose_own_keys_follow_their_parents(rig, statements, defer):
    undo(
        rig,
        [
            "CREATE TABLE revert.p (id int PRIMARY KEY)",
            "CREATE TABLE revert.c (p int, n int, note text, PRIMARY KEY (p, n))",
            "CREATE TABLE revert.d (p int, n int, k int, PRIMARY KEY (p, n, k))",
            f"ALTER TABLE revert.c ADD FOREIGN KEY (p) REFERENCES revert.p ON UPDATE CASCADE {defer}",
            f"ALTER TABLE revert.d ADD FOREIGN KEY (p, n) REFERENCES revert.c {BOTH} {defer}",
        ],
        [
            "INSERT INTO revert.p VALUES (1), (2)",
            "INSERT INTO revert.c VALUES (1, 1, 'a'), (2, 1, 'b')",
            "INSERT INTO revert.d VALUES (1, 1, 1), (2, 1, 2)",
        ],
        *statements,
    )


@pytest.mark.parametrize("action", ["SET NULL", "CASCADE"])
def test_row_that_comes_to_point_to_the_place_that_it_leaves(rig, action):
    undo(
        rig,
        [f"CREATE TABLE revert.t (id int PRIMARY KEY, boss int REFERENCES revert.t ON UPDATE {action})"],
        ["INSERT INTO revert.t VALUES (1, NULL), (2, NULL)", "UPDATE revert.t SET boss = 1 WHERE id = 2"],
        "UPDATE revert.t SET boss = NULL",
        "UPDATE revert.t SET id = 9 WHERE id = 1",
        "UPDATE revert.t SET id = 1 WHERE id = 2",
        "UPDATE revert.t SET id = 2 WHERE id = 9",
    )


def test_flag_of_a_conditional_unique_constraint_moves_from_row_to_row(rig):
    undo(
        rig,
        [
            "CREATE TABLE revert.t (id int PRIMARY KEY, usr int NOT NULL, is_default bool NOT NULL)",
            "CREATE UNIQUE INDEX ON revert.t (usr) WHERE is_default",
        ],
        ["INSERT INTO revert.t VALUES (1, 7, true), (2, 7, false)"],
        "UPDATE revert.t SET is_default = false WHERE id = 1",
        "UPDATE revert.t SET is_default = true WHERE id = 2",
    )


@pytest.mark.parametrize(
    "statements",
    [
        ["UPDATE revert.t SET name = 'Z' WHERE id = 1", "UPDATE revert.t SET name = 'X' WHERE id = 2"],
        [
            "UPDATE revert.t SET name = '%' WHERE id = 1",
            "UPDATE revert.t SET name = 'X' WHERE id = 2",
            "UPDATE revert.t SET name = 'Y' WHERE id = 1",
        ],
        ["UPDATE revert.t SET name = 'gone' WHERE id = 1", "INSERT INTO revert.t VALUES (0, 'X')"],
    ],
    ids=["passed_on", "swapped", "inserted"],
)
def test_unique_values_of_an_expression(rig, statements):
    undo(
        rig,
        [
            'CREATE TABLE revert.t (id int PRIMARY KEY, name text NOT NULL, "bemi %s" int)',
            "CREATE UNIQUE INDEX ON revert.t (lower(name), (id % 1)) WHERE name NOT LIKE 'gone%'",
        ],
        ["INSERT INTO revert.t VALUES (1, 'x'), (2, 'y')"],
        *statements,
    )


@pytest.mark.parametrize(
    ("type_", "values"),
    [
        ("int NOT NULL UNIQUE CHECK (code >= 0)", ("0", "1", "5")),
        ("smallint NOT NULL UNIQUE", ("-32768", "1", "5")),
        ("smallint NOT NULL UNIQUE", ("32767", "1", "5")),
        ("bigint NOT NULL UNIQUE", (str(2**63 - 1), "1", "5")),
        ("numeric(4, 1) NOT NULL UNIQUE", ("999.9", "1", "5")),
        ("numeric NOT NULL UNIQUE", ("NaN", "Infinity", "5")),
        ("float8 NOT NULL UNIQUE", ("NaN", "1.5", "5")),
        ("time NOT NULL UNIQUE", ("00:00", "11:00", "12:00")),
        ("timetz(0) NOT NULL UNIQUE", ("10:00Z", "11:00Z", "12:00Z")),
        ("int UNIQUE NULLS NOT DISTINCT", ("1", "2", "5")),
    ],
    ids=lambda value: value if isinstance(value, str) else value[0],
)
def test_value_for_the_while_is_one_that_the_column_takes(rig, type_, values):
    one, two, free = values
    undo(
        rig,
        [f"CREATE TABLE revert.t (id int PRIMARY KEY, code {type_})"],
        [
            f"INSERT INTO revert.t VALUES (1, '{one}'), (2, '{two}')",
            *(["INSERT INTO revert.t VALUES (3, NULL)"] if "NULLS" in type_ else []),
        ],
        f"UPDATE revert.t SET code = '{free}' WHERE id = 1",
        f"UPDATE revert.t SET code = '{one}' WHERE id = 2",
        f"UPDATE revert.t SET code = '{two}' WHERE id = 1",
    )


def test_identity_and_generated_columns(rig):
    undo(
        rig,
        [
            "CREATE TABLE revert.t (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, a int)",
            "ALTER TABLE revert.t ADD COLUMN twice int GENERATED ALWAYS AS (a * 2) STORED",
        ],
        ["INSERT INTO revert.t (a) VALUES (1), (2)"],
        "UPDATE revert.t SET a = 5 WHERE id = 1",
        "DELETE FROM revert.t WHERE id = 2",
        "INSERT INTO revert.t (a) VALUES (3)",
    )


def test_names_and_values_that_need_quoting(rig):
    undo(
        rig,
        ['CREATE TABLE revert."T %s \'x" ("id %" int PRIMARY KEY, "t.a" text UNIQUE, "or" json NOT NULL)'],
        ["""INSERT INTO revert."T %s 'x" VALUES (1, '%s ''"\\', 'null'), (2, 'b', '{"a": 1.50}')"""],
        """UPDATE revert."T %s 'x" SET "t.a" = '%' WHERE "id %" = 1""",
        """DELETE FROM revert."T %s 'x" WHERE "id %" = 2""",
    )


def test_reference_is_never_parked_on_a_row_that_does_not_exist(rig):
    rig.run(
        "CREATE TABLE revert.a (id int PRIMARY KEY)",
        "CREATE TABLE revert.b (id int PRIMARY KEY, a int NOT NULL UNIQUE REFERENCES revert.a)",
    )
    publish()
    rig.run("INSERT INTO revert.a VALUES (1), (2), (3)", "INSERT INTO revert.b VALUES (1, 1), (2, 2)")
    changes = rig.changes(
        "UPDATE revert.b SET a = 3 WHERE id = 1",
        "UPDATE revert.b SET a = 1 WHERE id = 2",
        "UPDATE revert.b SET a = 2 WHERE id = 1",
    )
    plan = changes.revert_plan()
    assert {conflict.kind for conflict in plan.conflicts} == {ConflictKind.CYCLE}


@pytest.fixture
def swapped(rig):
    """Give a function that makes a table whose unique values were swapped, and the plan to swap them back."""

    def swap(constraint):
        rig.run(f"CREATE TABLE revert.t (id int PRIMARY KEY, code text NOT NULL UNIQUE {constraint})")
        publish()
        rig.run("INSERT INTO revert.t VALUES (1, 'a'), (2, 'b')")
        return rig.changes("UPDATE revert.t SET code = chr(99 - id)").revert_plan()

    return swap


TWICE = "UPDATE revert.t SET code = 'x'"


def test_constraint_that_was_deferred_for_the_revert_is_checked_at_once_again_afterwards(rig, swapped):
    plan = swapped("DEFERRABLE")
    with transaction.atomic():
        plan.apply()
        with pytest.raises(IntegrityError), transaction.atomic():
            rig.run(TWICE)
    assert rig.table("revert.t") == ["(1,a)", "(2,b)"]


def test_constraint_that_is_deferred_anyway_still_is_afterwards(rig, swapped):
    plan = swapped("DEFERRABLE INITIALLY DEFERRED")
    with transaction.atomic():
        plan.apply()
        rig.run(TWICE, "UPDATE revert.t SET code = id::text")
    assert rig.table("revert.t") == ["(1,1)", "(2,2)"]


def test_violation_that_a_deferred_constraint_hides_is_found_before_apply_returns(rig, swapped):
    plan = swapped("DEFERRABLE")
    rig.run(
        "CREATE FUNCTION revert.twice() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN NEW.code := 'same'; RETURN NEW; END $$",
        "CREATE TRIGGER twice BEFORE UPDATE ON revert.t FOR EACH ROW EXECUTE FUNCTION revert.twice()",
    )
    with transaction.atomic():
        with pytest.raises(
            RevertConflict, match=r"revert\.t None: the database refuses it \(code\).*t_code_key"
        ):
            plan.apply()
        assert rig.table("revert.t") == ["(1,b)", "(2,a)"]


def test_no_order_satisfies_the_constraints(rig):
    rig.run("CREATE TABLE revert.t (id int PRIMARY KEY, flag bool NOT NULL UNIQUE)")
    publish()
    rig.run("INSERT INTO revert.t VALUES (1, true), (2, false)")
    changes = rig.changes(
        "DELETE FROM revert.t",
        "INSERT INTO revert.t VALUES (1, false), (2, true)",
    )
    plan = changes.revert_plan()
    assert [conflict.kind for conflict in plan.conflicts] == [ConflictKind.CYCLE] * 2
    assert len(plan.steps) == 2
    with pytest.raises(RevertConflict, match="no order"):
        plan.apply(on_conflict="overwrite")
    assert rig.table("revert.t") == ["(1,f)", "(2,t)"]
