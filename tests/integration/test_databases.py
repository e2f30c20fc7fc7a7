"""What capture takes from Django's settings: connection keywords, and labels of apps and models."""

import pytest
from django.db import connections
from psycopg2.extensions import make_dsn, parse_dsn

from bemi_orm.exceptions import ConfigurationError
from bemi_orm.management.databases import libpq_parameters, table_patterns
from bemi_orm.replication.tracking import Tracking


@pytest.fixture
def options(monkeypatch):
    def set_options(**values):
        monkeypatch.setitem(connections["default"].settings_dict, "OPTIONS", values)

    return set_options


def test_keywords_of_libpq_pass_and_those_of_the_driver_do_not(options, monkeypatch):
    options(sslmode="prefer", server_side_binding=True, options="-c work_mem=1MB", connect_timeout=5,
            isolation_level=2, assume_role="someone", client_encoding="LATIN1", requirepeer=None)  # fmt: skip
    monkeypatch.setitem(connections["default"].settings_dict, "PASSWORD", "with space ' and quote")
    parameters = libpq_parameters()
    assert parameters.pop("dbname") == connections["default"].settings_dict["NAME"]
    assert parameters.keys() <= {"host", "port", "user", "password", "sslmode", "options", "connect_timeout"}
    assert parameters["sslmode"] == "prefer"
    assert parameters["options"] == "-c work_mem=1MB"
    assert parameters["connect_timeout"] == "5"
    assert parameters["password"] == "with space ' and quote"


def test_the_defaults_of_the_driver_leave_only_keywords_of_libpq():
    known = parse_dsn(make_dsn(**libpq_parameters())).keys()
    assert known == libpq_parameters().keys() >= {"dbname", "user"}


def test_a_token_that_the_backend_fetches_is_used(monkeypatch):
    backend = type(connections["default"])
    params = backend.get_connection_params
    monkeypatch.setattr(backend, "get_connection_params", lambda self: params(self) | {"password": "token"})
    assert libpq_parameters()["password"] == "token"


def test_an_option_that_libpq_does_not_know_is_named_and_no_value_is_shown(options):
    options(sslmod="secret")
    with pytest.raises(ConfigurationError, match='"sslmod"') as failure:
        libpq_parameters()
    assert "secret" not in str(failure.value)


def test_what_django_refuses_is_told_in_its_words(monkeypatch):
    monkeypatch.setitem(connections["default"].settings_dict, "NAME", "")
    with pytest.raises(ConfigurationError, match="NAME"):
        libpq_parameters()


def test_an_alias_that_does_not_exist_is_named():
    with pytest.raises(ConfigurationError, match="'nowhere'"):
        libpq_parameters("nowhere")


@pytest.mark.parametrize(
    ("labels", "matched", "not_matched"),
    [
        (["todos"], ["todos_todo", "todos_todo_tags", "todos_tag"], ["auth_user"]),
        (["auth.User"], ["auth_user"], ["auth_group", "todos_todo"]),
        (["auth_*", "public.todos_tag"], ["auth_user", "auth_group", "todos_tag"], ["todos_todo"]),
        (["*"], ["auth_user", "todos_todo"], ["django_session", "django_migrations"]),
    ],
)
def test_labels_of_apps_and_models_stand_for_their_tables(labels, matched, not_matched):
    tracking = Tracking(track=table_patterns(labels))
    assert [table for table in matched if not tracking.matches("public", table)] == []
    assert [table for table in not_matched if tracking.matches("public", table)] == []
