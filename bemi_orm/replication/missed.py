"""What set-up comes too late for: rows of a table that only now is published while capture was running."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from psycopg2 import errors, sql
from psycopg2.extensions import connection as Connection  # noqa: N812

from bemi_orm.replication.catalog import TableFacts
from bemi_orm.replication.connections import source_errors
from bemi_orm.replication.setup import SetupPlan

LOOK_TIMEOUT_SECONDS: Final = 3
"""For one row of one table; who holds the table locked, or bloated, has rows in it for all we know."""


@dataclass(frozen=True, slots=True)
class Missed:
    """What was written and not published, and so can never be captured.

    publication_fault: what was wrong with the publication, empty if nothing.
    tables: those that are published only now, and hold rows.
    """

    publication_fault: str = ""
    tables: tuple[str, ...] = ()

    @property
    def reason(self) -> str:
        """For the record of the gap; empty when nothing was missed."""
        late = f"published only now: {', '.join(self.tables)}" if self.tables else ""
        return "; ".join(part for part in (self.publication_fault, late) if part)

    def warnings(self) -> Sequence[str]:
        """Give sentences for a person."""
        fault = self.publication_fault
        return [
            *([f"What was written while {fault} is not, or not all, in changes."] if fault else []),
            *(f"{table} already holds rows: what was written before now, while it was not published, "
              "is not in changes." for table in self.tables),
        ]  # fmt: skip


def find_missed(connection: Connection, plan: SetupPlan) -> Missed:
    """Look, before the plan is applied, for what it comes too late for; reads only.

    Ask it only where capture ran before: at the first set-up every table holds rows from the time before.
    Raises SourceUnavailableError.
    """
    tables = tuple(str(table) for table in plan.new_tables if _may_hold_rows(connection, table))
    return Missed(plan.publication_fault, tables)


def _may_hold_rows(connection: Connection, table: TableFacts) -> bool:
    """Look for one row; True, too, where that is not allowed or takes too long."""
    only = "" if table.kind == "p" else "ONLY "  # what inherits from it is a table of its own
    query = sql.SQL(f"SELECT EXISTS (SELECT FROM {only}{{}})").format(
        sql.Identifier(table.schema, table.name)
    )
    with source_errors():
        try:
            with connection, connection.cursor() as cursor:
                for name in ("lock_timeout", "statement_timeout"):
                    cursor.execute("SELECT set_config(%s, %s, true)", [name, f"{LOOK_TIMEOUT_SECONDS}s"])
                cursor.execute(query)
                return cursor.fetchone() == (True,)
        except (errors.InsufficientPrivilege, errors.LockNotAvailable, errors.QueryCanceled):
            return True
