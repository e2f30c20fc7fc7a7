"""`bemi setup` on the tracked database: publication, replica identities, slot; a plan, then its steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from psycopg2 import sql
from psycopg2.extensions import connection as Connection  # noqa: N812

from bemi_orm.exceptions import SetupError
from bemi_orm.replication.catalog import TableFacts, read_tables
from bemi_orm.replication.conflicts import find_publication_conflicts, find_slot_conflicts
from bemi_orm.replication.identity import IdentityChoice
from bemi_orm.replication.preflight import check_source
from bemi_orm.replication.publication import Publication, create_publication, read_publication, set_options
from bemi_orm.replication.slots import CREATE_SLOT, Slot, read_slot
from bemi_orm.replication.steps import Step
from bemi_orm.replication.tables import TablePlan, plan_removals, plan_table
from bemi_orm.replication.tracking import Tracking

SLOT_TIMEOUT_SECONDS: Final = 60
"""A slot starts when the transactions that write at this moment have ended; nobody waits for it meanwhile."""


@dataclass(frozen=True, slots=True)
class SetupOptions:
    """What is to be set up.

    publication, slot: their names.
    tracking: which tables are captured.
    identity: `full` for whole old rows, `default` to leave replica identities as they are where they work.
    """

    publication: str
    slot: str
    tracking: Tracking = field(default_factory=Tracking)
    identity: IdentityChoice = "full"


@dataclass(frozen=True, slots=True)
class SetupPlan:
    """Steps in the order in which they must run, and what a person should know; no steps: nothing to do.

    publication_fault: what the publication is before the steps, in words, empty if as it should be.
    new_tables: those that the steps publish.
    """

    steps: tuple[Step, ...]
    warnings: tuple[str, ...]
    publication_fault: str = ""
    new_tables: tuple[TableFacts, ...] = ()

    def apply(self, connection: Connection, on_done: Callable[[Step], object] = lambda step: None) -> None:
        """Run the steps, each in a transaction of its own; after an error, plan again and apply the rest.

        connection: not inside a transaction. on_done: called with each step after it was committed.
        Raises SetupError, or SourceUnavailableError.
        """
        for step in self.steps:
            step.run(connection)
            on_done(step)


def plan_setup(connection: Connection, options: SetupOptions) -> SetupPlan:
    """Compare the tracked database with what is wanted, and give the steps between; reads only.

    Raises SetupError where server, role, publication or slot stand in the way.
    """
    check_source(connection, options.slot)
    publication = read_publication(connection, options.publication)
    slot = read_slot(connection, options.slot)
    _refuse_conflicts(connection, options, publication, slot)
    tables = [
        table for table in read_tables(connection) if options.tracking.matches(table.schema, table.name)
    ]
    _refuse_emptying(publication, tables)
    plans = [plan_table(table, publication, options.publication, options.identity) for table in tables]
    steps = (
        *_publication_steps(publication, options.publication, connection.server_version),
        *plan_removals(publication, {plan.table.oid for plan in plans if plan.is_published}),
        *(step for plan in plans for step in plan.steps),
        *([] if slot else [_create_slot(options.slot)]),
    )
    return SetupPlan(
        steps,
        tuple(_find_warnings(options.tracking, tables, plans)),
        publication_fault=_find_fault(publication, options.publication),
        new_tables=tuple(plan.table for plan in plans if plan.is_new),
    )


def _refuse_conflicts(
    connection: Connection, options: SetupOptions, publication: Publication | None, slot: Slot | None
) -> None:
    conflicts = [
        *find_publication_conflicts(connection, publication),
        *find_slot_conflicts(options.slot, slot, connection.info.dbname, publication),
    ]
    if conflicts:
        raise SetupError("\n".join(conflicts))


def _refuse_emptying(publication: Publication | None, tables: Sequence[TableFacts]) -> None:
    """Settings under which not one published table stays are taken for a mistake: capture would just stop."""
    if publication and publication.tables and not any(publication.find(table.oid) for table in tables):
        names = ", ".join(f'"{table.schema}"."{table.name}"' for table in publication.tables)
        raise SetupError(
            f"By BEMI_TRACK and BEMI_IGNORE none of the tables that publication {publication.name} publishes "
            "is to be captured any longer. Correct the settings. If it is meant, take the tables out "
            f'yourself, and run setup again: ALTER PUBLICATION "{publication.name}" DROP TABLE ONLY {names}'
        )


def _find_fault(publication: Publication | None, name: str) -> str:
    if publication is None:
        return f"publication {name} was missing"
    return "" if publication.has_right_options else f"publication {name} did not publish everything"


def _publication_steps(publication: Publication | None, name: str, server_version: int) -> Iterator[Step]:
    if publication is None:
        yield create_publication(name, server_version)
    elif not publication.has_right_options:
        yield set_options(name, server_version)


def _create_slot(name: str) -> Step:
    return Step(
        f"create replication slot {name}",
        sql.SQL(CREATE_SLOT).format(slot=sql.Literal(name)),
        SLOT_TIMEOUT_SECONDS,
        "A transaction that began earlier has to end first: SELECT pid, xact_start, query "
        "FROM pg_stat_activity WHERE backend_xid IS NOT NULL ORDER BY xact_start.",
    )


def _find_warnings(
    tracking: Tracking, tables: Sequence[TableFacts], plans: Sequence[TablePlan]
) -> Iterator[str]:
    for pattern in tracking.unmatched([(table.schema, table.name) for table in tables]):
        yield f"No table that can be tracked fits the pattern {pattern!r}."
    for plan in plans:
        yield from plan.warnings
