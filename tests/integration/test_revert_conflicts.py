"""What stands in the way of a revert: each conflict is named, and what `on_conflict` makes of it."""

import pytest
from django.db import OperationalError, connection

import bemi_orm
from bemi_orm import Change
from bemi_orm.exceptions import ConfigurationError, RevertConflict
from bemi_orm.revert.steps import ConflictKind
from tests.integration.revert_rig import capture, publish
from tests.todos.models import Tag, Todo, TodoList

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def rig():
    with capture() as rig:
        yield rig


def kinds(plan):
    return [conflict.kind for conflict in plan.conflicts]


def rename(todo, task, **context):
    with bemi_orm.context(**context):
        Todo.objects.filter(pk=todo.pk).update(task=task)


@pytest.fixture
def renamed(rig):
    """Give a todo that was renamed from a to b, then by user 9 to c, and the first of these changes."""
    todo = Todo.objects.create(task="a")
    last = rig.last()
    rename(todo, "b")
    change = rig.captured_since(last).get()
    rename(todo, "c", user_id=9)
    rig.drain()
    return todo, change


def test_r99_row_changed_since_is_named_with_who_and_when(renamed):
    todo, change = renamed
    [conflict] = change.revert_plan().conflicts
    later = Change.objects.by_user(9).get()
    assert (conflict.kind, conflict.model, conflict.key) == (
        ConflictKind.ROW_CHANGED,
        "todos.Todo",
        str(todo.pk),
    )
    assert conflict.fields == ("task",)
    [culprit] = conflict.by
    assert (culprit.change, culprit.context["user_id"]) == (later.pk, 9)
    assert culprit.committed_at == later.committed_at
    with pytest.raises(
        RevertConflict, match=rf"todos.Todo {todo.pk}: row changed since \(task\); by user_id=9 at "
    ):
        change.revert()
    todo.refresh_from_db()
    assert todo.task == "c"


def test_r99_skip_leaves_the_row_and_does_the_rest(rig, renamed):
    todo, change = renamed
    last = rig.last()
    Tag.objects.create(code="t")
    both = [*rig.captured_since(last), change]
    result = Change.objects.filter(pk__in=[one.pk for one in both]).revert(on_conflict="skip")
    assert [step.table.table for step in result.steps] == ["todos_tag"]
    assert [conflict.key for conflict in result.skipped] == [str(todo.pk)]
    todo.refresh_from_db()
    assert todo.task == "c"
    assert not Tag.objects.exists()


def test_r99_overwrite_takes_back_what_others_did(renamed):
    todo, change = renamed
    change.revert(on_conflict="overwrite")
    todo.refresh_from_db()
    assert todo.task == "a"


def test_other_fields_changed_since_are_no_conflict_and_stay(rig):
    todo = Todo.objects.create(task="a")
    last = rig.last()
    rename(todo, "b")
    change = rig.captured_since(last).get()
    Todo.objects.filter(pk=todo.pk).update(is_completed=True)
    change.revert()
    todo.refresh_from_db()
    assert (todo.task, todo.is_completed) == ("a", True)


def test_live_row_decides_not_what_is_captured(rig, renamed):
    todo, change = renamed
    rename(todo, "not captured")
    [conflict] = change.revert_plan().conflicts
    assert conflict.kind is ConflictKind.ROW_CHANGED
    rename(todo, "b")  # as the change left it: no conflict, though `changes` has one
    plan = change.revert_plan()
    assert not plan.conflicts
    rename(todo, "d")
    with pytest.raises(RevertConflict):
        plan.apply()


def test_somebody_did_the_same_already(renamed):
    todo, change = renamed
    rename(todo, "a")
    assert not change.revert_plan()


def test_somebody_did_part_of_it_already(rig):
    todo = Todo.objects.create(task="a", price="1.00")
    last = rig.last()
    Todo.objects.filter(pk=todo.pk).update(task="b", price="2.00")
    change = rig.captured_since(last).get()
    rename(todo, "a")
    plan = change.revert_plan()
    assert not plan.conflicts
    plan.apply()
    todo.refresh_from_db()
    assert (todo.task, str(todo.price)) == ("a", "1.00")


