"""The rules of images and keys; what the values look like is asked of the server in `tests/replication`."""

import json
import random

import pytest

from bemi_orm.rows import RowChange
from bemi_orm.wal.encoders import compile_encoder
from bemi_orm.wal.messages import UNCHANGED, Column, Delete, Insert, Relation, Update
from bemi_orm.wal.types import TypeFact

INT8, TEXT = 20, 25


def relation(*columns, identity="d"):
    """Columns as `name`, `name:oid`, with a star for those in the replica identity."""
    parsed = []
    for column in columns:
        name, _, oid = column.rstrip("*").partition(":")
        parsed.append(Column(name, int(oid or TEXT), -1, column.endswith("*") or identity == "f"))
    return Relation(1, "public", "todo", identity, tuple(parsed))


def images(change):
    return json.loads(change.before), json.loads(change.after)


def keys(change):
    return change.primary_key, change.primary_key_int, change.previous_primary_key


def test_insert_gives_the_whole_new_row():
    encoder = compile_encoder(relation(f"id:{INT8}*", "task", "note"), ["id"], {})
    assert encoder.encode(Insert(1, (b"7", b'say "hi"', None))) == RowChange(
        "public", "todo", "CREATE", "7", 7, None, b"{}", b'{"id":7,"task":"say \\"hi\\"","note":null}'
    )


def test_c5_update_under_default_identity_leaves_an_unchanged_value_out():
    encoder = compile_encoder(relation(f"id:{INT8}*", "task", "note"), ["id"], {})
    change = encoder.encode(Update(1, None, None, (b"7", b"new", UNCHANGED)))
    assert images(change) == ({"id": 7}, {"id": 7, "task": "new"})
    assert keys(change) == ("7", 7, None)


def test_c6_unchanged_value_is_filled_from_the_old_row():
    encoder = compile_encoder(relation(f"id:{INT8}", "task", "note", identity="f"), ["id"], {})
    change = encoder.encode(Update(1, "O", (b"7", b"old", b"long"), (b"7", b"new", UNCHANGED)))
    assert images(change) == (
        {"id": 7, "task": "old", "note": "long"},
        {"id": 7, "task": "new", "note": "long"},
    )


def test_c6_unchanged_value_that_was_null_stays_null():
    encoder = compile_encoder(relation(f"id:{INT8}", "task", "note", identity="f"), ["id"], {})
    change = encoder.encode(Update(1, "O", (b"7", b"old", None), (b"7", UNCHANGED, None)))
    assert images(change)[1] == {"id": 7, "task": "old", "note": None}


def test_c7_delete_under_default_identity_knows_only_the_key():
    encoder = compile_encoder(relation(f"id:{INT8}*", "task"), ["id"], {})
    change = encoder.encode(Delete(1, "K", (b"7", None)))
    assert images(change) == ({"id": 7}, {})
    assert change.operation == "DELETE"
    assert keys(change) == ("7", 7, None)


def test_delete_under_full_identity_keeps_null_apart_from_not_known():
    encoder = compile_encoder(relation(f"id:{INT8}", "task", identity="f"), ["id"], {})
    assert images(encoder.encode(Delete(1, "O", (b"7", None)))) == ({"id": 7, "task": None}, {})


def test_key_change_under_default_identity():
    encoder = compile_encoder(relation(f"id:{INT8}*", "task"), ["id"], {})
    change = encoder.encode(Update(1, "K", (b"5", None), (b"6", b"a")))
    assert images(change) == ({"id": 5}, {"id": 6, "task": "a"})
    assert keys(change) == ("6", 6, "5")


def test_key_change_under_full_identity():
    encoder = compile_encoder(relation(f"id:{INT8}", "task", identity="f"), ["id"], {})
    assert keys(encoder.encode(Update(1, "O", (b"5", None), (b"6", None)))) == ("6", 6, "5")
    assert keys(encoder.encode(Update(1, "O", (b"6", b"a"), (b"6", b"b")))) == ("6", 6, None)


def test_unchanged_long_key_is_taken_from_the_old_key():
    encoder = compile_encoder(relation("slug*", "task"), ["slug"], {})
    change = encoder.encode(Update(1, "K", (b"long", None), (UNCHANGED, b"new")))
    assert images(change) == ({"slug": "long"}, {"slug": "long", "task": "new"})
    assert keys(change) == ("long", None, None)


def test_unchanged_key_that_no_image_holds_is_not_known():
    encoder = compile_encoder(relation("slug", "code*", identity="i"), ["slug"], {})
    change = encoder.encode(Update(1, None, None, (UNCHANGED, b"c")))
    assert images(change) == ({"code": "c"}, {"code": "c"})
    assert keys(change) == (None, None, None)


def test_delete_under_an_identity_index_without_the_key():
    encoder = compile_encoder(relation(f"id:{INT8}", "code*", identity="i"), ["id"], {})
    change = encoder.encode(Delete(1, "K", (None, b"c")))
    assert images(change) == ({"code": "c"}, {})
    assert keys(change) == (None, None, None)


