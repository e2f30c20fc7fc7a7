"""One step of a set-up: what a person reads, and what the server runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import psycopg2
from psycopg2 import errors, sql
from psycopg2.extensions import connection as Connection  # noqa: N812

from bemi_orm.exceptions import SetupError, SourceUnavailableError

LOCK_TIMEOUT_SECONDS: Final = 3
"""While ALTER TABLE waits for a lock, every query of the application on that table waits behind it."""


@dataclass(frozen=True, slots=True)
class Step:
    """A statement that runs in a transaction of its own.

    description: what it does, to be read after "to".
    lock_timeout_seconds: how long it may wait for others.
    when_locked: what stands in its way then, and what to do.
    """

    description: str
    statement: sql.Composable
    lock_timeout_seconds: int = LOCK_TIMEOUT_SECONDS
    when_locked: str = "The table is busy."

    def sql(self, connection: Connection) -> str:
        """Give the text of the statement."""
        return self.statement.as_string(connection)

    def run(self, connection: Connection) -> None:
        """Run and commit; raises SetupError, after which nothing of this step has happened."""
        try:
            with connection, connection.cursor() as cursor:
                cursor.execute(
                    "SELECT set_config('lock_timeout', %s, true)", [f"{self.lock_timeout_seconds}s"]
                )
                cursor.execute(self.statement)
        except errors.LockNotAvailable as error:
            raise SetupError(
                f"Could not {self.description} within {self.lock_timeout_seconds} s. {self.when_locked} "
                "The steps before it are done; run setup again for the rest."
            ) from error
        except psycopg2.Error as error:
            if connection.closed:
                raise SourceUnavailableError(
                    f"The tracked database does not answer: {error}".strip()
                ) from error
            reason = error.diag.message_primary or error
            raise SetupError(
                f"Could not {self.description}: {reason}. Mend that, and run setup again."
            ) from error
