"""A scratch database to set up, without a worker."""

import os
import uuid
from contextlib import contextmanager

import psycopg2
from psycopg2.extensions import make_dsn

from bemi_orm.replication.setup import SetupOptions, plan_setup

DSN = os.environ["BEMI_TEST_DSN"]


def connect(**parameters):
    connection = psycopg2.connect(make_dsn(DSN, **parameters))
    connection.autocommit = True
    return connection


class Scratch:
    """One database, its roles and slots; all gone after `close()`."""

    def __init__(self):
        self.name = f"scratch_{uuid.uuid4().hex[:12]}"
        self._connections = []
        self._roles = []
        with self._server() as cursor:
            cursor.execute(f"CREATE DATABASE {self.name}")
        self.connection = self.connect()
        self.version = self.connection.server_version

    def connect(self, **parameters):
        connection = connect(dbname=self.name, **parameters)
        self._connections.append(connection)
        return connection

    def run(self, *statements):
        with self.connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    def fetch(self, query, *parameters):
        with self.connection.cursor() as cursor:
            cursor.execute(query, parameters)
            return cursor.fetchall()

    def create_role(self, attributes):
        role = f"{self.name}_{len(self._roles)}"
        self.run(f"CREATE ROLE {role} LOGIN {attributes}")
        self._roles.append(role)
        return role

    def options(self, **options):
        return SetupOptions(**{"publication": self.name, "slot": self.name, **options})

    def plan(self, connection=None, **options):
        return plan_setup(connection or self.connection, self.options(**options))

    def set_up(self, connection=None, **options):
        plan = self.plan(connection, **options)
        plan.apply(connection or self.connection)
        return plan

    def published(self):
        rows = self.fetch(
            "SELECT prrelid::regclass::text FROM pg_publication_rel "
            "WHERE prpubid = (SELECT oid FROM pg_publication WHERE pubname = %s)",
            self.name,
        )
        return {name for (name,) in rows}

    def identity(self, table):
        [[identity]] = self.fetch("SELECT relreplident::text FROM pg_class WHERE oid = %s::regclass", table)
        return identity

    def close(self):
        for connection in self._connections:
            connection.close()
        with self._server() as cursor:
            cursor.execute(
                "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots "
                "WHERE slot_name LIKE %s",
                [f"{self.name}%"],
            )
            cursor.execute(f"DROP DATABASE {self.name} WITH (FORCE)")
            for role in self._roles:
                cursor.execute(f"DROP ROLE {role}")

    @contextmanager
    def _server(self):
        connection = connect()
        try:
            yield connection.cursor()
        finally:
            connection.close()