def test_delete_under_an_identity_index_with_a_part_of_the_key():
    encoder = compile_encoder(relation("row*", f"number:{INT8}", identity="i"), ["row", "number"], {})
    change = encoder.encode(Delete(1, "K", (b"A", None)))
    assert images(change) == ({"row": "A"}, {})
    assert keys(change) == (None, None, None)


def test_update_under_an_identity_index_without_the_key_has_no_previous_key():
    encoder = compile_encoder(relation(f"id:{INT8}", "code*", identity="i"), ["id"], {})
    change = encoder.encode(Update(1, "K", (None, b"c"), (b"7", b"d")))
    assert images(change) == ({"code": "c"}, {"id": 7, "code": "d"})
    assert keys(change) == ("7", 7, None)


@pytest.mark.parametrize("identity", ["n", "f"])
def test_update_without_old_row_knows_nothing_of_it_unless_the_identity_is_a_key(identity):
    encoder = compile_encoder(relation(f"id:{INT8}", "task", identity=identity), ["id"], {})
    assert images(encoder.encode(Update(1, None, None, (b"7", b"a")))) == ({}, {"id": 7, "task": "a"})


def test_composite_key_is_in_the_order_of_the_index():
    encoder = compile_encoder(relation("row*", f"number:{INT8}*"), ["number", "row"], {})
    change = encoder.encode(Update(1, "K", (b"A", b"1"), (b"A", b"2")))
    assert keys(change) == ('["2","A"]', None, '["1","A"]')


@pytest.mark.parametrize("key_columns", [[], ["gone"], ["id", "gone"]])
def test_without_a_key_or_with_a_part_of_one(key_columns):
    encoder = compile_encoder(relation(f"id:{INT8}*", "task"), key_columns, {})
    assert keys(encoder.encode(Insert(1, (b"7", b"a")))) == (None, None, None)


@pytest.mark.parametrize(("oid", "number"), [(21, 7), (23, 7), (20, 7), (25, None), (1700, None), (26, None)])
def test_integer_key(oid, number):
    encoder = compile_encoder(relation(f"id:{oid}*"), ["id"], {})
    assert keys(encoder.encode(Insert(1, (b"7",)))) == ("7", number, None)


def test_key_of_a_domain_over_an_integer_domain_is_an_integer():
    types = {20000: TypeFact(20000, "d", base_oid=20001), 20001: TypeFact(20001, "d", base_oid=INT8)}
    change = compile_encoder(relation("id:20000*"), ["id"], types).encode(Insert(1, (b"-7",)))
    assert keys(change) == ("-7", -7, None)
    assert change.after == b'{"id":-7}'


def test_c11_long_key_is_a_digest_and_the_image_has_it_whole():
    encoder = compile_encoder(relation("slug*"), ["slug"], {})
    first, second = (encoder.encode(Insert(1, (letter * 1001,))) for letter in (b"a", b"b"))
    assert first.primary_key.startswith("sha256:")
    assert first.primary_key != second.primary_key
    assert images(first)[1] == {"slug": "a" * 1001}


def test_truncate_has_no_row_and_no_key():
    assert compile_encoder(relation(f"id:{INT8}*"), ["id"], {}).truncate() == RowChange(
        "public", "todo", "TRUNCATE", None, None, None, b"{}", b"{}"
    )


def test_column_names_are_escaped_and_kept_in_utf8():
    names = ['"id"', "ID", "id", "a\\b", "tab\t", "größe", "emoji 🗝"]
    encoder = compile_encoder(relation(*names), [], {})
    change = encoder.encode(Insert(1, tuple(str(n).encode() for n in range(len(names)))))
    assert list(images(change)[1]) == names
    assert "größe".encode() in change.after


def test_c12_image_over_a_mebibyte():
    text = "é\n" * 2**20
    change = compile_encoder(relation("body"), [], {}).encode(Insert(1, (text.encode(),)))
    assert images(change)[1] == {"body": text}


def test_byte_that_is_not_utf8_does_not_stop_the_stream():
    change = compile_encoder(relation("slug*"), ["slug"], {}).encode(Insert(1, (b"caf\xe9",)))
    assert images(change)[1] == {"slug": "caf\\xe9"}
    assert change.primary_key == "caf\\xe9"


def test_type_that_nothing_is_known_of_is_a_string():
    change = compile_encoder(relation("mood:99999"), [], {}).encode(Insert(1, (b"{1,2}",)))
    assert change.after == b'{"mood":"{1,2}"}'


def test_row_of_another_width_is_refused():
    with pytest.raises(ValueError, match="zip"):
        compile_encoder(relation("a", "b"), [], {}).encode(Insert(1, (b"1",)))


def test_text_of_any_characters_is_read_back():
    generator = random.Random(1)
    text = "".join(map(chr, [*range(1, 0xD800), *generator.sample(range(0xE000, 0x110000), 5000)]))
    change = compile_encoder(relation("body"), [], {}).encode(Insert(1, (text.encode(),)))
    assert images(change)[1] == {"body": text}
