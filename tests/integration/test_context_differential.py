"""A1, A7: with and without us a project sees the same, whatever it sends."""

import pytest
from django.db import connection, transaction
from django.db.backends.postgresql.psycopg_any import is_psycopg3

from tests.integration.context_workload import (
    MANY,
    ORM,
    RAW,
    cursor_view,
    error_view,
    prepare,
    state_view,
    table_view,
    with_sender,
    without_sender,
)

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True, params=["client", "server"] if is_psycopg3 else ["client"])
def _binding(request):
    """psycopg 3 can leave parameters to the server, and then sends one statement at a time."""
    connection.close()
    if request.param == "server":
        connection.settings_dict["OPTIONS"]["server_side_binding"] = True
    yield
    connection.close()
    connection.settings_dict["OPTIONS"].pop("server_side_binding", None)


def observe(step, sending, in_atomic):
    """Run a step from the same start and give all that can be seen of it."""
    prepare()
    seen = []
    with sending():
        try:
            if in_atomic:
                with transaction.atomic():
                    attempt(step, seen)
                    seen.append(state_view())
            else:
                attempt(step, seen)
        except Exception as error:
            seen.append(error_view(error))
        seen.append(state_view())
    return [*seen, *table_view()]


def attempt(step, seen):
    """Note the state straight after an error, before a block ends the transaction."""
    try:
        seen.append(step())
    except Exception as error:
        seen += [error_view(error), state_view()]
        raise


def compare(step, in_atomic):
    without, with_us = (observe(step, sending, in_atomic) for sending in (without_sender, with_sender))
    assert with_us == without


modes = pytest.mark.parametrize("in_atomic", [False, True], ids=["autocommit", "atomic"])


@modes
@pytest.mark.parametrize("name", RAW)
def test_a1_raw_statements(name, in_atomic):
    def step():
        with connection.cursor() as cursor:
            cursor.execute(*RAW[name])
            return cursor_view(cursor)

    compare(step, in_atomic)


@modes
@pytest.mark.parametrize("name", MANY)
def test_a1_many_at_once(name, in_atomic):
    def step():
        with connection.cursor() as cursor:
            MANY[name](cursor)
            return cursor.rowcount

    compare(step, in_atomic)


@modes
@pytest.mark.parametrize("name", ORM)
def test_a1_djangos_own_calls(name, in_atomic):
    compare(ORM[name], in_atomic)