def test_change_in_between_that_is_not_of_the_set(rig):
    todo = Todo.objects.create(task="a")
    last = rig.last()
    rename(todo, "b", user_id=1)
    rename(todo, "c", user_id=9)
    rename(todo, "d", user_id=1)
    changes = rig.captured_since(last).by_user(1)
    plan = changes.revert_plan()
    [conflict] = plan.conflicts
    assert (conflict.kind, conflict.columns) == (ConflictKind.CHANGED_BETWEEN, ("task",))
    assert [culprit.context["user_id"] for culprit in conflict.by] == [9]
    with pytest.raises(RevertConflict):
        plan.apply()
    plan.apply(on_conflict="overwrite")
    todo.refresh_from_db()
    assert todo.task == "a"


def test_change_in_between_is_no_conflict_where_the_row_is_as_it_should_be(rig):
    todo = Todo.objects.create(task="a")
    last = rig.last()
    for task, user in (("b", 1), ("c", 9), ("d", 1)):
        rename(todo, task, user_id=user)
    changes = rig.captured_since(last).by_user(1)
    rename(todo, "a")
    assert not changes.revert_plan()


def test_change_in_between_of_another_field_stays_even_through_a_delete(rig):
    todo = Todo.objects.create(task="a")
    last = rig.last()
    rename(todo, "b", user_id=1)
    Todo.objects.filter(pk=todo.pk).update(is_completed=True)
    key = todo.pk
    with bemi_orm.context(user_id=1):
        todo.delete()
    rig.captured_since(last).by_user(1).revert()
    todo = Todo.objects.get(pk=key)
    assert (todo.task, todo.is_completed) == ("a", True)


def test_row_gone(rig):
    todo = Todo.objects.create(task="a", price="3.00")
    last, key = rig.last(), todo.pk
    rename(todo, "b")
    change = rig.captured_since(last).get()
    with bemi_orm.context(user_id=9):
        todo.delete()
    rig.drain()
    plan = change.revert_plan()
    [conflict] = plan.conflicts
    assert conflict.kind is ConflictKind.ROW_GONE
    assert conflict.by[0].context["user_id"] == 9
    with pytest.raises(RevertConflict):
        plan.apply(on_conflict="overwrite", fields=["task"])
    plan.apply(on_conflict="overwrite")
    todo = Todo.objects.get(pk=key)
    assert (todo.task, str(todo.price)) == ("a", "3.00")


def test_row_exists_again(rig):
    tag = Todo.objects.create(task="a")
    last, key = rig.last(), tag.pk
    tag.delete()
    change = rig.captured_since(last).get()
    Todo.objects.create(pk=key, task="other")
    plan = change.revert_plan()
    assert kinds(plan) == [ConflictKind.ROW_EXISTS]
    assert plan.apply(on_conflict="skip").steps == ()
    plan.apply(on_conflict="overwrite")
    assert Todo.objects.get(pk=key).task == "a"


def test_created_row_changed_since_is_not_deleted_unasked(rig):
    last = rig.last()
    todo = Todo.objects.create(task="a")
    change = rig.captured_since(last).get()
    rename(todo, "b")
    plan = change.revert_plan()
    assert kinds(plan) == [ConflictKind.ROW_CHANGED]
    assert plan.apply(on_conflict="skip").steps == ()
    plan.apply(on_conflict="overwrite")
    assert not Todo.objects.exists()


def test_unique_value_taken_names_the_row_that_holds_it(rig):
    gone = TodoList.objects.create(name="l")
    last = rig.last()
    gone.delete()
    change = rig.captured_since(last).get()
    with bemi_orm.context(user_id=9):
        holder = TodoList.objects.create(name="l")
    rig.drain()
    plan = change.revert_plan()
    [conflict] = plan.conflicts
    assert (conflict.kind, conflict.fields) == (ConflictKind.UNIQUE_TAKEN, ("name",))
    assert f"row {holder.pk} holds it" in conflict.detail
    assert conflict.by[0].context["user_id"] == 9
    for on_conflict in ("raise", "overwrite"):
        with pytest.raises(RevertConflict):
            plan.apply(on_conflict=on_conflict)
    assert plan.apply(on_conflict="skip").steps == ()


