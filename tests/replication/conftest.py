"""Fixtures for tests at the level of WAL and worker, without Django."""

import os

import pytest

from tests.replication.harness import Rig


@pytest.fixture
def rig():
    rig = Rig(os.environ["BEMI_TEST_DSN"])
    yield rig
    rig.close()


@pytest.fixture
def tracked(rig):
    """A rig with one table `item (id, body)` that is set up for capture."""
    rig.sql.execute("CREATE TABLE item (id int PRIMARY KEY, body text)")
    rig.set_up("item")
    return rig
