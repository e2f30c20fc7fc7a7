"""A stored change: its identity, its key, and its images."""

from __future__ import annotations

from typing import NamedTuple


class RowChange(NamedTuple):
    """One row change, ready to store, but for its context and its place in the transaction.

    A named tuple, not a dataclass: one is made for each row, and it costs a third.

    before, after: JSON text of an object, equal to `to_jsonb(row)`; an absent key is a value not known.
    primary_key: the key's text, see `key_text`; None where the table has no key.
    """

    schema: str
    table: str
    operation: str
    primary_key: str | None
    primary_key_int: int | None
    previous_primary_key: str | None
    before: bytes
    after: bytes
