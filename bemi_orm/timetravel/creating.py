"""The SQL that makes a view of the past, or one that refuses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from bemi_orm.history.states import literal

SCHEMA: Final = "bemi_time_travel"

Exists: TypeAlias = Callable[[str, str], bool]
"""Whether the database of `changes` has it: takes "type" or "collation", and the name as SQL has it."""


def refusal_sql(name: str, columns: Mapping[str, str], reason: str, comment: str, *, exists: Exists) -> str:
    """Give the statements that make a view which refuses to be read, and says why.

    columns: name to type. They depend on what refuses: of constants the planner would take a condition for
    false, and not read at all.
    """
    listed = ", ".join(
        f"CASE WHEN r THEN NULL::{kind if exists('type', kind) else 'text'} END AS {quoted(column)}"
        for column, kind in columns.items()
    )
    return create_view(name, f"SELECT {listed} FROM {SCHEMA}.refuse({literal(reason)}) AS r", comment)


def create_view(name: str, query: str, comment: str) -> str:
    """Give the statements that make a view; what a role sees by it is what it may see of `changes`."""
    view = f"{SCHEMA}.{quoted(name)}"
    return (
        f"CREATE VIEW {view} WITH (security_invoker = true) AS\n{query};\n"
        f"COMMENT ON VIEW {view} IS {literal(comment)};\n"
    )


def quoted(name: str) -> str:
    """Give an identifier in double quotes."""
    return '"' + name.replace('"', '""') + '"'