@pytest.mark.parametrize(
    "index", ["UNIQUE INDEX ON revert.t (lower(name))", "UNIQUE INDEX ON revert.t (name) WHERE id % 1 = 0"]
)
def test_unique_index_on_an_expression_or_with_a_predicate(rig, index):
    rig.run(
        "CREATE SCHEMA revert",
        "CREATE TABLE revert.t (id int PRIMARY KEY, name text)",
        f"CREATE {index}",
    )
    publish()
    rig.run("INSERT INTO revert.t VALUES (1, 'a')")
    changes = rig.changes("DELETE FROM revert.t")
    rig.run("INSERT INTO revert.t VALUES (2, 'a')")
    assert kinds(changes.revert_plan()) == [ConflictKind.UNIQUE_TAKEN]
    rig.run("DELETE FROM revert.t")
    changes.revert()
    assert rig.table("revert.t") == ["(1,a)"]


@pytest.fixture
def orphan(rig):
    """Give the change that took a todo out of a list that is gone by now, and both keys."""
    parent = TodoList.objects.create(name="l")
    todo = Todo.objects.create(task="a", list=parent)
    last, parent_key, key = rig.last(), parent.pk, todo.pk
    todo.delete()
    change = rig.captured_since(last).get()
    with bemi_orm.context(user_id=9):
        parent.delete()
    rig.drain()
    return change, parent_key, key


def test_p25_r100_target_of_a_foreign_key_gone_names_field_model_and_key(orphan):
    change, parent_key, key = orphan
    with pytest.raises(RevertConflict) as caught:
        change.revert()
    error = caught.value
    assert (error.model, error.key, error.fields) == ("todos.Todo", str(key), ("list",))
    assert f"todos_todolist {parent_key} does not exist" in str(error)
    assert "user_id=9" in str(error)
    with pytest.raises(RevertConflict):
        change.revert(on_conflict="overwrite")
    assert not Todo.objects.exists()


@pytest.mark.parametrize("missing_parents", ["skip", "null"])
def test_p25_field_is_skipped_or_set_to_null(orphan, missing_parents):
    change, _, key = orphan
    change.revert(missing_parents=missing_parents)
    todo = Todo.objects.get(pk=key)
    assert (todo.task, todo.list_id) == ("a", None)


def test_p25_parent_is_restored_too(orphan):
    change, parent_key, key = orphan
    plan = change.revert_plan(missing_parents="restore")
    assert [step.table.table for step in plan.steps] == ["todos_todolist", "todos_todo"]
    parents_end = Change.objects.for_model(TodoList).deleted().get()
    assert plan.changes == (change.pk, parents_end.pk)
    plan.apply()
    assert Todo.objects.get(pk=key).list_id == parent_key
    assert TodoList.objects.get(pk=parent_key).name == "l"


def test_p25_skipped_field_that_was_all_there_was_to_do_leaves_no_step(rig):
    parent = TodoList.objects.create(name="l")
    todo = Todo.objects.create(task="a", list=parent)
    last = rig.last()
    Todo.objects.filter(pk=todo.pk).update(list=None)
    change = rig.captured_since(last).get()
    parent.delete()
    assert not change.revert_plan(missing_parents="skip").steps
    assert not change.revert(missing_parents="skip").steps


def test_p25_null_is_no_way_out_where_the_column_is_not_null(rig):
    todo = Todo.objects.create(task="a")
    tag = Tag.objects.create(code="t")
    todo.tags.add(tag)
    last = rig.last()
    todo.tags.remove(tag)
    change = rig.captured_since(last).get()
    tag.delete()
    assert kinds(change.revert_plan(missing_parents="null")) == [ConflictKind.PARENT_GONE]
    assert kinds(change.revert_plan(missing_parents="restore")) == [
        ConflictKind.PARENT_GONE
    ]  # not captured yet
    rig.drain()
    change.revert(missing_parents="restore")
    assert [tag.code for tag in todo.tags.all()] == ["t"]


