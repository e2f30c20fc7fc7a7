"""A browser, and a server for it that sends a strict policy; both start once."""

import pytest
from django.test import override_settings
from pytest_django.live_server_helper import LiveServer

from tests.acceptance import browser as chromium


@pytest.fixture(scope="session")
def chrome():
    if chromium.MISSING:
        pytest.skip(chromium.MISSING)
    browser = chromium.Browser()
    yield browser
    browser.quit()


@pytest.fixture(scope="session")
def strict_server(django_db_setup, django_db_blocker):
    """The address of the test project, whose language follows the browser's cookie."""
    from django.conf import settings

    middleware = ["tests.acceptance.browser.strict_policy", *settings.MIDDLEWARE]
    middleware.insert(2, "django.middleware.locale.LocaleMiddleware")
    with override_settings(MIDDLEWARE=middleware):
        server = LiveServer("127.0.0.1")
    yield server.url
    server.stop()
