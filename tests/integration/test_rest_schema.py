"""The description of the API: complete, without a warning, and true of what the API answers."""

import base64
import subprocess
import sys

import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections
from drf_spectacular.drainage import GENERATOR_STATS
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.validation import validate_schema
from hypothesis import HealthCheck, given, settings

from tests.integration.rest_client import user
from tests.integration.rows import store

SITE = "tests.integration.rest_site"


@pytest.fixture
def application():
    """The WSGI application, which leaves the test its transaction, as the test client does."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield get_wsgi_application()
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


WITHOUT = """
import sys
sys.modules.update(dict.fromkeys({hidden!r}))
from django.conf import settings
settings.configure(
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "bemi_orm"],
    DATABASES={{"default": {{"ENGINE": "django.db.backends.postgresql"}}}},
)
import django
django.setup()
{code}
"""


def run_without(hidden, code):
    """Give what a fresh Python prints where these packages are not installed."""
    script = WITHOUT.format(hidden=hidden, code=code)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


@pytest.mark.parametrize("package", ["rest_framework", "django_filters"])
def test_missing_extra_is_named_and_the_app_does_without(package):
    code = "from django.core.management import call_command; call_command('check'); print('fine')\n"
    printed = run_without([package], f"{code}import bemi_orm.rest_framework.urls")
    assert printed.startswith("fine")
    assert "pip install bemi-orm[rest]" in printed


def test_description_is_optional():
    code = "from bemi_orm.rest_framework import urls; print(len(urls.urlpatterns))"
    assert run_without(["drf_spectacular"], code) == "11\n"


def describe():
    """Give the description and what was said while it was made."""
    GENERATOR_STATS.reset()
    with GENERATOR_STATS.silence():
        schema = SchemaGenerator(urlconf=SITE).get_schema(request=None, public=True)
    return schema, [*GENERATOR_STATS._warn_cache, *GENERATOR_STATS._error_cache]


def test_description_is_valid_and_makes_no_warning():
    schema, complaints = describe()
    assert complaints == []
    validate_schema(schema)
    operations = {
        f"{method} {path.removeprefix('/audit/changes/')}"
        for path, methods in schema["paths"].items()
        for method in methods
        if path.startswith("/audit/")
    }
    assert operations == {
        "get ", "get {id}/", "get {id}/diff/", "get {id}/instance/", "get {id}/transaction/",
        "get {id}/revert_plan/", "post {id}/revert/", "get state/", "get deleted/", "get facets/",
        "get export/",
    }  # fmt: skip
    listed = schema["paths"]["/audit/changes/"]["get"]
    names = {parameter["name"] for parameter in listed["parameters"]}
    assert {"table", "context.user_id", "last", "cursor", "fields", "page_size"} <= names
    assert all(parameter.get("description") for parameter in listed["parameters"])
    answer = listed["responses"]["200"]["content"]["application/json"]
    [example] = answer["examples"].values()
    assert example["value"]["results"][0]["operation"] == "UPDATE"


@pytest.mark.urls(SITE)
@pytest.mark.django_db
def test_api_keeps_its_description_whatever_is_asked(application):
    change = str(store(key=1, operation="UPDATE", before={"id": 1}, after={"id": 1, "task": "a"}))
    auditor = user("view_change", "revert_change")
    auditor.set_password("x")
    auditor.save()
    headers = {"Authorization": f"Basic {base64.b64encode(b'auditor:x').decode()}"}
    description, _ = describe()
    description["paths"] = {
        path: methods for path, methods in description["paths"].items() if path.startswith("/audit/")
    }
    api = schemathesis.openapi.from_dict(description)
    api.app = application
    checks = [
        schemathesis.checks.not_a_server_error,
        schemathesis.specs.openapi.checks.status_code_conformance,
        schemathesis.specs.openapi.checks.content_type_conformance,
        schemathesis.specs.openapi.checks.response_schema_conformance,
    ]
    statuses = set()
    for result in api.get_all_operations():
        operation = result.ok()

        @settings(
            max_examples=15, derandomize=True, database=None, deadline=None,
            suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        @given(case=operation.as_strategy())
        def ask(case):
            if "id" in case.path_parameters:
                case.path_parameters["id"] = change
            response = case.call(headers=headers)
            case.validate_response(response, checks=checks)
            statuses.add(response.status_code)

        ask()
    assert {200, 400} <= statuses
