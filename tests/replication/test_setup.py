"""`bemi setup` on the tracked database: what it plans, what it makes, and what it leaves alone."""

from dataclasses import replace

import pytest

from bemi_orm.exceptions import SetupError, SourceUnavailableError
from bemi_orm.replication.catalog import TableFacts, read_tables
from bemi_orm.replication.conflicts import find_publication_conflicts
from bemi_orm.replication.missed import Missed, find_missed
from bemi_orm.replication.preflight import check_source
from bemi_orm.replication.publication import read_publication
from bemi_orm.replication.setup import SetupOptions, SetupPlan, plan_setup
from bemi_orm.replication.slots import create_slot, read_slot
from bemi_orm.replication.tracking import Tracking
from tests.replication.scratch import Scratch, connect

TABLE = TableFacts(1, "public", "todo", "r", "postgres", True, "d", ("id",), True, False)


@pytest.fixture
def scratch():
    scratch = Scratch()
    yield scratch
    scratch.close()


def descriptions(plan):
    return [step.description for step in plan.steps]


def position(plan, words):
    [place] = [place for place, text in enumerate(descriptions(plan)) if words in text]
    return place


def test_b13_identity_comes_before_publishing_and_publication_before_slot(scratch):
    scratch.run("CREATE TABLE keyless (x int)")
    plan = scratch.plan()
    assert descriptions(plan) == [
        f"create publication {scratch.name}",
        "set REPLICA IDENTITY FULL on public.keyless",
        "publish public.keyless",
        f"create replication slot {scratch.name}",
    ]
    assert plan.warnings == ()


def test_changes_arrive_with_whole_old_rows_after_set_up(scratch):
    scratch.run(
        'CREATE SCHEMA "Odd.Schema"', 'CREATE TABLE "Odd.Schema"."my ""table""%s" (id int, note text)'
    )
    scratch.set_up()
    scratch.run(
        """INSERT INTO "Odd.Schema"."my ""table""%s" VALUES (1, 'first')""",
        """UPDATE "Odd.Schema"."my ""table""%s" SET note = 'second' """,
        'TRUNCATE "Odd.Schema"."my ""table""%s"',
    )
    rows = scratch.fetch(
        "SELECT data FROM pg_logical_slot_peek_binary_changes"
        "(%s, NULL, NULL, 'proto_version', '1', 'publication_names', %s)", scratch.name, scratch.name,
    )  # fmt: skip
    messages = [bytes(data) for (data,) in rows]
    assert [data[:1] for data in messages if data[:1] in b"IUDT"] == [b"I", b"U", b"T"]
    [update] = [data for data in messages if data[:1] == b"U"]
    assert update[5:6] == b"O"
    assert b"first" in update


def test_a_second_plan_is_empty(scratch):
    scratch.run(
        "CREATE TABLE todo (id int PRIMARY KEY)",
        "CREATE TABLE root (id int PRIMARY KEY) PARTITION BY RANGE (id)",
        "CREATE TABLE leaf PARTITION OF root FOR VALUES FROM (0) TO (9)",
    )
    assert scratch.set_up().steps
    again = scratch.plan()
    assert (again.steps, again.warnings) == ((), ())


def test_a_database_without_tables_can_be_set_up(scratch):
    plan = scratch.set_up()
    assert len(plan.steps) == 2
    assert plan.warnings == ("No table that can be tracked fits the pattern '*'.",)


def test_the_plan_writes_nothing(scratch):
    scratch.run("CREATE TABLE todo (id int PRIMARY KEY)")
    reader = scratch.connect(options="-c default_transaction_read_only=on")
    assert scratch.plan(reader).steps
    assert scratch.published() == set()
    assert read_slot(scratch.connection, scratch.name) is None


def test_the_sql_of_a_plan_can_be_run_by_hand(scratch):
    scratch.run('CREATE TABLE "To""Do" (id int PRIMARY KEY)')
    plan = scratch.plan()
    scratch.run(*(step.sql(scratch.connection) for step in plan.steps))
    assert scratch.plan().steps == ()


def test_a_new_table_is_published_by_the_next_set_up(scratch):
    scratch.run("CREATE TABLE first (id int PRIMARY KEY)")
    scratch.set_up()
    slot = read_slot(scratch.connection, scratch.name)
    scratch.run("CREATE TABLE second (id int PRIMARY KEY)")
    assert descriptions(scratch.set_up()) == [
        "set REPLICA IDENTITY FULL on public.second",
        "publish public.second",
    ]
    assert scratch.published() == {"first", "second"}
    assert read_slot(scratch.connection, scratch.name) == slot


