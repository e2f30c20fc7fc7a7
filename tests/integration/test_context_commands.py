"""A11: what a command writes carries its name and the user of the operating system."""

import os
import pwd
import subprocess
import sys

import pytest
from django.core.management import BaseCommand, CommandError, call_command
from django.core.management.commands import check
from django.db import connection

from bemi_orm.conf import Settings
from bemi_orm.transport.commands import install
from bemi_orm.transport.scope import context, current_context
from tests.integration import context_views
from tests.todos.models import Tag
from tests.unit.test_scope import isolated

USER = pwd.getpwuid(os.geteuid()).pw_name
INSERT = "from tests.todos.models import Tag; Tag.objects.create(code='a')"


class Write(BaseCommand):
    """A command that is an object of the project's, in no module of its own."""

    def handle(self, *args, **options):
        Tag.objects.create(code="a")


@pytest.fixture
def seen(monkeypatch):
    """The contexts in which `check` runs."""
    seen = []
    monkeypatch.setattr(check.Command, "handle", lambda *args, **options: seen.append(current_context()))
    return seen


def test_a11_a_command_called_from_a_script(seen):
    isolated(lambda: call_command("check"))
    isolated(lambda: call_command(check.Command()))
    assert seen == [{"command": "check", "os_user": USER}] * 2
    assert current_context() == {}


@pytest.mark.django_db(transaction=True)
def test_a11_a_command_that_is_an_object(log):
    call_command(Write())
    assert contexts(log) == [{"command": f"{__name__}.Write", "os_user": USER}]


def test_a_scope_of_the_scripts_own_is_merged(seen):
    with context(why="ticket 1"):
        call_command("check")
        assert current_context() == {"why": "ticket 1"}
    assert seen == [{"why": "ticket 1", "command": "check", "os_user": USER}]


@pytest.mark.parametrize("around", [{"command": "nightly"}, {"task_name": "nightly"}])
def test_what_runs_around_a_command_explains_it(seen, around):
    with context(**around):
        call_command("check")
    assert seen == [around]


@pytest.mark.django_db(transaction=True)
@pytest.mark.urls(context_views.__name__)
def test_a_request_that_calls_a_command(client, log):
    client.post("/call-command/")
    (found,) = contexts(log)
    del found["request_id"]
    assert found == {"user_id": None, "method": "POST", "path": "/call-command/"}


def test_a14_a_command_that_fails_leaves_nothing():
    with pytest.raises(CommandError):
        isolated(lambda: call_command("check", tags=["no such tag"]))
    with pytest.raises(CommandError):
        call_command("check", tags=["no such tag"])
    assert current_context() == {}


def test_the_hook_is_set_once():
    hooked = BaseCommand.execute
    install()
    assert BaseCommand.execute is hooked


def test_commands_may_be_left_out(settings, seen):
    settings.BEMI_COMMANDS_WITHOUT_CONTEXT = ["check"]
    call_command("check")
    assert seen == [{}]


def test_servers_and_tests_have_none_by_default():
    assert {"runserver", "testserver", "test"} <= set(Settings.COMMANDS_WITHOUT_CONTEXT)


def test_a_wrong_setting_does_not_keep_the_checks_from_running(settings, seen):
    settings.BEMI_COMMANDS_WITHOUT_CONTEXT = 1
    call_command("check")
    assert seen == [{"command": "check", "os_user": USER}]


def test_a_user_that_the_system_does_not_know(seen, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 4_000_000_000)
    call_command("check")
    assert seen == [{"command": "check", "os_user": "4000000000"}]


def manage(*words, **environment):
    """Run a command on the test database, in a process of its own."""
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "tests.settings",
        "BEMI_TEST_DATABASE": connection.settings_dict["NAME"],
        **environment,
    }
    done = subprocess.run(
        [sys.executable, "-m", "django", *words], env=environment, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def contexts(log):
    rows = [row for row in log.rows() if row.table == "todos_tag"]
    return [{key: value for key, value in row.context.items() if key != "SQL"} for row in rows]


@pytest.mark.django_db(transaction=True)
def test_a11_the_shell(log):
    manage("shell", "-c", f"from bemi_orm import context; context(why='typo', os_user='me'); {INSERT}")
    assert contexts(log) == [{"command": "shell", "os_user": "me", "why": "typo"}]


@pytest.mark.django_db(transaction=True)
def test_a11_data_migrations(log, tmp_path):
    (tmp_path / "seeded" / "migrations").mkdir(parents=True)
    for folder in ("seeded", "seeded/migrations"):
        (tmp_path / folder / "__init__.py").touch()
    (tmp_path / "seeded" / "settings.py").write_text(
        "from tests.settings import *\nINSTALLED_APPS = [*INSTALLED_APPS, 'seeded']\n"
    )
    (tmp_path / "seeded" / "migrations" / "0001_initial.py").write_text(
        "from django.db import migrations\n"
        f"def seed(apps, editor):\n    {INSERT}\n"
        "class Migration(migrations.Migration):\n"
        "    operations = [\n"
        "        migrations.RunPython(seed), migrations.RunSQL(\"INSERT INTO todos_tag VALUES ('b')\")\n"
        "    ]\n"
    )
    path = os.pathsep.join([str(tmp_path), os.getcwd()])
    manage("migrate", "seeded", DJANGO_SETTINGS_MODULE="seeded.settings", PYTHONPATH=path)
    assert contexts(log) == [{"command": "migrate", "os_user": USER}] * 2
