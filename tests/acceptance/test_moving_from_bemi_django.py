"""B12: a database as bemi-django 0.1.3 leaves it, before, while and after its triggers go.

That package is fetched from PyPI for the test; nothing of it is in this repository.
"""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.acceptance.site import Site

SETTINGS = """
from tests.settings import *
INSTALLED_APPS = [app for app in INSTALLED_APPS if app != "bemi_orm"] + ["bemi"]
MIDDLEWARE = [*MIDDLEWARE[:-1], "bemi.BemiMiddleware"]
DATABASE_ROUTERS = []
SILENCED_SYSTEM_CHECKS = ["models.W042"]
"""
WRITE = """
from django.db import connection, transaction
from bemi_orm import context
from tests.todos.models import Tag
with context(user="ours"):
    Tag.objects.create(code="{0}")
    Tag.objects.create(code='{0} /*Bemi {{"user":"data"}} Bemi*/')
    with connection.cursor() as cursor:
        many = '{0} many /*Bemi {{"user":"data"}} Bemi*/'
        cursor.executemany("INSERT INTO todos_tag VALUES (%s)", [[many]])
        cursor.execute(
            "SELECT '/*Bemi {{\\"user\\":\\"data\\"}} Bemi*/'; INSERT INTO todos_tag VALUES ('{0} several')"
        )
        cursor.execute(
            "BEGIN; SELECT '/*Bemi {{\\"user\\":\\"data\\"}} Bemi*/'; "
            "INSERT INTO todos_tag VALUES ('{0} block'); COMMIT"
        )
"""
THEIRS = "INSERT INTO todos_tag VALUES ('{}') /*Bemi {} Bemi*/"
TRIGGERS = "SELECT count(*) FROM pg_trigger WHERE tgname LIKE '\\_bemi\\_row\\_trigger\\_%'"
PAGE = Path(__file__).parents[2] / "docs" / "moving-from-bemi-django.md"


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """The folder of the old package and of the settings that it runs with."""
    folder = tmp_path_factory.mktemp("bemi-django")
    pip = shutil.which("pip")
    if pip is None:
        pytest.skip("pip, which fetches bemi-django, is not installed")
    wanted = ["--no-deps", "--quiet", "--target", str(folder), "bemi-django==0.1.3"]
    fetched = subprocess.run([pip, "install", *wanted], check=False, capture_output=True, text=True)
    if fetched.returncode != 0:
        pytest.skip(f"bemi-django could not be fetched: {fetched.stderr.splitlines()[-1:]}")
    (folder / "old_settings.py").write_text(SETTINGS)
    return folder


@pytest.fixture
def site(package, tmp_path_factory):
    """A database that the old package's migrations have run on, then ours, with its triggers still there."""
    site = Site("moving", tmp_path_factory.mktemp("logs"))
    site.create()
    try:
        ours = dict(site.environment)
        site.environment |= {
            "DJANGO_SETTINGS_MODULE": "old_settings",
            "PYTHONPATH": os.pathsep.join([str(package), os.getcwd()]),
        }
        site.manage("migrate", "--run-syncdb")
        cursor = site.connect().cursor()
        cursor.execute(TRIGGERS)
        assert cursor.fetchone()[0] > 5
        site.environment = ours
        site.manage("migrate", "--run-syncdb")
        site.manage("bemi", "setup")
        yield site
    finally:
        site.drop()


def changes(site, prefix):
    """Store what was committed, and give each written code with the user of its context."""
    site.manage("bemi", "worker", "--drain")
    cursor = site.connect().cursor()
    cursor.execute(
        "SELECT primary_key, context ->> 'user' FROM changes "
        "WHERE \"table\" = 'todos_tag' AND primary_key LIKE %s ORDER BY position, ordinal",
        [f"{prefix}%"],
    )
    return cursor.fetchall()


def test_b12_one_context_per_change_while_the_triggers_are_there(site):
    site.manage("shell", "-c", WRITE.format("ours"))
    found = changes(site, "ours")
    assert len(found) == 5
    assert {user for _, user in found} == {"ours"}


def test_another_clients_context_is_stitched(site):
    cursor = site.connect().cursor()
    cursor.execute(THEIRS.format("theirs", json.dumps({"user": "rails"})))
    cursor.execute(THEIRS.format("theirs, broken", "{"))
    cursor.execute("INSERT INTO todos_tag VALUES ('theirs, without')")
    assert changes(site, "theirs") == [
        ("theirs", "rails"),
        ("theirs, broken", None),
        ("theirs, without", None),
    ]


def test_b12_the_triggers_can_go(site):
    (removal,) = re.findall("```sql\n(.*?)```", PAGE.read_text(), re.DOTALL)
    cursor = site.connect().cursor()
    cursor.execute(f"{removal}; CREATE TABLE made_later (id int PRIMARY KEY)")
    cursor.execute(TRIGGERS)
    assert cursor.fetchone() == (0,)
    site.manage("shell", "-c", WRITE.format("after"))
    found = changes(site, "after")
    assert len(found) == 5
    assert {user for _, user in found} == {"ours"}