def test_a_table_that_is_tracked_no_longer_leaves_the_publication(scratch):
    scratch.run("CREATE TABLE first (id int PRIMARY KEY)", "CREATE TABLE second (id int PRIMARY KEY)")
    scratch.set_up()
    plan = scratch.set_up(tracking=Tracking(ignore=("second",)))
    assert descriptions(plan) == ["stop publishing public.second"]
    assert scratch.published() == {"first"}


@pytest.mark.parametrize("track", [("t",), ("o", "d"), ()])
def test_a_plan_that_would_stop_all_capture_is_refused(scratch, track):
    scratch.run("CREATE TABLE first (id int PRIMARY KEY)", "CREATE TABLE second (id int PRIMARY KEY)")
    scratch.set_up()
    with pytest.raises(SetupError, match="none of the tables") as failure:
        scratch.plan(tracking=Tracking(track=track))
    scratch.run(str(failure.value).rpartition("again: ")[2])
    assert scratch.published() == set()
    assert scratch.plan(tracking=Tracking(track=track)).steps == ()


def test_a_table_whose_updates_would_fail_leaves_the_publication_even_if_it_is_the_last(scratch):
    scratch.run("CREATE TABLE todo (id int PRIMARY KEY)")
    scratch.set_up()
    scratch.run("ALTER TABLE todo DROP CONSTRAINT todo_pkey")
    scratch.run("ALTER TABLE todo REPLICA IDENTITY DEFAULT, ADD x int GENERATED ALWAYS AS (id) STORED")
    scratch.run(f"CREATE PUBLICATION {scratch.name}_2 FOR TABLE todo (id)")
    assert descriptions(scratch.set_up()) == ["stop publishing public.todo"]


def missed(scratch, **options):
    return find_missed(scratch.connection, scratch.plan(**options))


def test_a_new_table_is_missed_if_it_holds_rows(scratch):
    scratch.run(
        "CREATE TABLE parent (id int PRIMARY KEY)",
        "CREATE TABLE child () INHERITS (parent)",
        "CREATE TABLE root (id int PRIMARY KEY) PARTITION BY RANGE (id)",
        "CREATE TABLE leaf PARTITION OF root FOR VALUES FROM (0) TO (9)",
        'CREATE TABLE "Odd %s" (id int)',
        "INSERT INTO child VALUES (1)",
        "INSERT INTO root VALUES (1)",
        'INSERT INTO "Odd %s" VALUES (1)',
    )
    scratch.set_up(tracking=Tracking(ignore=("*",)))
    found = missed(scratch)
    assert found.tables == ("public.Odd %s", "public.child", "public.root")
    assert found.reason == "published only now: public.Odd %s, public.child, public.root"
    scratch.set_up()
    assert missed(scratch) == Missed()
    assert missed(scratch).reason == ""


def test_what_was_wrong_with_the_publication_is_known_before_it_is_put_right(scratch):
    assert missed(scratch).publication_fault == f"publication {scratch.name} was missing"
    scratch.run(f"CREATE PUBLICATION {scratch.name} WITH (publish = 'insert')")
    assert missed(scratch).publication_fault == f"publication {scratch.name} did not publish everything"
    scratch.set_up()
    assert missed(scratch).publication_fault == ""


def test_a_table_that_cannot_be_looked_into_is_taken_to_hold_rows(scratch, monkeypatch):
    monkeypatch.setattr("bemi_orm.replication.missed.LOOK_TIMEOUT_SECONDS", 1)
    scratch.run("CREATE TABLE locked (id int)", "CREATE TABLE empty (id int)")
    application = scratch.connect()
    application.autocommit = False
    application.cursor().execute("LOCK TABLE locked IN ACCESS EXCLUSIVE MODE")
    assert missed(scratch).tables == ("public.locked",)
    application.rollback()
    role = scratch.create_role("REPLICATION")
    owner = scratch.plan()
    assert find_missed(scratch.connect(user=role), owner).tables == ("public.empty", "public.locked")


@pytest.mark.parametrize(
    "read",
    [
        read_tables,
        lambda connection: check_source(connection, "slot"),
        lambda connection: read_publication(connection, "publication"),
        lambda connection: read_slot(connection, "slot"),
        lambda connection: list(find_publication_conflicts(connection, None)),
        lambda connection: plan_setup(connection, SetupOptions("publication", "slot")),
        lambda connection: find_missed(connection, SetupPlan((), (), new_tables=(TABLE,))),
    ],
)
def test_a_connection_that_is_lost_while_reading_says_that_a_retry_may_help(scratch, read):
    connection = scratch.connect()
    scratch.fetch("SELECT pg_terminate_backend(%s)", connection.info.backend_pid)
    with pytest.raises(SourceUnavailableError, match="does not answer"):
        read(connection)


