"""Which encoder a type gets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from bemi_orm.wal.jsontext.array_types import ARRAY_ELEMENTS, BOX_ARRAY_OID
from bemi_orm.wal.jsontext.arrays import array_encoder, vector_encoder
from bemi_orm.wal.jsontext.documents import DOCUMENTS
from bemi_orm.wal.jsontext.scalars import SCALARS, encode_integer
from bemi_orm.wal.jsontext.strings import STRINGS, Encoder, encode_plain, encode_string
from bemi_orm.wal.jsontext.temporal import TEMPORAL
from bemi_orm.wal.types import TypeFact

_BUILT_IN: Final[Mapping[int, Encoder]] = {
    **SCALARS,
    **STRINGS,
    **TEMPORAL,
    **DOCUMENTS,
    22: vector_encoder(encode_integer),  # int2vector
    30: vector_encoder(encode_plain),  # oidvector
}


def base_type_oid(type_oid: int, types: Mapping[int, TypeFact]) -> int:
    """Give the type under a domain, and under a domain over a domain; any other type's own OID."""
    fact = types.get(type_oid)
    return base_type_oid(fact.base_oid, types) if fact and fact.base_oid else type_oid


def encoder_for(type_oid: int, types: Mapping[int, TypeFact]) -> Encoder:
    """Give the encoder of a type; a type that nothing is known of becomes a string of its text.

    types: the catalog's facts by OID, at least of the types that are not built in.
    """
    oid = base_type_oid(type_oid, types)
    if oid in _BUILT_IN:
        return _BUILT_IN[oid]
    if oid in ARRAY_ELEMENTS:
        delimiter = b";" if oid == BOX_ARRAY_OID else b","
        return array_encoder(encoder_for(ARRAY_ELEMENTS[oid], types), delimiter)
    fact = types.get(oid)
    if fact and fact.element_oid:
        return array_encoder(encoder_for(fact.element_oid, types), fact.delimiter.encode())
    return encode_string
