"""Runs parts of Django's own test suite on PostgreSQL, as it is and with contexts sent, and compares.

    python -m tests.compatibility.django_suite [LABEL ...]

Django's tests are not in its wheel: the sdist of the installed version is fetched from PyPI into a temporary
folder. The server is the embedded one. BEMI_TEST_DRIVER=psycopg2 chooses the driver.
"""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import NamedTuple

import django

from bemi_orm.demo.postgres import EmbeddedPostgres

LABELS = ("backends", "transactions", "bulk_create", "update", "delete", "raw_query", "async")
LABELS += ("queries", "get_or_create", "model_forms")
EXPECTED = {"backends.base.test_base.ExecuteWrapperTests.test_wrapper_connection_specific"}
"""Asserts that a connection has no wrappers, and ours is one."""

REPOSITORY = Path(__file__).parents[2]
SETTINGS = "tests.compatibility.django_suite_settings"


class Outcome(NamedTuple):
    """What a run said."""

    summary: str
    failed: frozenset[str]


def fetch(folder):
    """Give the folder of the sdist that belongs to the installed Django."""
    pip = [sys.executable, "-m", "pip"] if has_pip() else [shutil.which("pip")]
    wanted = f"Django=={django.__version__}"
    subprocess.run(
        [*pip, "download", "--quiet", "--no-deps", "--no-binary=:all:", wanted], cwd=folder, check=True
    )
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as sdist:
        sdist.extractall(folder, filter="data")
    return archive.with_name(archive.name.removesuffix(".tar.gz"))


def has_pip():
    return (
        subprocess.run([sys.executable, "-c", "import pip"], check=False, capture_output=True).returncode == 0
    )


def run(source, server, labels, sends_context):
    """Run the tests of the labels in a process of its own."""
    environment = {
        **os.environ,
        "BEMI_TEST_DSN": f"postgresql://postgres@127.0.0.1:{server.port}/postgres",
        "BEMI_TEST_SENDS_CONTEXT": str(int(sends_context)),
        "PYTHONPATH": f"{source}{os.pathsep}{REPOSITORY}",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    command = [sys.executable, "runtests.py", f"--settings={SETTINGS}", "--parallel=1", "--noinput", *labels]
    done = subprocess.run(
        command, cwd=source / "tests", env=environment, check=False, capture_output=True, text=True
    )
    failed = re.findall(r"^(?:FAIL|ERROR): \S+ \((\S+?)\)", done.stderr, re.MULTILINE)
    ran = re.search(r"^Ran (\d+ tests) in .*\s+^((?:OK|FAILED).*)$", done.stderr, re.MULTILINE)
    if ran is None:
        raise SystemExit(done.stderr)
    return Outcome(f"{ran[1]}, {ran[2]}", frozenset(failed))


def main():
    """Print both outcomes, and what fails only with us; exit 1 if that is more than `EXPECTED`."""
    labels = sys.argv[1:] or LABELS
    folder = Path(tempfile.mkdtemp(prefix="bemi-django-"))
    try:
        source = fetch(folder)
        with EmbeddedPostgres() as server:
            plain = run(source, server, labels, sends_context=False)
            ours = run(source, server, labels, sends_context=True)
    finally:
        shutil.rmtree(folder)
    driver = os.environ.get("BEMI_TEST_DRIVER", "psycopg")
    print(f"Django {django.__version__}, {driver}, Python {sys.version.split()[0]}: {' '.join(labels)}")
    print(f"as it is:     {plain.summary}\nwith context: {ours.summary}")
    for test in sorted(plain.failed):
        print(f"fails without us: {test}")
    for test in sorted(ours.failed - plain.failed):
        print(f"fails with us only{', as expected' * (test in EXPECTED)}: {test}")
    return int(not ours.failed <= plain.failed | EXPECTED)


if __name__ == "__main__":
    sys.exit(main())