def test_a_misspelt_pattern_is_a_warning(scratch):
    scratch.run("CREATE TABLE todo (id int PRIMARY KEY)")
    assert "'todoo'" in scratch.plan(tracking=Tracking(track=("todo", "todoo"))).warnings[0]


def test_e10_our_own_tables_are_not_published_and_a_namesake_is(scratch):
    scratch.run(
        "CREATE SCHEMA audit",
        "CREATE TABLE audit.changes (id int, at date, PRIMARY KEY (id, at)) PARTITION BY RANGE (at)",
        "CREATE TABLE audit.changes_default PARTITION OF audit.changes DEFAULT",
        "CREATE TABLE audit.changes_2025_01 (id int)",
        "CREATE TABLE audit.bemi_checkpoint (id int)",
        "CREATE TABLE audit.bemi_gap (id int)",
        "CREATE TABLE changes (id int)",
        "CREATE TABLE django_migrations (id int)",
        "CREATE TABLE django_session (id int)",
    )
    scratch.set_up(tracking=Tracking(own_schema="audit"))
    assert scratch.published() == {"changes"}


@pytest.mark.parametrize("target", ["FOR ALL TABLES", "FOR TABLES IN SCHEMA public"])
def test_s45_a_publication_that_would_hold_our_own_table_is_refused(scratch, target):
    scratch.run(f"CREATE PUBLICATION {scratch.name} {target}")
    with pytest.raises(SetupError, match="BEMI_PUBLICATION"):
        scratch.plan()


def test_the_options_of_the_publication_are_put_right(scratch):
    scratch.run(
        "CREATE TABLE todo (id int PRIMARY KEY, half int GENERATED ALWAYS AS (id / 2) STORED)",
        f"CREATE PUBLICATION {scratch.name} FOR TABLE todo WITH (publish = 'insert')",
    )
    plan = scratch.set_up()
    assert descriptions(plan)[0] == f"set the options of publication {scratch.name}"
    assert scratch.plan().steps == ()
    scratch.run("INSERT INTO todo VALUES (1)", "UPDATE todo SET id = 2")


def test_s39_a_slot_without_its_publication_is_refused(scratch):
    create_slot(scratch.connection, scratch.name)
    with pytest.raises(SetupError, match=r"--accept-gap: SELECT pg_drop_replication_slot"):
        scratch.plan()


@pytest.mark.parametrize(
    ("make", "word"),
    [
        ("SELECT pg_create_physical_replication_slot('{slot}')", "plugin none"),
        ("SELECT pg_create_logical_replication_slot('{slot}', 'pgoutput', false, true)", "two_phase True"),
    ],
)
def test_s61_a_slot_that_was_made_for_something_else_is_refused(scratch, make, word):
    scratch.set_up(slot=f"{scratch.name}_good")
    scratch.run(make.format(slot=scratch.name))
    with pytest.raises(SetupError, match=word):
        scratch.plan()


def test_a_slot_of_another_database_is_refused(scratch):
    neighbour = connect()
    try:
        create_slot(neighbour, scratch.name)
    finally:
        neighbour.close()
    with pytest.raises(SetupError, match="BEMI_SLOT"):
        scratch.plan()


@pytest.mark.parametrize("name", ["Upper", "with-hyphen", "x" * 64, ""])
def test_a_name_that_no_slot_can_have_is_refused(scratch, name):
    with pytest.raises(SetupError, match="lower-case"):
        scratch.plan(slot=name)


def test_s37_leaves_and_root_get_the_same_identity(scratch):
    scratch.run(
        "CREATE TABLE root (id int PRIMARY KEY, x int) PARTITION BY RANGE (id)",
        "CREATE TABLE branch PARTITION OF root FOR VALUES FROM (0) TO (9) PARTITION BY RANGE (id)",
        "CREATE TABLE leaf PARTITION OF branch FOR VALUES FROM (0) TO (5)",
    )
    plan = scratch.set_up()
    assert scratch.published() == {"root"}
    assert [scratch.identity(table) for table in ("root", "leaf")] == ["f", "f"]
    assert "after adding a partition" in plan.warnings[0]
    scratch.run("CREATE TABLE later PARTITION OF root FOR VALUES FROM (9) TO (20)")
    scratch.run("INSERT INTO root VALUES (1, 1), (10, 1)", "UPDATE root SET x = 2")
    assert descriptions(scratch.set_up()) == ["set REPLICA IDENTITY FULL on public.later"]


def test_s37_a_partitioned_table_without_key_is_left_out_as_later_partitions_would_fail(scratch):
    scratch.run(
        "CREATE TABLE root (id int, x int) PARTITION BY RANGE (id)",
        "CREATE TABLE leaf PARTITION OF root FOR VALUES FROM (0) TO (9)",
    )
    assert "public.root is LEFT OUT" in scratch.set_up().warnings[0]
    scratch.run("CREATE TABLE later PARTITION OF root FOR VALUES FROM (9) TO (20)")
    scratch.run("INSERT INTO root VALUES (1, 1), (10, 1)", "UPDATE root SET x = 2")


