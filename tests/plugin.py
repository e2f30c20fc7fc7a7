"""Starts PostgreSQL before Django reads its settings, or uses an existing server."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bemi_orm.demo.postgres import EmbeddedPostgres

SERVERS: list[EmbeddedPostgres] = []


def pytest_addoption(parser):
    group = parser.getgroup("bemi_orm")
    group.addoption(
        "--dsn",
        default=os.environ.get("BEMI_TEST_DSN"),
        help="use this server (superuser, wal_level=logical)",
    )
    group.addoption(
        "--pg-bin",
        default=os.environ.get("BEMI_TEST_PG_BIN"),
        help="start this folder's postgres instead of the wheel's",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config, parser, args):
    options = early_config.known_args_namespace
    if options.help or options.version:
        return
    if options.dsn:
        os.environ["BEMI_TEST_DSN"] = options.dsn
        return
    server = EmbeddedPostgres(Path(options.pg_bin) if options.pg_bin else None)
    SERVERS.append(server)
    early_config.add_cleanup(server.stop)
    server.start()
    os.environ["BEMI_TEST_DSN"] = f"postgresql://postgres@127.0.0.1:{server.port}/postgres"


def pytest_report_header(config):
    import psycopg2

    connection = psycopg2.connect(os.environ["BEMI_TEST_DSN"])
    try:
        return f"PostgreSQL {connection.info.parameter_status('server_version')}"
    finally:
        connection.close()
