"""PgBouncer in transaction mode in front of the suite's server."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from psycopg2 import OperationalError, connect
from psycopg2.extensions import parse_dsn

from bemi_orm.demo.postgres import _unprivileged_account, free_port
from tests.acceptance.site import eventually

PROGRAM = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


class PgBouncer:
    """A pooler that gives each transaction whichever of `pool_size` server connections is free."""

    def __init__(self, database, pool_size):
        self.port = free_port()
        self._database = database
        self._pool_size = pool_size

    def __enter__(self):
        self._folder = Path(tempfile.mkdtemp(prefix="bemi-pgbouncer-"))
        dsn = parse_dsn(os.environ["BEMI_TEST_DSN"])
        (self._folder / "users.txt").write_text(f'"{dsn["user"]}" "{dsn.get("password", "")}"\n')
        (self._folder / "pgbouncer.ini").write_text(
            f"[databases]\n{self._database} = host={dsn['host']} port={dsn['port']}\n"
            f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {self.port}\nunix_socket_dir =\n"
            f"auth_type = trust\nauth_file = {self._folder}/users.txt\npool_mode = transaction\n"
            f"default_pool_size = {self._pool_size}\nmax_client_conn = 20\n"
            f"ignore_startup_parameters = extra_float_digits,options\n"
        )
        user = {}
        if os.geteuid() == 0:  # PgBouncer refuses to run as root
            account = _unprivileged_account()
            user = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
            for path in (self._folder, *self._folder.iterdir()):
                os.chown(path, account.pw_uid, account.pw_gid)
        command = [PROGRAM, "-q", self._folder / "pgbouncer.ini"]
        self._process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **user
        )
        try:
            eventually(self._answers, "PgBouncer answers", self._process)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *error):
        self._process.terminate()
        self._process.wait()
        shutil.rmtree(self._folder)

    def _answers(self):
        user = parse_dsn(os.environ["BEMI_TEST_DSN"])["user"]
        try:
            connect(host="127.0.0.1", port=self.port, user=user, dbname=self._database).close()
        except OperationalError:
            return False
        return True
