"""Fixtures for tests at the level of WAL and worker, without Django."""

import os

import pytest

from tests.replication.harness import Rig


@pytest.fixture
def rig():
    rig = Rig(os.environ["BEMI_TEST_DSN"])
    yield rig
    rig.close()
