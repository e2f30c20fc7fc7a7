"""Which texts write rows, and where the message has to go."""

import pytest

from bemi_orm.transport.statements import (
    CACHE_SIZE,
    MAX_CACHED_LENGTH,
    Write,
    _find_cached,
    _split,
    find_write,
)
from bemi_orm.transport.tokens import tokenize

WRITES = [
    "INSERT INTO t VALUES (%s)",
    "insert into t select 1",
    "UPDATE t SET a = 1",
    "DELETE FROM t",
    "MERGE INTO t USING s ON true WHEN MATCHED THEN DELETE",
    "TRUNCATE t, u CASCADE",
    "\n\t UPDATE t SET a = 1",
    "-- a comment\nUPDATE t SET a = 1",
    "/* one /* nested */ -- still */ DELETE FROM t",
    "WITH x AS (SELECT 1) UPDATE t SET a = 1",
    "WITH x AS (DELETE FROM t RETURNING *) SELECT * FROM x",
    "WITH x AS MATERIALIZED (INSERT INTO t VALUES (1) RETURNING 1) TABLE x",
    "WITH RECURSIVE a AS (SELECT 1), b (c) AS NOT MATERIALIZED (SELECT 2) INSERT INTO t TABLE b",
    "WITH x AS (SELECT 1) MERGE INTO t USING x ON true WHEN MATCHED THEN DELETE",
    "(WITH x AS (DELETE FROM t RETURNING 1) SELECT * FROM x)",
    "WITH RECURSIVE a AS (TABLE t) SEARCH DEPTH FIRST BY id, b SET o INSERT INTO t TABLE a",
    "WITH RECURSIVE a AS (TABLE t) CYCLE id, b SET c TO 'Y' DEFAULT 'N' USING p DELETE FROM t",
    'WITH RECURSIVE a AS (TABLE t) SEARCH BREADTH FIRST BY b SET "o" CYCLE b SET c USING "p" DELETE FROM t',
    "WITH RECURSIVE a AS (TABLE t) CYCLE b SET c USING p, d AS (DELETE FROM t RETURNING 1) TABLE d",
    "WITH delete (update) AS (SELECT 1) DELETE FROM t",
    "WITH a AS (SELECT 1), b AS (WITH c AS (SELECT 1) INSERT INTO t TABLE c RETURNING 1) TABLE b",
    "WITH a AS (SELECT max(update) FROM t) (SELECT 1 INTO u FROM a)",
    "(SELECT 1 INTO t)",
    "SELECT 1 INTO t",
    "SELECT a, count(*) INTO TEMP t FROM u GROUP BY a",
    "WITH x AS (SELECT 1) SELECT * INTO t FROM x",
    "CREATE TABLE t AS SELECT 1",
    "CREATE TEMP TABLE IF NOT EXISTS t (a) WITH (fillfactor = 70) AS VALUES (1)",
    "CREATE UNLOGGED TABLE t AS TABLE u",
    "COPY t FROM '/tmp/x'",
    "COPY t (a, b) FROM PROGRAM 'cat' WITH (FORMAT csv)",
    "COPY (DELETE FROM t RETURNING *) TO '/tmp/x'",
    "COPY (WITH x AS (INSERT INTO t VALUES (1) RETURNING 1) TABLE x) TO '/tmp/x'",
    "EXPLAIN ANALYZE UPDATE t SET a = 1",
    "EXPLAIN ANALYZE VERBOSE DELETE FROM t",
    "EXPLAIN (ANALYZE, BUFFERS) INSERT INTO t VALUES (1)",
    "EXPLAIN (COSTS OFF, ANALYZE ON) WITH x AS (SELECT 1) DELETE FROM t",
    "; ;UPDATE t SET a = 1",
]
READS = [
    "",
    "WITH a AS (SELECT max(update) AS m FROM t) SELECT * FROM a",
    "WITH a (update) AS (SELECT 1) SELECT * FROM a",
    "WITH delete AS (SELECT 1) SELECT (delete) FROM delete",
    "WITH RECURSIVE a AS (TABLE t) SEARCH DEPTH FIRST BY update SET insert SELECT * FROM a",
    "(SELECT count(update) FROM t) UNION ALL SELECT 1",
    "((SELECT 1))",
    "SELECT 1 AS into",
    "SELECT t.into FROM t",
    "EXPLAIN (ANALYZE 'off') DELETE FROM t",
    "EXPLAIN (ANALYZE 'False', VERBOSE) DELETE FROM t",
    "WITH",
    "WITH a AS",
    "WITH a AS (",
    "WITH a AS (SELECT 1)",
    "(",
    "-- UPDATE t",
    "SELECT 1",
    "SELECT * FROM t FOR UPDATE",
    "SELECT * FROM t FOR NO KEY UPDATE OF t SKIP LOCKED",
    "SELECT 'INSERT INTO t'",
    "SELECT E'it\\'s; DELETE FROM t'",
    "SELECT E'a'\n  'b\\'; DELETE FROM t'",
    "SELECT 'it''s; DELETE FROM t'",
    "SELECT U&'d\\0061t'';DELETE FROM t'",
    'SELECT "a""; DELETE FROM t" FROM t',
    "SELECT $$; DELETE FROM t $$",
    "SELECT $a$ $$ $A$; DELETE FROM t $a$",
    "SELECT $ä$; DELETE FROM t $ä$",
    "SELECT /* ; DELETE FROM t */ 1",
    "SELECT 1 -- ; DELETE FROM t\n",
    "SELECT /* /* */ ; DELETE FROM t */ 1",
    "WITH x AS (SELECT 1) SELECT * FROM x FOR UPDATE",
    "WITH update AS (SELECT 1) SELECT * FROM update",
    "WITH x AS (SELECT %(update)s) SELECT * FROM x",
    "WITH x AS (SELECT 1) SELECT f(1) update FROM x",
    "SELECT %(into)s",
    'SELECT "into" FROM t',
    "SELECT t.update_count, deleted FROM t WHERE is_deleted",
    "VALUES (1)",
    "TABLE t",
    "EXPLAIN UPDATE t SET a = 1",
    "EXPLAIN VERBOSE DELETE FROM t",
    "EXPLAIN (ANALYZE OFF) DELETE FROM t",
    "EXPLAIN (VERBOSE) DELETE FROM t",
    "EXPLAIN ANALYZE SELECT * FROM t FOR UPDATE",
    "COPY t TO '/tmp/x'",
    "COPY t FROM STDIN",
    "COPY (SELECT 1 FROM t) TO STDOUT",
    "CREATE TABLE t (a int GENERATED ALWAYS AS (1) STORED)",
    "CREATE TABLE t (a int REFERENCES u ON DELETE CASCADE ON UPDATE SET NULL)",
    "CREATE VIEW v AS SELECT 1",
    "CREATE MATERIALIZED VIEW v AS SELECT 1",
    "CREATE TRIGGER g BEFORE INSERT OR UPDATE ON t FOR EACH ROW EXECUTE FUNCTION f()",
    "CREATE RULE r AS ON INSERT TO t DO ALSO (INSERT INTO u VALUES (1); DELETE FROM v)",
    "CREATE FUNCTION f() RETURNS void LANGUAGE sql AS 'INSERT INTO t VALUES (1); DELETE FROM t'",
    "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN a THEN 1 END; DELETE FROM t; END",
    "GRANT SELECT, UPDATE (a), INSERT ON t TO r",
    "PREPARE p AS UPDATE t SET a = 1",
    "LOCK TABLE t; SELECT 1",
    "SELECT 'unterminated; ",
]


