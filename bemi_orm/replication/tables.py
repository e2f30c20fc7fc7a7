"""What set-up does with one table: its replica identities first, then its place in the publication."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from typing import Final

from psycopg2 import sql

from bemi_orm.replication import advice
from bemi_orm.replication.catalog import TableFacts
from bemi_orm.replication.identity import DEFAULT, FULL, Identities, IdentityChoice, choose_identities
from bemi_orm.replication.publication import Publication, add_table, drop_table
from bemi_orm.replication.steps import Step

_IDENTITY_SQL: Final = {FULL: "FULL", DEFAULT: "DEFAULT"}


@dataclass(frozen=True, slots=True)
class TablePlan:
    """The steps for a table, and what a person should know.

    is_published: whether it is to be captured; is_new: whether it is not yet.
    """

    table: TableFacts
    is_published: bool
    is_new: bool = False
    steps: tuple[Step, ...] = ()
    warnings: tuple[str, ...] = ()


def plan_table(
    table: TableFacts, publication: Publication | None, name: str, choice: IdentityChoice
) -> TablePlan:
    """Plan a tracked table; one whose UPDATEs would then fail is left out.

    publication: as it is, None before the first set-up; name: its name.
    """
    listed = publication.find(table.oid) if publication else None
    identities = choose_identities(table, choice, name)
    wanted = choose_identities(_as_owner(table), choice, name)
    if wanted is None:
        return TablePlan(table, False, warnings=(advice.explain_no_identity(table, name),))
    if identities is None or not (listed or table.is_owner):
        return TablePlan(table, False, warnings=(advice.explain_left_to_owner(table),))
    steps = [*_identity_steps(table, identities)]
    if listed is None:
        steps.append(add_table(name, table.schema, table.name))
    warnings = []
    if identities != wanted:
        warnings.append(advice.explain_kept_identity(table))
    elif choice == "full" and set(identities) != {FULL}:
        warnings.append(advice.explain_partial_identity(table, name))
    if listed and listed.is_restricted:
        warnings.append(advice.explain_restriction(table))
    if table.kind == "p" and steps:
        warnings.append(advice.explain_partitions(table))
    return TablePlan(table, True, listed is None, tuple(steps), tuple(warnings))


def plan_removals(publication: Publication | None, wanted_oids: Collection[int]) -> tuple[Step, ...]:
    """Plan to take out of the publication what is on its list and not wanted."""
    if publication is None:
        return ()
    return tuple(
        drop_table(publication.name, table.schema, table.name)
        for table in publication.tables
        if table.oid not in wanted_oids
    )


def _as_owner(table: TableFacts) -> TableFacts:
    leaves = tuple(replace(leaf, is_owner=True) for leaf in table.leaves)
    return replace(table, is_owner=True, leaves=leaves)


def _identity_steps(table: TableFacts, identities: Identities) -> Iterator[Step]:
    for member, identity in zip(table.members, identities, strict=True):
        if identity != member.replica_identity:
            words = _IDENTITY_SQL[identity]
            statement = sql.SQL(f"ALTER TABLE ONLY {{}} REPLICA IDENTITY {words}")
            relation = sql.Identifier(member.schema, member.name)
            yield Step(f"set REPLICA IDENTITY {words} on {member}", statement.format(relation))
