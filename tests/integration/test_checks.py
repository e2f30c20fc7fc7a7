from io import StringIO

import pytest
from django.core.checks import Tags, run_checks
from django.core.management import call_command
from django.db import connection

from bemi_orm.checks import check_table
from bemi_orm.conf import KNOWN_NAMES, find_fault
from bemi_orm.conf import settings as bemi_settings
from bemi_orm.exceptions import ConfigurationError
from bemi_orm.transport.counters import reset
from bemi_orm.transport.message import context_text
from bemi_orm.transport.prepared import prepare
from bemi_orm.transport.scope import Scope
from tests.integration.test_migrations import foreign_table, migrate  # noqa: F401  a fixture

CONTEXT_FUNCTION = f"{__name__}.context_of"
NOT_A_FUNCTION = 5


def context_of(request):
    return {}


def found(*databases):
    tags = ["bemi_orm", Tags.database] if databases else ["bemi_orm"]
    messages = run_checks(tags=tags, databases=databases or None)
    return {message.id: f"{message.msg} {message.hint}" for message in messages if "bemi_orm" in message.id}


def test_nothing_is_found_in_a_good_project():
    assert found() == {}


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("BEMI_CONTEXT_FUNKTION", "Did you mean BEMI_CONTEXT_FUNCTION?"),
        ("BEMI_DATABSE", "Did you mean BEMI_DATABASE?"),
        ("BEMI_ZZZZZZZZ", "There are: BEMI_ACCESS, BEMI_CAPTURE_SQL, "),
    ],
)
def test_w001_unknown_setting(settings, name, hint):
    setattr(settings, name, "x")
    [text] = [found()["bemi_orm.W001"]]
    assert name in text
    assert hint in text


def test_known_settings_are_no_warning(settings):
    settings.BEMI_TRACK = ["todos"]
    settings.BEMI_CONTEXT_FUNCTION = CONTEXT_FUNCTION
    assert found() == {}


@pytest.mark.parametrize(
    "path", ["nowhere.function", "tests.nothing", "context_of", "", f"{__name__}.missing"]
)
def test_e001_context_function_cannot_be_imported(settings, path):
    settings.BEMI_CONTEXT_FUNCTION = path
    assert "cannot be imported" in found()["bemi_orm.E001"]


def test_e001_context_function_is_not_callable(settings):
    settings.BEMI_CONTEXT_FUNCTION = f"{__name__}.NOT_A_FUNCTION"
    assert "is not callable" in found()["bemi_orm.E001"]


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("BEMI_TRACK", "todos", 'a list of strings, such as ["todos"]'),
        ("BEMI_TRACK", ["todos", None], "a list of strings"),
        ("BEMI_IGNORE", {"todos": True}, "a list of strings"),
        ("BEMI_CONTEXT_FUNCTION", None, "a string"),
        ("BEMI_DATABASE", ["default"], "a string"),
        ("BEMI_SOURCE_DATABASE", None, "a string"),
        ("BEMI_SLOT", 5, "a string"),
        ("BEMI_RENAMED", [("todos.Todo", {})], "a dict"),
        ("BEMI_CAPTURE_SQL", "False", "True or False"),
        ("BEMI_SQL_MAX_LENGTH", "2000", "a whole number"),
        ("BEMI_CONTEXT_MAX_BYTES", -1, "a whole number, 0 or more"),
        ("BEMI_CONTEXT_MAX_BYTES", True, "a whole number"),
    ],
)
def test_e004_a_setting_of_a_wrong_type_is_the_only_complaint_and_cannot_be_read(
    settings, name, value, wanted
):
    setattr(settings, name, value)
    [(number, text)] = found().items()
    assert number == "bemi_orm.E004"
    assert f"{name} is {value!r}; it must be {wanted}" in text
    with pytest.raises(ConfigurationError, match=name):
        getattr(bemi_settings, name.removeprefix("BEMI_"))


@pytest.mark.parametrize("value", [["todos"], ("todos",), {"todos"}, []])
def test_any_list_of_names_will_do(settings, value):
    settings.BEMI_TRACK = settings.BEMI_IGNORE = value
    assert found() == {}
    assert value == bemi_settings.TRACK


