"""Values as JSON: the server is the oracle, for what `pgoutput` sends and for what `to_jsonb` gives."""

import pytest

from bemi_orm.wal.jsontext import encoder_for
from bemi_orm.wal.jsontext.array_types import ARRAY_ELEMENTS, BOX_ARRAY_OID
from tests.replication.oracle import ScratchDatabase

MATRIX = {
    "bool": ["t", "f"],
    "int2": ["-32768", "32767"],
    "int4": ["-2147483648", "0"],
    "int8": ["9007199254740993", "-9223372036854775808"],
    "oid": ["4294967295"],
    "regclass": ["pg_class"],
    "xid": ["7"],
    "pg_lsn": ["16/B374D848"],
    "float4": ["1.1", "1e20", "-0", "NaN", "Infinity", "-Infinity", "1e-45"],
    "float8": ["0.1", "1e+20", "1e308", "5e-324", "-0", "NaN", "Infinity", "-Infinity"],
    "numeric": ["1.10", "-0.00", "NaN", "Infinity", "-Infinity", "1e131071", "1e-16383"],
    "numeric(30,10)": ["12345678901234567890.0123456789"],
    "money": ["-1234.5", "0"],
    "text": ["", 'a"b\\c\n\t\x01\x7f', "null", "é 🗝 \u2028", "{1,2}", "\\x00", "\\u0000"],
    "varchar(5)": ["ab"],
    "char(5)": ["ab"],
    '"char"': ["a", "\\", ""],
    "name": ["a name"],
    "citext": ['Ab"C'],
    "xml": ["<a b='c'>\"d\"</a>"],
    "json": [
        '{"b": [1.10, null],\n "a": {"c": "\\u00e9\\\\u0000"}}',
        "null",
        '"x"',
        '{"a":1,"a":2}',
        " 1e400 ",
    ],
    "jsonb": ['{"b": [1.10, {"c": true}]}', "123456789012345678901234567890.10", "null"],
    "jsonpath": ['$."a"[*] ? (@ > 1)'],
    "uuid": ["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"],
    "date": ["2024-02-29", "infinity", "-infinity", "0044-03-15 BC", "12024-01-01", "5874897-12-31"],
    "time": ["24:00:00", "00:00:00.000001"],
    "timetz": ["24:00:00-15:59", "12:00:00.5+05:30"],
    "timestamp": [
        "2024-01-01 12:00:00.1",
        "infinity",
        "0044-03-15 01:00:00 BC",
        "294276-12-31 23:59:59.999999",
    ],
    "timestamptz": [
        "2024-01-01 12:00:00+05:30",
        "-infinity",
        "4714-11-24 00:00:00+00 BC",
        "294276-12-31 23:59:59.999999+00",
        "2000-01-01 00:00:00+00",
    ],
    "interval": ["1 year -2 mons +3 days -04:05:06.789", "0", "-1 mons"],
    "bytea": ["\\x00ff22", ""],
    "inet": ["192.168.0.1/24", "::1"],
    "cidr": ["10.0.0.0/8"],
    "macaddr": ["08:00:2b:01:02:03"],
    "macaddr8": ["08:00:2b:01:02:03:04:05"],
    "bit(3)": ["101"],
    "varbit": ["", "10"],
    "point": ["(1.5,-2)"],
    "box": ["(1,1),(0,0)"],
    "polygon": ["((0,0),(1,1),(1,0))"],
    "tsvector": ["'it''s':1 'a\"b':2"],
    "tsquery": ["'a' & 'b\"c'"],
    "int2vector": ["1 2", ""],
    "oidvector": ["1 4294967295", ""],
    "int4range": ["[1,5)", "empty", "(,)"],
    "tstzrange": ['["2024-01-01 00:00:00+02",infinity)'],
    "float_range": ["[1.5,Infinity]"],
    "int4multirange": ["{[1,2),[5,7)}", "{}"],
    "tstzmultirange": ['{["2024-01-01 00:00:00+02",)}'],
    "mood": ["sad", 'so "so"'],
    "positive": ["1.1"],
    "very_positive": ["2"],
    "stamps": ['{"2024-01-01 00:00:00+02",NULL,infinity}'],
    "information_schema.cardinal_number": ["7"],
    "bool[]": ["{t,NULL,f}"],
    "int4[]": ["{}", "{1,NULL}", "[0:2]={1,2,3}", "[-1:0][2:3]={{1,2},{3,NULL}}", "{{{1}},{{2}}}"],
    "int8[]": ["{9007199254740993}"],
    "float8[]": ["{NaN,Infinity,1e+20,-0}"],
    "numeric[]": ["{1.10,NaN,-Infinity}"],
    "text[]": [
        '{NULL,"NULL","null",""," ",a b,"a,b","{x}","q\\"q","b\\\\b","\\\\\\"","new\nline",é}',
        '[2:3]={"[0:1]={","="}',
    ],
    "char(3)[]": ['{"a  ",NULL}'],
    "bytea[]": ['{"\\\\x00ff",NULL}'],
    "json[]": ['{"{\\"a\\": [1, \\"NULL\\"]}",NULL,"null"}'],
    "jsonb[]": ['{"{\\"a\\": {\\"b\\\\\\\\c\\": 1.10}}",NULL,"\\"NULL\\""}'],
    "date[]": ["{2024-01-01,infinity}"],
    "timestamp[]": ['{"2024-01-01 00:00:00","0001-01-01 00:00:00 BC"}'],
    "timestamptz[]": ['{{"2024-01-01 00:00:00+02"},{NULL}}'],
    "interval[]": ['{"1 day 02:00:00"}'],
    "uuid[]": ["{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}"],
    "box[]": ["{(1,1),(0,0);(2,2),(1,1);NULL}", "[0:0]={(1,1),(0,0)}"],
    "int2vector[]": ['{"1 2"}'],
    "int4range[]": ['{"[1,5)",empty,NULL}'],
    "int4multirange[]": ['{"{[1,2),[5,7)}","{}"}'],
    "mood[]": ['{sad,NULL,"so \\"so\\"","a,b"}'],
    "positive[]": ["{1.1,NULL}"],
    "stamps[]": ['{"{\\"2024-01-01 00:00:00+00\\",NULL}",NULL,"{}"}'],
    "citext[]": ['{A,"b c"}'],
}
"""Awkward values by type, also those of the cases C1, C2, C3, C4, S49, S50, S55 and S59."""


