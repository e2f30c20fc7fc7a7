"""Row messages to stored changes: an encoder compiled once per relation version, no dict per row."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Final

from bemi_orm.rows import RowChange, key_text
from bemi_orm.wal.jsontext import base_type_oid, encode_string, encoder_for
from bemi_orm.wal.jsontext.scalars import INTEGER_OIDS
from bemi_orm.wal.messages import UNCHANGED, Column, Delete, Insert, Relation, TupleData, Update
from bemi_orm.wal.types import TypeFact

NO_ROW: Final = b"{}"

MAX_IMAGE_BYTES: Final = 250_000_000
"""`jsonb` holds 268,435,455 bytes in an object; its own form differs a little from the text's length."""

LARGE_VALUE_BYTES: Final = 1_000_000
"""What gives way to a digest in an image that is too large."""


def compile_encoder(
    relation: Relation, key_columns: Sequence[str], types: Mapping[int, TypeFact]
) -> RowEncoder:
    """Prepare the encoding of a table's rows.

    relation: the table as the stream describes it at this point; compile again when it is sent again.
    key_columns: the primary key in the order of `pg_index`; empty without one. The flags of the relation
        do not tell it: under REPLICA IDENTITY FULL every column has one. If a column is not in the relation
        (dropped or renamed since), the rows have no key.
    types: what the catalog knows of the types that are not built in.
    """
    return RowEncoder(relation, key_columns, types)


class RowEncoder:
    """Encodes the row messages of one relation version; see `compile_encoder`."""

    def __init__(self, relation: Relation, key_columns: Sequence[str], types: Mapping[int, TypeFact]) -> None:
        self._schema = relation.schema
        self._table = relation.table
        self._fields = tuple(
            (encode_string(column.name.encode()) + b":", encoder_for(column.type_oid, types))
            for column in relation.columns
        )
        self._in_identity = tuple(column.in_identity for column in relation.columns)
        self._has_key_identity = relation.replica_identity in {"d", "i"}
        self._key = _positions(relation.columns, key_columns)
        self._has_integer_key = (
            len(self._key) == 1
            and base_type_oid(relation.columns[self._key[0]].type_oid, types) in INTEGER_OIDS
        )

    def encode(self, message: Insert | Update | Delete) -> RowChange:
        """Give the change of one row.

        An absent key in `before` or `after` is a value that the server did not send, null is SQL NULL.
        """
        if isinstance(message, Insert):
            return self._change("CREATE", message.new, NO_ROW, self._image(message.new))
        if isinstance(message, Delete):
            old = message.old if message.old_kind == "O" else self._identity(message.old)
            return self._change("DELETE", old, self._image(old), NO_ROW)
        return self._update(message)

    def truncate(self) -> RowChange:
        """Give the change for a TRUNCATE of the table, which has no row and so no key."""
        return RowChange(self._schema, self._table, "TRUNCATE", None, None, None, NO_ROW, NO_ROW)

    def _update(self, message: Update) -> RowChange:
        new, old = message.new, message.old
        if old is None:
            # The server sends no old row where the identity is unchanged: then the new row tells it.
            before = self._image(self._identity(new)) if self._has_key_identity else NO_ROW
            return self._change("UPDATE", new, before, self._image(new))
        if message.old_kind == "K":
            old = self._identity(old)
        if UNCHANGED in new:
            new = tuple(was if now is UNCHANGED else now for now, was in zip(new, old, strict=True))
        previous_key = self._key_text(old)
        change = self._change("UPDATE", new, self._image(old), self._image(new))
        return (
            change
            if previous_key == change.primary_key
            else change._replace(previous_primary_key=previous_key)
        )

    def _change(self, operation: str, keyed: TupleData, before: bytes, after: bytes) -> RowChange:
        key = self._key_text(keyed)
        number = int(key) if key is not None and self._has_integer_key else None
        return RowChange(self._schema, self._table, operation, key, number, None, before, after)

    def _identity(self, row: TupleData) -> TupleData:
        """Keep the identity; the other places are not known, which is what `UNCHANGED` says too."""
        return tuple(
            value if known else UNCHANGED for value, known in zip(row, self._in_identity, strict=True)
        )

    def _image(self, row: TupleData) -> bytes:
        image = b"{%b}" % b",".join(
            [
                name + b"null" if value is None else name + encode(value)
                for (name, encode), value in zip(self._fields, row, strict=True)
                if value is not UNCHANGED
            ]
        )
        return image if len(image) <= MAX_IMAGE_BYTES else self._digested_image(row)

    def _digested_image(self, row: TupleData) -> bytes:
        """Give the image with a digest in the place of each large value, as `jsonb` could not hold it."""
        small = tuple(
            None if isinstance(value, bytes) and len(value) > LARGE_VALUE_BYTES else value for value in row
        )
        fields = [self._image(small)[1:-1]]
        for (name, _), value, kept in zip(self._fields, row, small, strict=True):
            if isinstance(value, bytes) and kept is None:
                digest = f"sha256:{hashlib.sha256(value).hexdigest()} ({len(value)} bytes)"
                fields.append(name + encode_string(digest.encode()))
        return b"{%b}" % b",".join(fields)  # of two equal keys in a document, jsonb keeps the last

    def _key_text(self, row: TupleData) -> str | None:
        values = [value for place in self._key if isinstance(value := row[place], bytes)]
        if len(values) < len(self._key):
            return None  # a part of the key was not sent
        return key_text([value.decode("utf-8", "backslashreplace") for value in values])


def _positions(columns: Sequence[Column], names: Sequence[str]) -> tuple[int, ...]:
    places = {column.name: place for place, column in enumerate(columns)}
    return tuple(places[name] for name in names) if places.keys() >= set(names) else ()