def test_skipped_parent_takes_its_children_with_it(rig):
    parent = TodoList.objects.create(name="l")
    Todo.objects.create(task="a", list=parent)
    last = rig.last()
    parent.delete()
    changes = rig.captured_since(last)
    TodoList.objects.create(name="l")
    result = changes.revert(on_conflict="skip")
    assert result.steps == ()
    assert [conflict.kind for conflict in result.skipped] == [
        ConflictKind.UNIQUE_TAKEN,
        ConflictKind.PARENT_GONE,
    ]


def test_p27_child_added_since_is_a_conflict_that_names_it(rig):
    last = rig.last()
    parent = TodoList.objects.create(name="l")
    changes = rig.captured_since(last)
    plan = changes.revert_plan()
    with bemi_orm.context(user_id=7):
        child = Todo.objects.create(list=parent, task="later")
    rig.drain()
    [conflict] = Change.objects.filter(pk__in=plan.changes).revert_plan().conflicts
    assert conflict.kind is ConflictKind.CHILDREN_EXIST
    assert f"todos_todo {child.pk} (list_id)" in conflict.detail
    assert conflict.by[0].context["user_id"] == 7
    with pytest.raises(RevertConflict, match="nothing was changed"):
        plan.apply(on_conflict="overwrite")
    assert not plan.apply(on_conflict="skip").steps
    assert TodoList.objects.count() == Todo.objects.count() == 1


def test_child_that_the_plan_takes_elsewhere_is_no_conflict(rig):
    todo = Todo.objects.create(task="a")
    last = rig.last()
    Todo.objects.filter(pk=todo.pk).update(list=TodoList.objects.create(name="l"))
    rig.captured_since(last).revert()
    todo.refresh_from_db()
    assert todo.list is None
    assert not TodoList.objects.exists()


def test_child_added_since_of_a_row_whose_key_goes_back_is_a_conflict(rig):
    Tag.objects.create(code="a")
    last = rig.last()
    Tag.objects.update(code="b")
    change = rig.captured_since(last).get()
    Todo.objects.create(task="x").tags.add(Tag.objects.get())
    assert kinds(change.revert_plan()) == [ConflictKind.CHILDREN_EXIST]


def test_partial_image_is_refused_with_what_is_missing():
    with capture(identity="default") as rig:
        rig.run(
            "ALTER TABLE todos_tag REPLICA IDENTITY DEFAULT",
            "ALTER TABLE todos_todo REPLICA IDENTITY DEFAULT",
        )
        todo = Todo.objects.create(task="a")
        last = rig.last()
        rename(todo, "b")
        change = rig.captured_since(last).get()
        [conflict] = change.revert_plan().conflicts
        assert conflict.kind is ConflictKind.PARTIAL_IMAGE
        assert {"task", "price", "is_completed"} <= set(conflict.columns)
        for on_conflict in ("raise", "overwrite"):
            with pytest.raises(RevertConflict, match="REPLICA IDENTITY FULL"):
                change.revert(on_conflict=on_conflict)
        assert change.revert(on_conflict="skip").steps == ()
        last = rig.last()
        todo.delete()
        [conflict] = rig.captured_since(last).revert_plan().conflicts
        assert conflict.kind is ConflictKind.PARTIAL_IMAGE
        assert "task" in conflict.columns


def test_partial_images_are_enough_to_undo_a_creation():
    with capture(identity="default") as rig:
        last = rig.last()
        todo = Todo.objects.create(task="a")
        rename(todo, "b")
        rig.captured_since(last).revert()
        assert not Todo.objects.exists()


@pytest.fixture
def table(rig):
    rig.run("CREATE SCHEMA revert", "CREATE TABLE revert.t (id int PRIMARY KEY, a text, b text)")
    publish()
    rig.run("INSERT INTO revert.t VALUES (1, 'a', 'b')")
    return "revert.t"