@pytest.mark.parametrize("name", KNOWN_NAMES)
def test_the_default_of_a_setting_has_its_own_type(name):
    name = name.removeprefix("BEMI_")
    assert find_fault(name, getattr(bemi_settings, name)) is None


def test_a_setting_of_a_wrong_type_costs_no_context(settings, caplog):
    reset()
    settings.BEMI_SQL_MAX_LENGTH = "2000"
    message = prepare("UPDATE t", 150_000).message(context_text(Scope({"user_id": 1})))
    assert message == '{"user_id":1,"SQL":"UPDATE t"}'
    assert "run manage.py check" in caplog.text


@pytest.mark.parametrize("name", ["BEMI_DATABASE", "BEMI_SOURCE_DATABASE"])
def test_e002_alias_that_is_not_there(settings, name):
    setattr(settings, name, "nowhere")
    text = found()["bemi_orm.E002"]
    assert f"{name} is 'nowhere'" in text
    assert "There are: default, other." in text


@pytest.mark.parametrize("name", ["BEMI_DATABASE", "BEMI_SOURCE_DATABASE"])
def test_e003_alias_that_is_not_postgresql(settings, name, sqlite_alias):
    setattr(settings, name, sqlite_alias)
    assert f"{name} is 'lite', which is not PostgreSQL but sqlite" in found()["bemi_orm.E003"]
    assert list(check_table(None, databases=[sqlite_alias])) == []


@pytest.fixture
def sqlite_alias():
    from django.db import connections

    connections.settings["lite"] = connections.settings["default"] | {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": ":memory:",
        "OPTIONS": {},
    }
    yield "lite"
    del connections["lite"]
    del connections.settings["lite"]


def test_w002_router_is_missing(settings):
    settings.BEMI_DATABASE = "other"
    assert found() == {}
    settings.DATABASE_ROUTERS = []
    assert 'Add "bemi_orm.BemiDatabaseRouter" to DATABASE_ROUTERS' in found()["bemi_orm.W002"]
    settings.BEMI_DATABASE = "default"
    assert found() == {}


def test_i001_middleware_is_missing(settings):
    settings.MIDDLEWARE = [path for path in settings.MIDDLEWARE if "bemi" not in path]
    assert 'Add "bemi_orm.BemiMiddleware" to MIDDLEWARE' in found()["bemi_orm.I001"]
    settings.MIDDLEWARE = ["nowhere.Middleware", "bemi_orm.transport.middleware.BemiMiddleware"]
    assert found() == {}


@pytest.mark.django_db(databases=["default", "other"])
class TestTable:
    def test_nothing_is_found_after_migrate(self):
        assert found("default", "other") == {}

    def test_w003_is_no_news_before_the_first_migrate(self):
        migrate("default", "zero")
        assert found("default", "other") == {}

    def test_w003_table_is_gone_while_changes_are_published(self):
        migrate("default", "zero")
        with connection.cursor() as cursor:
            cursor.execute("CREATE PUBLICATION bemi_orm")
        assert check_table(None) == []
        assert found("other") == {}
        text = found("default")["bemi_orm.W003"]
        assert text.endswith("Run: manage.py migrate --database=default bemi_orm")

    def test_a22_w003_migration_is_recorded_but_made_nothing(self, settings):
        """It ran while BEMI_DATABASE named another alias; the hint is what helps."""
        settings.BEMI_DATABASE = "other"
        text = found("other")["bemi_orm.W003"]
        command = "manage.py migrate --database=other bemi_orm"
        assert f"Run: {command} zero && {command}" in text
        migrate("other", "zero")
        migrate("other")
        assert found("other") == {}

    def test_w004_table_of_another(self, foreign_table):  # noqa: F811
        assert "that bemi_orm did not make" in found("default")["bemi_orm.W004"]

    def test_first_migrate_is_not_stopped_by_the_check_and_warns_of_nothing(self):
        migrate("default", "zero")
        err = StringIO()
        call_command("migrate", "bemi_orm", skip_checks=False, stdout=StringIO(), stderr=err)
        assert "changes" in connection.introspection.table_names()
        assert err.getvalue() == ""
