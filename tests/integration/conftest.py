"""Fixtures that several files share."""

import pytest

from tests.integration.context_log import ContextLog


@pytest.fixture
def log():
    """The contexts that get into the WAL from here on."""
    log = ContextLog()
    yield log
    log.close()