def test_column_gone(rig, table):
    changes = rig.changes("UPDATE revert.t SET a = 'A', b = 'B'")
    rig.run("ALTER TABLE revert.t DROP COLUMN b")
    plan = changes.revert_plan()
    [conflict] = plan.conflicts
    assert (conflict.kind, conflict.columns) == (ConflictKind.COLUMN_GONE, ("b",))
    with pytest.raises(RevertConflict):
        plan.apply()
    plan.apply(on_conflict="overwrite")
    assert rig.table(table) == ["(1,a)"]


def test_column_gone_that_was_all_there_was_to_undo(rig, table):
    changes = rig.changes("UPDATE revert.t SET b = 'B'")
    rig.run("ALTER TABLE revert.t DROP COLUMN b")
    assert kinds(changes.revert_plan()) == [ConflictKind.COLUMN_GONE]


def test_generated_column_that_is_made_otherwise_now_is_no_change_of_the_row(rig, table):
    generated = "ADD COLUMN c text GENERATED ALWAYS AS ({}) STORED"
    rig.run(f"ALTER TABLE revert.t {generated.format('a || b')}")
    changes = rig.changes("INSERT INTO revert.t VALUES (2, 'x', 'y')")
    rig.run(f"ALTER TABLE revert.t DROP COLUMN c, {generated.format('b || a')}")
    changes.revert()
    assert rig.table(table) == ["(1,a,b,ba)"]


def test_column_added_since_takes_its_default(rig, table):
    changes = rig.changes("DELETE FROM revert.t")
    rig.run("ALTER TABLE revert.t ADD COLUMN c int NOT NULL DEFAULT 7")
    changes.revert()
    assert rig.table(table) == ["(1,a,b,7)"]


def test_type_of_a_column_changed_since(rig, table):
    changes = rig.changes("UPDATE revert.t SET a = '5', b = 'B'", "UPDATE revert.t SET a = '6'")
    rig.run("ALTER TABLE revert.t ALTER COLUMN a TYPE int USING a::int")
    changes.filter(after__contains={"a": "6"}).revert()
    assert rig.table(table) == ["(1,5,B)"]


def test_table_gone(rig, table):
    changes = rig.changes("DELETE FROM revert.t")
    rig.run("DROP TABLE revert.t")
    plan = changes.revert_plan()
    assert kinds(plan) == [ConflictKind.TABLE_GONE]
    with pytest.raises(RevertConflict, match=r"revert\.t 1: table gone"):
        plan.apply(on_conflict="overwrite")
    assert plan.apply(on_conflict="skip").steps == ()


def test_what_is_skipped_is_listed_once(rig, table):
    rig.run("CREATE TABLE revert.gone (id int PRIMARY KEY)")
    publish()
    changes = rig.changes("INSERT INTO revert.gone VALUES (1)", "UPDATE revert.t SET a = 'A'")
    rig.run("DROP TABLE revert.gone", "UPDATE revert.t SET a = 'theirs'")
    result = changes.revert(on_conflict="skip")
    assert sorted(conflict.kind for conflict in result.skipped) == [
        ConflictKind.ROW_CHANGED,
        ConflictKind.TABLE_GONE,
    ]


def test_table_without_a_key(rig, table):
    rig.run("CREATE TABLE revert.log (message text)")
    publish()
    assert kinds(rig.changes("INSERT INTO revert.log VALUES ('x')").revert_plan()) == [ConflictKind.NO_KEY]


def test_what_the_database_refuses_is_a_conflict_that_names_the_constraint(rig, table):
    changes = rig.changes("UPDATE revert.t SET a = 'A'")
    rig.run("ALTER TABLE revert.t ADD CONSTRAINT big CHECK (a = upper(a))")
    plan = changes.revert_plan()
    assert not plan.conflicts
    with pytest.raises(RevertConflict, match="refuses it: IntegrityError big"):
        plan.apply()
    assert rig.table(table) == ["(1,A,b)"]