def test_an_inheriting_table_is_published_by_its_own_rule(scratch):
    scratch.run("CREATE TABLE parent (id int PRIMARY KEY)", "CREATE TABLE child () INHERITS (parent)")
    scratch.set_up(tracking=Tracking(track=("parent",)))
    assert scratch.published() == {"parent"}
    assert scratch.identity("child") == "d"


def test_an_owner_with_replication_needs_no_superuser(scratch):
    role = scratch.create_role("REPLICATION")
    scratch.run(
        f"GRANT CREATE ON DATABASE {scratch.name} TO {role}",
        "CREATE TABLE todo (id int PRIMARY KEY)",
        f"ALTER TABLE todo OWNER TO {role}",
        "CREATE TABLE foreign_table (id int PRIMARY KEY)",
    )
    owner = scratch.connect(user=role)
    [warning] = scratch.set_up(owner).warnings
    assert "public.foreign_table is LEFT OUT" in warning
    assert 'GRANT "postgres"' in warning
    assert scratch.published() == {"todo"}
    assert scratch.identity("todo") == "f"
    assert scratch.plan(owner).steps == ()
    scratch.run(f"DROP OWNED BY {role}")


def test_a_table_of_another_owner_stays_published_with_the_identity_it_has(scratch):
    role = scratch.create_role("REPLICATION")
    scratch.run("CREATE TABLE todo (id int PRIMARY KEY)", "CREATE TABLE keyless (id int)")
    scratch.set_up(identity="default")
    scratch.run(
        f"ALTER PUBLICATION {scratch.name} OWNER TO postgres",
        "ALTER TABLE keyless REPLICA IDENTITY DEFAULT",
    )
    plan = scratch.plan(scratch.connect(user=role))
    assert descriptions(plan) == ["stop publishing public.keyless"]
    assert "public.keyless is LEFT OUT" in plan.warnings[0]
    assert "the replica identity stays as it is" in plan.warnings[1]


def test_e14_a_role_that_may_not_create_a_publication_is_told_the_grant(scratch):
    role = scratch.create_role("REPLICATION")
    with pytest.raises(SetupError, match=f'GRANT CREATE ON DATABASE "{scratch.name}" TO "{role}"'):
        scratch.plan(scratch.connect(user=role))


def test_e14_what_the_server_refuses_is_told_in_its_words(scratch):
    role = scratch.create_role("REPLICATION")
    scratch.set_up()
    scratch.run("CREATE TABLE todo (id int PRIMARY KEY)", f"ALTER TABLE todo OWNER TO {role}")
    stranger = scratch.connect(user=role)
    with pytest.raises(SetupError, match="must be owner of publication"):
        scratch.set_up(stranger)
    scratch.run("DROP TABLE todo")


def test_a_busy_table_is_named_and_the_rest_follows_later(scratch):
    scratch.run("CREATE TABLE todo (id int PRIMARY KEY)")
    plan = scratch.plan()
    application = scratch.connect()
    application.autocommit = False
    application.cursor().execute("SELECT * FROM todo")
    with pytest.raises(SetupError, match=r"REPLICA IDENTITY FULL on public\.todo within 3 s"):
        plan.apply(scratch.connection)
    application.rollback()
    assert descriptions(scratch.set_up())[0] == "set REPLICA IDENTITY FULL on public.todo"
    assert scratch.plan().steps == ()


def test_e14_a_slot_that_waits_for_an_old_transaction_says_so(scratch):
    scratch.run("CREATE TABLE todo (id int)")
    application = scratch.connect()
    application.autocommit = False
    application.cursor().execute("INSERT INTO todo VALUES (1)")
    create_slot_step = replace(scratch.plan().steps[-1], lock_timeout_seconds=1)
    with pytest.raises(SetupError, match="pg_stat_activity WHERE backend_xid IS NOT NULL"):
        create_slot_step.run(scratch.connection)
    assert read_slot(scratch.connection, scratch.name) is None
    application.rollback()
    create_slot_step.run(scratch.connection)
    assert read_slot(scratch.connection, scratch.name).plugin == "pgoutput"


def test_a_connection_that_is_lost_is_not_called_a_set_up_error(scratch):
    plan, connection = scratch.plan(), scratch.connect()
    scratch.fetch("SELECT pg_terminate_backend(%s)", connection.info.backend_pid)
    with pytest.raises(SourceUnavailableError):
        plan.apply(connection)
