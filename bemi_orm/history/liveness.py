"""Which changes are the state of their tables at a moment: the one definition, in SQL.

A row is alive at a moment if its last change up to then is not a DELETE, and nothing up to then ended it: a
later change of its key, a later UPDATE that moved the row of its key away, or a later TRUNCATE of its table.
Anti-joins, because the planner can take conditions and joins by key down to the index through them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

BY_NUMBER: Final = "e.primary_key_int = {c}.primary_key_int"
BY_TEXT: Final = (
    "e.primary_key = {c}.primary_key AND e.primary_key_int IS NULL AND {c}.primary_key_int IS NULL"
)
MOVED: Final = "e.previous_primary_key = {c}.primary_key AND e.previous_primary_key IS NOT NULL"
"""The second half tells the planner that there are few."""

TRUNCATED: Final = "e.operation = 'TRUNCATE'"

_ARRIVAL: Final = """{c}.operation IN ('CREATE', 'UPDATE', 'SNAPSHOT')
    AND {c}.primary_key IS NOT NULL
    AND ({c}."position", {c}.ordinal) <= ({position}, {ordinal}){c_in_time}"""

_NOT_ENDED: Final = """NOT EXISTS (
        SELECT FROM {changes} e
        WHERE e.database = {c}.database AND e.schema = {c}.schema AND {same_table}
            AND {ending}
            AND (e."position", e.ordinal) > ({c}."position", {c}.ordinal)
            AND (e."position", e.ordinal) <= ({position}, {ordinal}){e_in_time}{exactly}
    )"""

# A deferrable key may be held by two rows inside a transaction. Then a change of the key need not be of this
# row: in its own transaction the images must agree, and in a later one the row that leaves must not be one
# that came in that same transaction. Rows that are alike in everything are counted.
_LEAVES_ITSELF: Final = """
            AND ({unless}e.operation = 'SNAPSHOT' OR (
                {departs}
                AND (e."position" > {c}."position" OR e.before = {c}.after)
                AND (
                    SELECT count(*) FILTER (
                        WHERE x.before = e.before AND (
                            x.previous_primary_key = {c}.primary_key
                            OR (x.previous_primary_key IS NULL AND x.operation IN ('UPDATE', 'DELETE'))
                        )
                    ) > count(*) FILTER (
                        WHERE x.after = e.before AND x.primary_key = {c}.primary_key
                            AND x.operation <> 'DELETE' AND x.ordinal < e.ordinal
                    )
                    FROM {changes} x
                    WHERE x.database = e.database AND x.schema = e.schema AND x."table" = e."table"
                        AND x."position" = e."position" AND x.ordinal <= e.ordinal
                        AND (x."position", x.ordinal) > ({c}."position", {c}.ordinal)
                        AND (x.primary_key = {c}.primary_key OR x.previous_primary_key = {c}.primary_key)
                )
            ))"""
_DEPARTS: Final = {
    MOVED: "true",
    BY_NUMBER: "e.operation IN ('UPDATE', 'DELETE') AND e.previous_primary_key IS NULL",
    BY_TEXT: "e.operation IN ('UPDATE', 'DELETE') AND e.previous_primary_key IS NULL",
}


@dataclass(frozen=True, slots=True)
class Terms:
    """The SQL that stands for the parts of the definition.

    c: alias of the change that is asked about. changes: the table.
    position, ordinal: the last place that belongs to the moment.
    same_table: condition that `e` is of the table of `{c}`.
    endings: which of the endings can be; one of the kinds of keys is enough where that is known.
    shared_keys: SQL for whether keys of the table of `e` are deferrable; empty: none is.
    until: SQL of a time before which all changes up to the moment were committed; empty: not known.
    """

    c: str
    changes: str
    position: str
    ordinal: str
    same_table: str
    endings: Sequence[str] = (BY_NUMBER, BY_TEXT, MOVED, TRUNCATED)
    shared_keys: str = ""
    until: str = ""


def alive(terms: Terms) -> str:
    """Give the condition that the change `c` holds a row that is alive at the moment."""
    return "\n    AND ".join([_fill(_ARRIVAL, terms), *_not_ended(terms, terms.endings)])


def last_of_gone(terms: Terms) -> str:
    """Give the condition that the change `c` was the last of a row that is not there any more.

    That is its DELETE, or what came last before a TRUNCATE of its table.
    """
    changed_after = _not_ended(replace(terms, shared_keys=""), set(terms.endings) - {TRUNCATED})
    (not_truncated,) = _not_ended(terms, [TRUNCATED])
    place = f'({terms.c}."position", {terms.c}.ordinal) <= ({terms.position}, {terms.ordinal})'
    parts = [
        f"{terms.c}.primary_key IS NOT NULL AND {terms.c}.operation <> 'TRUNCATE' AND {place}",
        f"({terms.c}.operation = 'DELETE' OR NOT {not_truncated})",
    ]
    return "\n    AND ".join([*parts, *changed_after, *_key_is_free(terms)])


def _key_is_free(terms: Terms) -> list[str]:
    """A DELETE may come last though another row has the key: it came before this one left."""
    if not terms.shared_keys:
        return []
    same_row = f"r.primary_key = {terms.c}.primary_key AND r.database = {terms.c}.database"
    same_table = f'r.schema = {terms.c}.schema AND r."table" = {terms.c}."table"'
    is_alive = alive(replace(terms, c="r"))
    return [f"NOT EXISTS (SELECT FROM {terms.changes} r WHERE {same_row} AND {same_table} AND {is_alive})"]


def _not_ended(terms: Terms, endings: Iterable[str]) -> list[str]:
    return [
        _fill(_NOT_ENDED, terms, ending=_fill(ending, terms), exactly=_exactly(ending, terms))
        for ending in endings
    ]


def _exactly(ending: str, terms: Terms) -> str:
    if not terms.shared_keys or ending not in _DEPARTS:
        return ""
    unless = "" if terms.shared_keys == "true" else f"NOT ({terms.shared_keys}) OR "
    return _fill(_LEAVES_ITSELF, terms, departs=_DEPARTS[ending], unless=unless)


def _fill(template: str, terms: Terms, **parts: str) -> str:
    names = {"c": terms.c, "changes": terms.changes, "position": terms.position, "ordinal": terms.ordinal}
    in_time = f" AND {{}}.committed_at < {terms.until}" if terms.until else ""
    names |= {"c_in_time": in_time.format(terms.c), "e_in_time": in_time.format("e")}
    return template.format(**names, same_table=terms.same_table.replace("{c}", terms.c), **parts)