def test_trigger_that_keeps_the_row_is_a_conflict(rig, table):
    changes = rig.changes("DELETE FROM revert.t")
    rig.run(
        "CREATE FUNCTION revert.keep() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
        "CREATE TRIGGER keep BEFORE INSERT ON revert.t FOR EACH ROW EXECUTE FUNCTION revert.keep()",
    )
    with pytest.raises(RevertConflict, match="no row was written"):
        changes.revert()


@pytest.mark.parametrize(
    "statement",
    ["UPDATE revert.t SET a = 'A'", "DELETE FROM revert.t", "UPDATE revert.t SET id = 9, a = 'A'"],
)
def test_what_a_trigger_makes_of_a_row_is_told_by_the_result(rig, table, statement):
    changes = rig.changes(statement)
    rig.run(
        "CREATE FUNCTION revert.add() RETURNS trigger LANGUAGE plpgsql AS "
        "'BEGIN NEW.a := NEW.a || ''!''; RETURN NEW; END'",
        "CREATE TRIGGER add BEFORE INSERT OR UPDATE ON revert.t FOR EACH ROW EXECUTE FUNCTION revert.add()",
    )
    result = changes.revert()
    assert rig.table(table) == ["(1,a!,b)"]
    [row] = result.altered
    assert (row.table.table, row.columns) == ("t", ("a",))
    assert str(row).startswith("revert.t ")


def test_row_that_a_trigger_deletes_is_told_by_the_result(rig, table):
    changes = rig.changes("UPDATE revert.t SET a = 'A'")
    rig.run(
        "CREATE FUNCTION revert.drop() RETURNS trigger LANGUAGE plpgsql AS "
        "'BEGIN DELETE FROM revert.t; RETURN NULL; END'",
        "CREATE TRIGGER drop AFTER UPDATE ON revert.t FOR EACH ROW EXECUTE FUNCTION revert.drop()",
    )
    assert [row.columns for row in changes.revert().altered] == [("a",)]


def test_trigger_that_raises_is_a_conflict_that_names_the_row(rig, table):
    changes = rig.changes("UPDATE revert.t SET a = 'A'")
    rig.run(
        "CREATE FUNCTION revert.refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE ''no''; END'",
        "CREATE TRIGGER refuse BEFORE UPDATE ON revert.t FOR EACH ROW EXECUTE FUNCTION revert.refuse()",
    )
    with pytest.raises(RevertConflict, match=r"revert\.t 1: the database refuses it: \w+ P0001"):
        changes.revert()
    assert rig.table("revert.t") == ["(1,A,b)"]


def test_what_is_no_refusal_stays_as_it_is(rig, table):
    changes = rig.changes("UPDATE revert.t SET a = 'A'")
    plan = changes.revert_plan()
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = '200ms'")
    rig.run(
        "CREATE FUNCTION revert.slow() RETURNS trigger LANGUAGE plpgsql AS "
        "'BEGIN LOOP PERFORM 1; END LOOP; END'",
        "CREATE TRIGGER slow BEFORE UPDATE ON revert.t FOR EACH ROW EXECUTE FUNCTION revert.slow()",
    )
    try:
        with pytest.raises(OperationalError, match="statement timeout"):
            plan.apply()
    finally:
        rig.run("RESET statement_timeout")
    assert rig.table("revert.t") == ["(1,A,b)"]


def test_change_of_another_database_is_refused(rig):
    last = rig.last()
    Tag.objects.create(code="t")
    change = rig.captured_since(last).get()
    change.database = "elsewhere"
    with pytest.raises(ConfigurationError, match="BEMI_SOURCE_DATABASE"):
        change.revert_plan()


