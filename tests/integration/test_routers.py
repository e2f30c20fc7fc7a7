import pytest
from django.db import router

from bemi_orm import BemiDatabaseRouter, Change
from tests.todos.models import Todo


@pytest.fixture(params=["default", "other"])
def alias(request, settings):
    settings.BEMI_DATABASE = request.param
    return request.param


def test_changes_are_read_and_migrated_on_their_alias(alias):
    assert router.db_for_read(Change) == router.db_for_write(Change) == alias
    assert Change.objects.all().db == alias
    for name in ("default", "other"):
        assert router.allow_migrate(name, "bemi_orm") is (name == alias)
        assert router.allow_migrate_model(name, Change) is (name == alias)


def test_other_models_are_left_to_other_routers(alias):
    ours = BemiDatabaseRouter()
    assert ours.db_for_read(Todo) is None
    assert ours.db_for_write(Todo, instance=Todo()) is None
    assert ours.allow_migrate("default", "todos", model_name="todo") is None
    assert ours.allow_relation(Todo(), Change()) is None


@pytest.mark.parametrize(("aliases", "expected"), [(["default"], "default"), (["default", "bemi"], "bemi")])
def test_alias_called_bemi_is_used_where_nothing_is_set(monkeypatch, aliases, expected):
    monkeypatch.setattr("django.conf.settings.DATABASES", {alias: {} for alias in aliases})
    assert BemiDatabaseRouter().db_for_read(Change) == expected
