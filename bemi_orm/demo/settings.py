"""Django settings of the demo site; the server comes from the environment variable `BEMI_DEMO_DSN`."""

import os
from importlib.util import find_spec

from django.core.management.utils import get_random_secret_key
from psycopg2.extensions import parse_dsn

_DSN = parse_dsn(os.environ.get("BEMI_DEMO_DSN", "dbname=bemi_demo"))
_NAMES = {"dbname": "NAME", "host": "HOST", "port": "PORT", "user": "USER", "password": "PASSWORD"}

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        **{_NAMES[keyword]: value for keyword, value in _DSN.items() if keyword in _NAMES},
        "OPTIONS": {keyword: value for keyword, value in _DSN.items() if keyword not in _NAMES},
    }
}

HAS_REST = all(map(find_spec, ("rest_framework", "django_filters")))

# What bemi_orm needs, as in any project; the names and the choice of tables are optional.
INSTALLED_APPS = [
    "django.contrib.admin.apps.SimpleAdminConfig",  # urls.py finds admins: only the web process needs them
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "django.contrib.messages",
    "django.contrib.sessions",
    "bemi_orm",
    "bemi_orm.demo.site",
    *(["rest_framework", "django_filters"] if HAS_REST else []),
]
MIDDLEWARE = [
    "bemi_orm.demo.site.security.content_security_policy",
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "bemi_orm.BemiMiddleware",
]
DATABASE_ROUTERS = ["bemi_orm.BemiDatabaseRouter"]
BEMI_CONTEXT_FUNCTION = "bemi_orm.demo.site.context.request_context"
BEMI_TRACK = ["demo"]
BEMI_SLOT = os.environ.get("BEMI_DEMO_SLOT", "bemi_demo")

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
REST_FRAMEWORK = {
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": [
        "rest_framework.renderers.JSONRenderer",
        "bemi_orm.demo.site.renderers.StrictPageRenderer",
    ],
}
ROOT_URLCONF = "bemi_orm.demo.site.urls"
STATIC_URL = "/static/"
LOGIN_URL = LOGOUT_REDIRECT_URL = "login"
LOGIN_REDIRECT_URL = "index"
SESSION_COOKIE_NAME = "bemi_demo_session"  # cookies do not know ports: do not log a developer's own site out
CSRF_COOKIE_NAME = "bemi_demo_csrf"
ALLOWED_HOSTS = ["127.0.0.1", "localhost"]
SECRET_KEY = get_random_secret_key()  # sessions live in the database, so each process may have its own
PASSWORD_HASHERS = ["django.contrib.auth.hashers.ScryptPasswordHasher"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
TIME_ZONE = "UTC"