@pytest.mark.parametrize("sql", WRITES)
def test_a7_writes(sql):
    write = find_write(sql)
    assert write is not None
    assert not write.may_commit
    assert write.may_lead


@pytest.mark.parametrize("sql", READS)
def test_a7_reads(sql):
    assert find_write(sql) is None


@pytest.mark.parametrize("sql", ["CALL p(1)", "DO $$BEGIN DELETE FROM t; END$$", " -- c\n do 'x'"])
def test_a7_procedures_may_commit(sql):
    write = find_write(sql)
    assert write is not None
    assert write.may_commit


@pytest.mark.parametrize(
    ("sql", "write"),
    [
        ("UPDATE t", Write(0, True)),
        ("/* hint */ UPDATE t", Write(11, True)),
        ("SELECT ';'; UPDATE t", Write(12, True, before=1)),
        (
            "; BEGIN ISOLATION LEVEL SERIALIZABLE; ;SET LOCAL a = 1; DELETE FROM t; COMMIT",
            Write(56, False, before=2),
        ),
        (
            "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; END; DELETE FROM t",
            Write(60, True, before=1),
        ),
    ],
)
def test_a7_several_statements(sql, write):
    assert find_write(sql) == write


def test_b1_a_bulk_insert_is_not_read_to_its_end():
    tokens = tokenize("INSERT INTO t VALUES " + ", ".join(["(%s, %s)"] * 10))
    assert next(_split(tokens)).word(0) == "INSERT"
    assert next(tokens).text == "INTO"


def test_long_texts_do_not_fill_the_cache():
    _find_cached.cache_clear()
    assert find_write("DELETE FROM t " + "x" * MAX_CACHED_LENGTH) == Write(0, True)
    assert _find_cached.cache_info().currsize == 0
    find_write("DELETE FROM t")
    assert _find_cached.cache_info().currsize == 1
    assert _find_cached.cache_info().maxsize == CACHE_SIZE