@pytest.fixture(scope="module")
def server():
    with ScratchDatabase() as server:
        yield server


@pytest.mark.parametrize("type_name", MATRIX)
def test_c1_c2_c3_c4_s49_s50_s55_s59_value_equals_to_jsonb(server, type_name):
    if type_name == "xml" and not server.has_xml:
        pytest.skip("this server is built without XML")
    encode = encoder_for(server.one("SELECT %s::regtype::oid", type_name), server.types)
    for literal in MATRIX[type_name]:
        [[text, expected]] = server.execute(  # format() calls the output function, as pgoutput does
            f"SELECT format('%%s', v), to_jsonb(v)::text FROM CAST(%s AS {type_name}) AS v", [literal]
        )
        assert server.canonical(encode(text.encode())) == expected


def test_s60_matrix_through_pgoutput(server):
    """Insert, update and delete under FULL: images are `to_jsonb` of the row before and after."""
    names = [name for name in MATRIX if name != "xml" or server.has_xml]
    columns = ", ".join(f'"{name.replace(chr(34), "")}" {name}' for name in names)
    server.execute(f"CREATE TABLE matrix (id int PRIMARY KEY, {columns})")
    server.execute("ALTER TABLE matrix REPLICA IDENTITY FULL")
    slot = server.listen("matrix")
    rows = max(map(len, MATRIX.values()))
    insert = "INSERT INTO matrix VALUES ({})".format(", ".join(["%s"] * (1 + len(names))))
    for row in range(rows):
        server.execute(insert, [row, *(dict(enumerate(MATRIX[name])).get(row) for name in names)])
    stored = dict(server.execute("SELECT id, to_jsonb(matrix)::text FROM matrix"))
    server.execute("UPDATE matrix SET bool = NULL")
    updated = dict(server.execute("SELECT id, to_jsonb(matrix)::text FROM matrix"))
    server.execute("DELETE FROM matrix")

    images = {"CREATE": {}, "UPDATE": {}, "DELETE": {}}
    for change in server.changes(slot, "id"):
        before, after = server.canonical(change.before), server.canonical(change.after)
        images[change.operation][change.primary_key_int] = (before, after)
    assert images["CREATE"] == {row: ("{}", after) for row, after in stored.items()}
    assert images["UPDATE"] == {row: (before, updated[row]) for row, before in stored.items()}
    assert images["DELETE"] == {row: (before, "{}") for row, before in updated.items()}
    assert len(stored) == rows
    server.forget(slot, "matrix")


def test_s59_composite_value_is_its_text_and_casts_back(server):
    """A known difference: `to_jsonb` gives an object, which the stream does not describe."""
    type_oid = server.one("SELECT 'pair[]'::regtype::oid")
    [[text]] = server.execute("""SELECT ARRAY[(1, 'a "b", \\'), NULL, (NULL, '')]::pair[]::text""")
    encoded = encoder_for(type_oid, server.types)(text.encode())
    back = "SELECT array_agg(value::pair) FROM jsonb_array_elements_text(%s::jsonb)"
    assert server.one(f"SELECT ({back})::text", encoded.decode()) == text


def test_hstore_is_its_text_and_casts_back(server):
    """A known difference: `to_jsonb` gives an object."""
    type_oid = server.one("SELECT 'hstore'::regtype::oid")
    text = server.one("""SELECT hstore(ARRAY['a', '"', 'b', NULL])::text""")
    encoded = encoder_for(type_oid, server.types)(text.encode())
    assert server.one("SELECT (%s::jsonb #>> '{}')::hstore::text", encoded.decode()) == text


def test_built_in_array_types_are_those_of_the_catalog(server):
    found = server.execute(
        "SELECT a.oid::int, e.oid::int FROM pg_type a JOIN pg_type e ON e.oid = a.typelem "
        "WHERE a.oid < 10000 AND a.typcategory = 'A' AND e.typtype NOT IN ('c', 'p') "
        "AND a.typsubscript = 'array_subscript_handler'::regproc AND a.typname LIKE '\\_%'"
    )
    assert dict(found) == ARRAY_ELEMENTS
    others = "SELECT oid::int FROM pg_type WHERE typdelim <> ',' AND typcategory = 'A'"
    assert server.execute(others) == [(BOX_ARRAY_OID,)]
