"""Fixtures that several files share."""

import pytest

from tests.integration.context_log import ContextLog
from tests.integration.travels import Trail


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
