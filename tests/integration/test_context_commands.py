"""A11: what a command writes carries its name and the user of the operating system."""

import os
import pwd
import subprocess
import sys

import pytest
from django.db import connection

from bemi_orm.transport.commands import start_command_scope
from bemi_orm.transport.scope import current_context
from tests.unit.test_scope import isolated

USER = pwd.getpwuid(os.geteuid()).pw_name
INSERT = "from tests.todos.models import Tag; Tag.objects.create(code='a')"


@pytest.mark.parametrize(
    ("argv", "command"),
    [
        (["manage.py", "migrate", "--database=x"], "migrate"),
        (["/srv/site/manage.py", "shell"], "shell"),
        (["/venv/bin/django-admin", "import_prices", "password"], "import_prices"),
        (["/lib/site-packages/django/__main__.py", "flush"], "flush"),
    ],
)
def test_commands(argv, command):
    def run():
        start_command_scope(argv)
        return current_context()

    assert isolated(run) == {"command": command, "os_user": USER}


@pytest.mark.parametrize(
    "argv",
    [
        ["manage.py"],
        ["manage.py", "--version"],
        ["manage.py", "runserver", "0:8000"],
        ["manage.py", "test", "todos"],
        ["/lib/site-packages/pytest/__main__.py", "migrate"],
        ["gunicorn", "site.wsgi"],
        [""],
    ],
)
def test_other_processes(argv):
    def run():
        start_command_scope(argv)
        return current_context()

    assert isolated(run) == {}


def test_commands_may_be_left_out(settings):
    settings.BEMI_COMMANDS_WITHOUT_CONTEXT = ["shell"]

    def run():
        start_command_scope(["manage.py", "shell"])
        start_command_scope(["manage.py", "runserver"])
        return current_context()

    assert isolated(run)["command"] == "runserver"


def test_a_wrong_setting_does_not_keep_the_checks_from_running(settings):
    settings.BEMI_COMMANDS_WITHOUT_CONTEXT = 1

    def run():
        start_command_scope(["manage.py", "check"])
        return current_context()

    assert isolated(run) == {"command": "check", "os_user": USER}


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
