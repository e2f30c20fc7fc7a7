"""What capture takes from Django's settings: connection keywords, and labels of apps and models."""

import pytest
from django.db import connections

from bemi_orm.exceptions import ConfigurationError
from bemi_orm.management.databases import libpq_parameters, table_patterns
from bemi_orm.replication.tracking import Tracking


@pytest.fixture
def options(monkeypatch):
    def set_options(**values):
        monkeypatch.setitem(connections["default"].settings_dict, "OPTIONS", values)

    return set_options


def test_keywords_of_libpq_pass_and_those_of_the_driver_do_not(options, monkeypatch):
    options(sslmode="prefer", pool={"min_size": 1}, server_side_binding=True, options="-c work_mem=1MB")
    monkeypatch.setitem(connections["default"].settings_dict, "PASSWORD", "with space ' and quote")
    parameters = libpq_parameters()
    assert parameters["sslmode"] == "prefer"
    assert parameters["options"] == "-c work_mem=1MB"
    assert parameters["password"] == "with space ' and quote"
    assert parameters["dbname"] == connections["default"].settings_dict["NAME"]
    assert not {"pool", "server_side_binding"} & parameters.keys()


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
