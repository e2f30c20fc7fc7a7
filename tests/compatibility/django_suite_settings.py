"""Settings of Django's own suite: PostgreSQL, and a context for whatever is written."""

import os
import sys

from psycopg2.extensions import parse_dsn

if os.environ.get("BEMI_TEST_DRIVER") == "psycopg2":
    sys.modules["psycopg"] = None

_dsn = parse_dsn(os.environ["BEMI_TEST_DSN"])
_server = {
    "ENGINE": "django.db.backends.postgresql",
    "HOST": _dsn["host"],
    "PORT": _dsn["port"],
    "USER": _dsn["user"],
}
DATABASES = {"default": {**_server, "NAME": "suite"}, "other": {**_server, "NAME": "suite_other"}}
SECRET_KEY = "only for tests"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
USE_TZ = False

if os.environ["BEMI_TEST_SENDS_CONTEXT"] == "1":
    from django.db.backends.signals import connection_created

    from bemi_orm.timetravel.guard import install_wrapper
    from bemi_orm.transport.scope import context

    connection_created.connect(install_wrapper)
    context(user_id=1, path="/é'%s%/*-- \\")
