"""Which replica identity a table gets, so that old rows are known and the application's UPDATE never fails.

PostgreSQL refuses UPDATE and DELETE on a published table whose old row it cannot identify, or whose identity
has columns that are not published. Follows the manual, "Publication: Replica Identity", and
`CheckCmdReplicaIdentity` in the server.
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

from bemi_orm.replication.catalog import TableFacts

Identities: TypeAlias = tuple[str, ...]
"""A replica identity (`d`, `f`, `i`) for each member of a table: itself, then its leaves."""

IdentityChoice: TypeAlias = Literal["full", "default"]

FULL: Final = "f"
DEFAULT: Final = "d"
INDEX: Final = "i"


def choose_identities(table: TableFacts, choice: IdentityChoice, publication: str) -> Identities | None:
    """Give the identities to have before the table is in the publication; None if none would do.

    choice: `full` wants whole old rows, and respects an index that someone chose; `default` changes an
    identity only where the application's UPDATE would fail. Never plans what the role may not alter.
    """
    if table.kind == "p" and not table.key_identifies:
        return None  # a partition made later would have no identity, and its UPDATEs would fail from then on
    present = tuple(member.replica_identity for member in table.members)
    full, default = (tuple(identity * len(present)) for identity in (FULL, DEFAULT))
    wants_full = choice == "full" and not has_index_identity(table)
    candidates = (full, present, default) if wants_full else (present, default, full)
    return next((each for each in candidates if _works(table, each, publication)), None)


def has_index_identity(table: TableFacts) -> bool:
    """Say whether someone chose a unique index as identity of table or leaf, and it is still there."""
    return any(member.replica_identity == INDEX and member.index_identifies for member in table.members)


def find_obstacle(table: TableFacts, publication: str) -> str | None:
    """Say why the table's UPDATEs would fail under identity FULL; None if they would not.

    publication: ours, which publishes stored generated columns. Others count too, as the server looks at all.
    """
    for member in table.members:
        if member.virtual_columns:
            return f"virtual generated columns ({', '.join(member.virtual_columns)}) cannot be published"
        if member.listing_publications:
            return f"publication {member.listing_publications[0]} has a column list for it"
        hiding = [name for name in member.hiding_publications if name != publication]
        if hiding and member.stored_columns:
            return (
                f"publication {hiding[0]} does not publish its generated columns "
                f"({', '.join(member.stored_columns)})"
            )
    return None


def _works(table: TableFacts, identities: Identities, publication: str) -> bool:
    root_alone_is_full = identities[0] == FULL and any(identity != FULL for identity in identities)
    if root_alone_is_full:  # the stream would then call key columns a whole row, and the others NULL
        return False
    full_works = find_obstacle(table, publication) is None
    return all(
        (identity == member.replica_identity or member.is_owner) and _identifies(member, identity, full_works)
        for member, identity in zip(table.members, identities, strict=True)
    )


def _identifies(member: TableFacts, identity: str, full_works: bool) -> bool:
    works = {FULL: full_works, DEFAULT: member.key_identifies, INDEX: member.index_identifies}
    return works.get(identity, False)
