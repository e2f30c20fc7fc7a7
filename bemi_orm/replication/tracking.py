"""Which tables are tracked: all but ours and Django's own bookkeeping, or what the patterns say."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache
from glob import escape
from typing import Final

from bemi_orm.exceptions import ConfigurationError

ALWAYS_IGNORED: Final = frozenset({"django_migrations", "django_session"})

_OWN_TABLES: Final = re.compile(r"changes(_default|_\d{4}_\d{2})?|bemi_checkpoint|bemi_gap")
"""The partitions count, too: one that was detached to be archived is an ordinary table."""

_NAME: Final = r'"(?:[^"]|"")+"|[^".]+'
_PATTERN: Final = re.compile(rf"(?:(?P<schema>{_NAME})\.)?(?P<table>{_NAME})")


@dataclass(frozen=True, slots=True)
class Tracking:
    """Rules for the tables of one database.

    track, ignore: `table` or `schema.table`, each part a name or a glob (`*`, `?`, `[a-z]`), case-sensitive.
        A part in double quotes, as in SQL, is a name as it stands, dots and stars included.
        What both match is ignored.
    own_schema: the schema of our own `changes` where it lies in this database; else None, as then a table
        of that name is the user's.

    Raises ConfigurationError for a pattern of another form.
    """

    track: tuple[str, ...] = ("*",)
    ignore: tuple[str, ...] = ()
    own_schema: str | None = None

    def __post_init__(self) -> None:
        for pattern in (*self.track, *self.ignore):
            _parse(pattern)

    def matches(self, schema: str, table: str) -> bool:
        """Say whether the table's changes are wanted; of a partitioned table, ask for its root."""
        if table in ALWAYS_IGNORED or (schema == self.own_schema and _OWN_TABLES.fullmatch(table)):
            return False
        return _any_matches(self.track, schema, table) and not _any_matches(self.ignore, schema, table)

    def unmatched(self, tables: Collection[tuple[str, str]]) -> tuple[str, ...]:
        """Give the patterns of `track` that fit none of these (schema, table) pairs: most are misspelt."""
        return tuple(
            pattern
            for pattern in self.track
            if not any(_matches(pattern, schema, table) for schema, table in tables)
        )


def _any_matches(patterns: Iterable[str], schema: str, table: str) -> bool:
    return any(_matches(pattern, schema, table) for pattern in patterns)


def _matches(pattern: str, schema: str, table: str) -> bool:
    schema_glob, table_glob = _parse(pattern)
    return fnmatchcase(table, table_glob) and (schema_glob is None or fnmatchcase(schema, schema_glob))


@lru_cache(maxsize=1_000)
def _parse(pattern: str) -> tuple[str | None, str]:
    match = _PATTERN.fullmatch(pattern)
    if match is None:
        raise ConfigurationError(
            f"{pattern!r} names no table. Write table or schema.table, with * for any characters, "
            'and put a name that holds a dot in double quotes, as in SQL: public."my.table"'
        )
    schema, table = match.groups()
    return None if schema is None else _glob(schema), _glob(table)


def _glob(part: str) -> str:
    return escape(part[1:-1].replace('""', '"')) if part.startswith('"') else part
