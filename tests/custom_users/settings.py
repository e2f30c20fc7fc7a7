"""Settings of the test project with another user model."""

from tests.settings import *  # noqa: F403
from tests.settings import DATABASES, INSTALLED_APPS

DATABASES = {"default": DATABASES["default"]}
INSTALLED_APPS = [*INSTALLED_APPS, "tests.custom_users"]
AUTH_USER_MODEL = "custom_users.Person"
ROOT_URLCONF = "tests.custom_users.urls"