def test_overwriting_to_a_moment_brings_the_whole_row_back(rig):
    todo = Todo.objects.create(task="a", price="1.00")
    before, created = Todo.objects.values().get(), rig.last()
    rename(todo, "b")
    rig.drain()
    Todo.objects.filter(pk=todo.pk).update(price="2.00")  # not captured yet
    moment = Change.objects.get(pk=created)
    with pytest.raises(RevertConflict, match=r"row changed since \(price\)"):
        todo.bemi_revert(moment)
    todo.bemi_revert(moment, on_conflict="overwrite")
    assert Todo.objects.values().get() == before


def test_unknown_ways_to_settle_conflicts_are_errors():
    with pytest.raises(ValueError, match="missing_parents"):
        Change.objects.none().revert(missing_parents="delete")
    with pytest.raises(ValueError, match="on_conflict"):
        Change.objects.none().revert(on_conflict="force")


@pytest.mark.parametrize("name", ["t", "e", "w", "r", "s", "k", "n", "x", "l", "u0"])
def test_column_may_have_any_name(rig, name):
    rig.run(
        "CREATE SCHEMA revert",
        f'CREATE TABLE revert.a (id int PRIMARY KEY, "{name}" text UNIQUE)',
        f'CREATE TABLE revert.b ("{name}" int PRIMARY KEY, code text UNIQUE)',
        "INSERT INTO revert.a VALUES (1, 'a')",
        "INSERT INTO revert.b VALUES (1, 'a')",
    )
    publish()
    changes = rig.changes(f"UPDATE revert.a SET \"{name}\" = 'b'", "UPDATE revert.b SET code = 'b'")
    rig.run("INSERT INTO revert.b VALUES (2, 'a')")
    [conflict] = changes.revert_plan().conflicts
    assert (conflict.kind, conflict.key) == (ConflictKind.UNIQUE_TAKEN, "1")
    assert "row 2 holds it" in conflict.detail
    rig.run("DELETE FROM revert.b WHERE code = 'a'")
    changes.revert()
    assert rig.fetch("TABLE revert.a UNION ALL TABLE revert.b") == [(1, "a"), (1, "a")]


@pytest.mark.parametrize("name", ["c", "s", "v", "n"])
def test_child_is_never_taken_for_another_by_what_a_column_holds(rig, name):
    rig.run(
        "CREATE SCHEMA revert",
        "CREATE TABLE revert.p (id int PRIMARY KEY)",
        "CREATE TABLE revert.c (id int PRIMARY KEY, p int REFERENCES revert.p ON DELETE CASCADE)",
        f"ALTER TABLE revert.c ADD COLUMN {name} jsonb",
    )
    publish()
    changes = rig.changes(
        "INSERT INTO revert.p VALUES (1)", "INSERT INTO revert.c VALUES (2, 1, '{\"id\": 2}')"
    )
    rig.run("INSERT INTO revert.c VALUES (3, 1, '{\"id\": 2}')")
    [conflict] = changes.revert_plan().conflicts
    assert (conflict.kind, conflict.detail) == (ConflictKind.CHILDREN_EXIST, "revert.c 3 (p)")
    with pytest.raises(RevertConflict):
        changes.revert()
    rig.run("DELETE FROM revert.c WHERE id = 3")
    changes.revert()
    assert rig.table("revert.p") == rig.table("revert.c") == []


@pytest.fixture
def emails(rig, table):
    rig.run(
        "CREATE DOMAIN revert.email AS text NOT NULL CHECK (VALUE LIKE '%@%')",
        "ALTER TABLE revert.t ADD COLUMN e revert.email DEFAULT 'a@b'",
    )
    publish()
    return table


def test_domain_that_is_not_null(rig, emails):
    before = rig.table(emails)
    changes = rig.changes(
        "INSERT INTO revert.t VALUES (2, 'a', 'b', 'c@d')",
        "UPDATE revert.t SET e = 'e@f', a = 'A' WHERE id = 1",
        "DELETE FROM revert.t",
    )
    changes.revert()
    assert rig.table(emails) == before


