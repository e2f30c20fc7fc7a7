"""What a person reads about a table that cannot be captured in full."""

from __future__ import annotations

from bemi_orm.replication.catalog import TableFacts
from bemi_orm.replication.identity import find_obstacle, has_index_identity


def explain_no_identity(table: TableFacts, publication: str) -> str:
    """Say why a table must stay out of the publication, and what would let it in."""
    future = "every partition made later would start without a replica identity"
    reason = future if table.kind == "p" else find_obstacle(table, publication)
    return (
        f"{table} is LEFT OUT and its changes are not captured, as the application's UPDATE and DELETE "
        f"would fail: it has no primary key, or a deferrable one, and {reason}. "
        "Give it a primary key that is not deferrable, then run setup again."
    )


def explain_left_to_owner(table: TableFacts) -> str:
    """Say that the role may not publish the table."""
    return f"{table} is LEFT OUT and its changes are not captured. {_explain_owner(table)}"


def explain_kept_identity(table: TableFacts) -> str:
    """Say that a better replica identity is beyond the role's rights."""
    return f"{_explain_partial(table)} the replica identity stays as it is. {_explain_owner(table)}"


def explain_partial_identity(table: TableFacts, publication: str) -> str:
    """Say why whole old rows cannot be had."""
    if has_index_identity(table):
        return (
            f"{_explain_partial(table)} someone chose REPLICA IDENTITY USING INDEX. "
            "For whole rows set it to FULL, then run setup again."
        )
    reason = find_obstacle(table, publication)
    return f"{_explain_partial(table)} REPLICA IDENTITY FULL would make UPDATE fail: {reason}."


def explain_restriction(table: TableFacts) -> str:
    """Say that someone else decided what is published of it."""
    return f"{table}: what the publication's row filter or column list leaves out is not captured."


def explain_partitions(table: TableFacts) -> str:
    """Say what a partition that is added needs, as it does not take the replica identity over."""
    return f"{table}: run setup again after adding a partition; until then its old rows hold only their key."


def _explain_partial(table: TableFacts) -> str:
    return f"{table}: old rows (before) will hold only the columns of the replica identity, as"


def _explain_owner(table: TableFacts) -> str:
    member = next(member for member in table.members if not member.is_owner)
    return (
        f"The connected role does not own {member}: run setup as {member.owner}, "
        f'or grant that role to it: GRANT "{member.owner}" TO ...'
    )
