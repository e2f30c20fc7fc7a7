"""Tables, keys and images as the text of statements that have parameters, so that a `%` is doubled."""

from __future__ import annotations

from collections.abc import Iterable

from bemi_orm.revert.steps import Image
from bemi_orm.revert.tables import ForeignKey, Table


def quote_name(name: str) -> str:
    """Give a name as SQL has it; Django's own quoting leaves one alone that looks quoted already."""
    return '"' + name.replace('"', '""') + '"'


def quote(name: str) -> str:
    """Give a name as it stands in a statement with parameters."""
    return quote_name(name).replace("%", "%%")


def qualified(name: tuple[str, str]) -> str:
    """Give schema and name."""
    return ".".join(map(quote, name))


def name_of(table: Table) -> str:
    """Give the table's schema and name."""
    return qualified(table.name)


def typed(name: str, type_: str) -> str:
    """Give a column with its type."""
    return f"{quote(name)} {type_.replace('%', '%%')}"


def definitions(table: Table, columns: Iterable[str]) -> str:
    """Give columns of the table with the types that they have now."""
    return ", ".join(typed(name, table.columns[name].type) for name in columns)


def same_key(table: Table, one: str, other: str) -> str:
    """Compare the primary keys of two aliases."""
    return " AND ".join(f"{one}.{quote(c)} = {other}.{quote(c)}" for c in table.key)


def taken(table: Table, column: str) -> str:
    """Give what a column takes from the image `r`.

    The JSON value null looks like SQL's NULL in an image; a NOT NULL column tells which it was.
    """
    found, name = table.columns[column], f"r.{quote(column)}"
    if found.type in ("json", "jsonb") and not found.is_nullable:
        return f"coalesce({name}, 'null'::{found.type})"
    return name


def converted(table: Table, image: str, known: Image | None) -> str:
    """Give an image in the types that the columns have now."""
    defined = [column for column in table.columns if column in (known or {})]
    if not defined:
        return "'{}'::jsonb"
    return f"(SELECT to_jsonb(r.*) FROM jsonb_to_record({image}) AS r({definitions(table, defined)}))"


def references(key: ForeignKey) -> str:
    """Give numbered images of a parent's columns, a parameter, as rows `s` and `v`."""
    defined = ", ".join(map(typed, key.parent_columns, key.parent_types))
    return (
        "jsonb_to_recordset(%s::jsonb) AS s(n int, image jsonb) "
        f"CROSS JOIN LATERAL jsonb_to_record(s.image) AS v({defined})"
    )


def pointing(key: ForeignKey, alias: str, columns: tuple[str, ...]) -> str:
    """Compare columns of an alias with those of `references`."""
    pairs = zip(columns, key.parent_columns, strict=True)
    return " AND ".join(f"{alias}.{quote(c)} = v.{quote(p)}" for c, p in pairs)
