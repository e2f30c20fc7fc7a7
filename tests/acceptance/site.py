"""A migrated database, and processes around it: web, worker, commands."""

import os
import subprocess
import sys
import time

import psycopg2
from psycopg2.extensions import make_dsn

DEADLINE_SECONDS = 60


def eventually(condition, what, process=None):
    deadline = time.monotonic() + DEADLINE_SECONDS
    while True:
        if result := condition():
            return result
        assert process is None or process.poll() is None, f"process ended while waiting: {what}"
        assert time.monotonic() < deadline, f"not within {DEADLINE_SECONDS} s: {what}"
        time.sleep(0.02)


class Site:
    """A database of its own with the test project on it, and the processes around it.

    The server is the suite's own unless another one's DSN is given.
    """

    def __init__(self, name, log_folder, server_dsn=None):
        self.name = name
        self.server_dsn = server_dsn or os.environ["BEMI_TEST_DSN"]
        self.dsn = make_dsn(self.server_dsn, dbname=name)
        self.environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "tests.settings",
            "BEMI_TEST_DSN": self.server_dsn,
            "BEMI_TEST_DATABASE": name,
            "PYTHONUNBUFFERED": "1",
        }
        self.log_folder = log_folder
        self.processes = []

    def manage(self, *words, check=True):
        command = [sys.executable, "-m", "django", *words]
        return subprocess.run(command, env=self.environment, capture_output=True, text=True, check=check)

    def start(self, name, *words):
        with (self.log_folder / f"{name}.log").open("wb") as log:
            command = [sys.executable, "-m", "django", *words]
            process = subprocess.Popen(command, env=self.environment, stdout=log, stderr=log)
        self.processes.append(process)
        return process

    def log(self, name):
        return (self.log_folder / f"{name}.log").read_text()

    def connect(self):
        connection = psycopg2.connect(self.dsn)
        connection.autocommit = True
        return connection

    def stop(self):
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.wait()

    def create(self):
        self._on_server(f"CREATE DATABASE {self.name}")

    def drop(self):
        self.stop()
        self._on_server(
            "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots "
            f"WHERE database = '{self.name}' AND active"
        )
        eventually(self._slots_dropped, "the slot is free")
        self._on_server(f"DROP DATABASE {self.name} WITH (FORCE)")

    def _slots_dropped(self):
        try:
            self._on_server(
                "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots "
                f"WHERE database = '{self.name}'"
            )
        except psycopg2.errors.ObjectInUse:
            return False
        return True

    def _on_server(self, statement):
        connection = psycopg2.connect(self.server_dsn)
        connection.autocommit = True
        try:
            connection.cursor().execute(statement)
        finally:
            connection.close()
