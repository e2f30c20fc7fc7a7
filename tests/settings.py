"""Django settings of the test project; the server comes from `tests.plugin`."""

import os

from psycopg2.extensions import parse_dsn

if os.environ.get("BEMI_TEST_DRIVER") == "psycopg2":  # Django prefers psycopg 3 where it is installed
    import sys

    sys.modules["psycopg"] = None

DSN = parse_dsn(os.environ.get("BEMI_TEST_DSN", "postgresql://postgres@127.0.0.1:5432/postgres"))


def _database(name):
    return {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": DSN.get("host", ""),
        "PORT": DSN.get("port", ""),
        "USER": DSN.get("user", ""),
        "PASSWORD": DSN.get("password", ""),
        "NAME": name,
    }


DATABASES = {
    "default": _database(os.environ.get("BEMI_TEST_DATABASE", "bemi")),
    "other": _database("bemi_other"),
}
if port := os.environ.get("BEMI_TEST_DESTINATION_PORT"):
    DATABASES["bemi"] = {**_database("audit"), "PORT": port}
if path := os.environ.get("BEMI_TEST_CONTEXT_FUNCTION"):
    BEMI_CONTEXT_FUNCTION = path
DATABASE_ROUTERS = ["bemi_orm.BemiDatabaseRouter"]
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "rest_framework",
    "django_filters",
    "drf_spectacular",
    "bemi_orm",
    "tests.todos",
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "bemi_orm.BemiMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    }
]
STATIC_URL = "/static/"
REST_FRAMEWORK = {"DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema"}
ROOT_URLCONF = "tests.todos.urls"
SECRET_KEY = "only for tests"
ALLOWED_HOSTS = ["*"]
USE_TZ = True
TIME_ZONE = "UTC"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
