"""Steps of one plan that stand in the way of each other."""

import pytest

from bemi_orm.exceptions import RevertConflict
from bemi_orm.revert.planning import plan_revert
from bemi_orm.revert.steps import ConflictKind
from tests.integration.revert_rig import capture, publish

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def rig():
    with capture() as rig:
        rig.run("CREATE SCHEMA revert")
        yield rig


@pytest.fixture
def pointing_back(rig):
    """Give a function that makes a plan to delete a parent that it also points a row back to."""

    def plan(action, **options):
        rig.run(
            "CREATE TABLE revert.p (id int PRIMARY KEY)",
            f"CREATE TABLE revert.c (id int PRIMARY KEY, b int REFERENCES revert.p {action}, note text)",
        )
        publish()
        rig.run("INSERT INTO revert.p VALUES (2)", "INSERT INTO revert.c VALUES (1, NULL, 'kept')")
        ours = list(rig.changes("INSERT INTO revert.p VALUES (1)"))
        rig.changes("UPDATE revert.c SET b = 1")  # somebody else
        return plan_revert([*ours, *rig.changes("UPDATE revert.c SET b = 2")], **options)

    return plan


ACTIONS = ["", "ON DELETE CASCADE", "ON DELETE SET NULL", "DEFERRABLE INITIALLY DEFERRED"]


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("missing_parents", ["conflict", "restore"])
def test_row_never_points_to_a_parent_that_the_plan_takes_away(rig, pointing_back, action, missing_parents):
    plan = pointing_back(action, missing_parents=missing_parents)
    [found] = plan.conflicts
    assert (found.kind, found.table.table, found.key) == (ConflictKind.PARENT_GONE, "c", "1")
    assert "revert.p 1 is taken away by this plan" in str(found)
    with pytest.raises(RevertConflict, match="taken away by this plan"):
        plan.apply(on_conflict="overwrite")
    result = plan.apply(on_conflict="skip")
    assert [step.table.table for step in result.steps] == ["p"]
    assert rig.table("revert.c") == ["(1,2,kept)"]


@pytest.mark.parametrize("action", ACTIONS)
def test_reference_to_a_parent_that_the_plan_takes_away_is_let_go(rig, pointing_back, action):
    plan = pointing_back(action, missing_parents="null")
    assert not plan.conflicts
    plan.apply()
    assert (rig.table("revert.p"), rig.table("revert.c")) == (["(2)"], ["(1,,kept)"])


@pytest.mark.parametrize("index", ["(v)", "(lower(v))", "(v) WHERE v <> ''"])
def test_two_rows_that_would_take_the_same_unique_value(rig, index):
    rig.run(
        "CREATE TABLE revert.t (id int PRIMARY KEY, v text)",
        f"CREATE UNIQUE INDEX one_v ON revert.t {index}",
    )
    publish()
    rig.run("INSERT INTO revert.t VALUES (1, 'x'), (2, 'z'), (3, 'q')")
    ours = list(rig.changes("UPDATE revert.t SET v = 'y' WHERE id = 1"))
    rig.changes("UPDATE revert.t SET v = 'x' WHERE id = 2")  # somebody else
    ours += rig.changes(
        "UPDATE revert.t SET v = 'w' WHERE id = 2", "UPDATE revert.t SET v = 'r' WHERE id = 3"
    )
    plan = plan_revert(ours)
    assert {(found.kind, found.key) for found in plan.conflicts} == {
        (ConflictKind.UNIQUE_TAKEN, "1"),
        (ConflictKind.UNIQUE_TAKEN, "2"),
    }
    assert "row 2 takes it too (one_v)" in str(plan.conflicts)
    result = plan.apply(on_conflict="skip")
    assert [step.key for step in result.steps] == ["3"]
    assert rig.table("revert.t") == ["(1,y)", "(2,w)", "(3,q)"]
