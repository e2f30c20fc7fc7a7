"""Images and keys of real row changes under every replica identity."""

import json
import string

import pytest

from tests.replication.oracle import ScratchDatabase


@pytest.fixture(scope="module")
def server():
    with ScratchDatabase() as server:
        yield server


@pytest.mark.parametrize("identity", ["DEFAULT", "USING INDEX long_code_key", "FULL"])
def test_c5_c6_c7_s30_toasted_text_under_every_identity(server, identity):
    server.execute("CREATE TABLE long (id int PRIMARY KEY, code int NOT NULL UNIQUE, done bool, body text)")
    server.execute("ALTER TABLE long ALTER body SET STORAGE EXTERNAL")
    server.execute(f"ALTER TABLE long REPLICA IDENTITY {identity}")
    slot = server.listen("long")
    body = string.ascii_letters * 250
    server.execute("INSERT INTO long VALUES (1, 2, false, %s)", [body])
    server.execute("UPDATE long SET done = true")
    server.execute("UPDATE long SET body = NULL")
    server.execute("DELETE FROM long")
    images = [(json.loads(c.before), json.loads(c.after)) for c in server.changes(slot, "id")]

    full = {"id": 1, "code": 2, "done": False, "body": body}
    touched, emptied = full | {"done": True}, full | {"done": True, "body": None}
    known = {"DEFAULT": {"id": 1}, "FULL": None}.get(identity, {"code": 2})
    if known is None:
        assert images == [({}, full), (full, touched), (touched, emptied), (emptied, {})]
    else:
        unsent = {name: value for name, value in touched.items() if name != "body"}
        assert images == [({}, full), (known, unsent), (known, emptied), (known, {})]
    server.forget(slot, "long")


@pytest.mark.parametrize("identity", ["DEFAULT", "FULL"])
def test_toasted_key_is_known_though_the_update_does_not_touch_it(server, identity):
    server.execute("CREATE TABLE wide (slug text PRIMARY KEY, done bool, filler text)")
    server.execute("ALTER TABLE wide ALTER slug SET STORAGE EXTERNAL")
    server.execute(f"ALTER TABLE wide REPLICA IDENTITY {identity}")
    slot = server.listen("wide")
    slug = string.ascii_letters * 48
    server.execute("INSERT INTO wide VALUES (%s, false)", [slug])
    server.execute("UPDATE wide SET done = true")
    created, updated = server.changes(slot, "slug")
    assert json.loads(updated.after) == {"slug": slug, "done": True, "filler": None}
    assert json.loads(updated.before)["slug"] == slug
    assert updated.primary_key == created.primary_key
    assert updated.previous_primary_key is None
    server.forget(slot, "wide")


@pytest.mark.parametrize("identity", ["DEFAULT", "FULL"])
def test_s32_s33_key_change_of_a_composite_key_with_quoted_names(server, identity):
    server.execute('CREATE TABLE seats ("ID" int, id text, "a ""b""" int, PRIMARY KEY (id, "ID"))')
    server.execute(f"ALTER TABLE seats REPLICA IDENTITY {identity}")
    slot = server.listen("seats")
    server.execute("INSERT INTO seats VALUES (5, 'x', 1)")
    server.execute('UPDATE seats SET "ID" = 6')
    _, updated = server.changes(slot, "id", "ID")
    assert (updated.primary_key, updated.previous_primary_key) == ('["x","6"]', '["x","5"]')
    assert json.loads(updated.after) == {"ID": 6, "id": "x", 'a "b"': 1}
    before = {"ID": 5, "id": "x"} | ({'a "b"': 1} if identity == "FULL" else {})
    assert json.loads(updated.before) == before
    server.forget(slot, "seats")
