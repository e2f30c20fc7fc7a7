"""P13: behind a pooler in transaction mode no context reaches another client's writes."""

import pytest
from django.db import connection

from bemi_orm.transport.scope import context
from tests.integration.pgbouncer import PROGRAM, PgBouncer

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(PROGRAM is None, reason="the program pgbouncer is not installed"),
]


@pytest.fixture(params=[1, 2], ids=["one server connection", "two"])
def clients(request):
    """Two client connections that share the pooler's server connections."""
    with PgBouncer(connection.settings_dict["NAME"], request.param) as pooler:
        clients = connection.copy(), connection.copy()
        for client in clients:
            client.settings_dict.update(HOST="127.0.0.1", PORT=pooler.port, DISABLE_SERVER_SIDE_CURSORS=True)
        yield clients
        for client in clients:
            client.close()


def write(client, code):
    with client.cursor() as cursor:
        cursor.execute("INSERT INTO todos_tag VALUES (%s)", [code])
        return cursor.rowcount


def contexts(log):
    return [{key: value for key, value in row.context.items() if key != "SQL"} for row in log.rows()]


def test_p13_two_alternating_clients(clients, log):
    ann, ben = clients
    expected = []
    for number in range(20):
        with context(user="ann", number=number):
            assert write(ann, f"a{number}") == 1
        assert write(ben, f"n{number}") == 1
        with context(user="ben", number=number):
            assert write(ben, f"b{number}") == 1
        expected += [{"user": "ann", "number": number}, {}, {"user": "ben", "number": number}]
    assert contexts(log) == expected


def test_p13_a_rollback_of_one_client(clients, log):
    ann, ben = clients
    with context(user="ann"):
        ann.set_autocommit(False)
        write(ann, "a")
        ann.rollback()
        ann.set_autocommit(True)
    assert write(ben, "n") == 1
    with context(user="ben"):
        assert write(ben, "b") == 1
    assert write(ann, "m") == 1
    assert contexts(log) == [{}, {"user": "ben"}, {}]
