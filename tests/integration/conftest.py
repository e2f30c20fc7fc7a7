"""Fixtures that several files share."""

import pytest

from bemi_orm.history import realkeys
from tests.integration.context_log import ContextLog
from tests.integration.travels import Trail


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup, django_db_blocker):
    """Give users high keys from the start, so that a small one in a test's context is nobody's."""
    from django.db import connection

    with django_db_blocker.unblock(), connection.cursor() as cursor:
        cursor.execute("ALTER SEQUENCE auth_user_id_seq RESTART WITH 5000001")


@pytest.fixture(autouse=True)
def _keys_are_not_known(monkeypatch):
    """Let each test ask for the keys of tables anew, as others may have altered these tables."""
    monkeypatch.setattr(realkeys, "_answers", {})


@pytest.fixture
def log():
    """The contexts that get into the WAL from here on."""
    log = ContextLog()
    yield log
    log.close()


@pytest.fixture
def trail(transactional_db, settings):
    """The test database as a tracked one, with `changes` beside its tables."""
    trail = Trail(settings)
    trail.open()
    yield trail
    trail.close()


@pytest.fixture
def boss(client):
    """A superuser, whom the test's client is logged in as."""
    from django.contrib.auth.models import User

    boss = User.objects.create_superuser("boss", "boss@example.org", "secret")
    client.force_login(boss)
    return boss