def test_domain_that_is_not_null_was_added_since(rig, table):
    rig.run("CREATE UNIQUE INDEX ON revert.t (lower(a))")
    changes = rig.changes("DELETE FROM revert.t")
    rig.run(
        "CREATE DOMAIN revert.email AS text NOT NULL",
        "ALTER TABLE revert.t ADD COLUMN e revert.email DEFAULT 'a@b'",
    )
    changes.revert()
    assert rig.table(table) == ["(1,a,b,a@b)"]


def test_value_that_the_type_of_its_column_does_not_take_any_more(rig, table):
    rig.run("INSERT INTO revert.t VALUES (2, '5', 'b')")
    changes = rig.changes("UPDATE revert.t SET a = '6', b = 'B'")
    rig.run("ALTER TABLE revert.t ALTER COLUMN a TYPE int USING a::int")
    plan = changes.revert_plan()
    [conflict] = plan.conflicts
    assert (conflict.kind, conflict.key, conflict.columns) == (ConflictKind.REFUSED, "1", ("a",))
    assert "integer" in conflict.detail
    for on_conflict in ("raise", "overwrite"):
        with pytest.raises(RevertConflict, match=r"revert\.t 1: the database refuses it \(a\)"):
            plan.apply(on_conflict=on_conflict)
    assert [one.key for one in plan.apply(on_conflict="skip").skipped] == ["1"]
    assert rig.table(table) == ["(1,6,B)", "(2,5,b)"]
    plan.apply(fields=["b"])
    assert rig.table(table) == ["(1,6,b)", "(2,5,b)"]


def test_row_that_does_not_fit_any_more(rig, table):
    deleted = list(rig.changes("DELETE FROM revert.t"))
    made = rig.changes("INSERT INTO revert.t VALUES (3, 'x', 'b')")
    rig.run("ALTER TABLE revert.t ALTER COLUMN a TYPE int USING 7")
    assert [(one.kind, one.columns) for one in deleted[0].revert_plan().conflicts] == [
        (ConflictKind.REFUSED, ("a",))
    ]
    made = made.filter(after__contains={"id": 3})
    assert kinds(made.revert_plan()) == [ConflictKind.ROW_CHANGED]
    made.revert(on_conflict="overwrite")
    assert rig.table(table) == []


@pytest.mark.parametrize(
    "statement", ["UPDATE revert.t SET a = 'b'", "DELETE FROM revert.t", "INSERT INTO revert.t VALUES ('y')"]
)
def test_key_that_its_type_does_not_take_any_more(rig, statement):
    rig.run("CREATE SCHEMA revert", "CREATE TABLE revert.t (id text PRIMARY KEY, a text)")
    publish()
    rig.run("INSERT INTO revert.t VALUES ('x', 'a')")
    changes = rig.changes(statement)
    rig.run("DELETE FROM revert.t WHERE id = 'y'", "ALTER TABLE revert.t ALTER COLUMN id TYPE int USING 1")
    [conflict] = changes.revert_plan().conflicts
    assert (conflict.kind, conflict.columns) == (ConflictKind.REFUSED, ("id",))


@pytest.mark.parametrize(
    "statement", ["UPDATE revert.t SET a = 'A'", "INSERT INTO revert.t VALUES (2, 'x', 'y')"]
)
def test_row_whose_key_was_changed_since_is_never_made_twice(rig, table, statement):
    changes = list(rig.changes(statement))
    rig.changes("UPDATE revert.t SET id = id + 4", "UPDATE revert.t SET id = id + 4")
    before = rig.table(table)
    plan = changes[0].revert_plan()
    [conflict] = plan.conflicts
    assert (conflict.kind, len(conflict.by)) == (ConflictKind.ROW_GONE, 1)
    assert conflict.detail == f"its key was changed to {int(conflict.key) + 8}"
    for on_conflict in ("raise", "overwrite"):
        with pytest.raises(RevertConflict):
            plan.apply(on_conflict=on_conflict)
    assert plan.apply(on_conflict="skip").steps == ()
    assert rig.table(table) == before
    rig.changes("DELETE FROM revert.t")
    plan.apply(on_conflict="overwrite")
    assert rig.table(table) == (["(1,a,b)"] if conflict.key == "1" else [])
