"""A project with a user model of its own."""

import os
import subprocess
import sys


def test_admin_with_a_custom_user_model_and_a_proxy():
    command = (
        *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"),
        *("--ds=tests.custom_users.settings", "tests/custom_users/pages.py"),
    )
    environment = {**os.environ, "BEMI_TEST_DATABASE": "custom_users"}
    environment.pop("PYTEST_CURRENT_TEST", None)
    run = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
