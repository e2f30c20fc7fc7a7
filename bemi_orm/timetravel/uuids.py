"""UUIDs inside a journey: the views show them as texts, so that a condition on a key reaches its index."""

from __future__ import annotations

import re
from typing import Any, Final
from uuid import UUID

from django.contrib.postgres.fields import ArrayField
from django.db.models import ForeignObject

from bemi_orm.transport.tokens import tokenize

_CAST: Final = re.compile(
    r"::\s*(?:pg_catalog\s*\.\s*)?(?P<type>uuid)\b(?P<array>(?:\s*\[\s*\d*\s*\])*)", re.I
)


def holds_uuids(field: Any) -> bool:
    """Whether values of the field, or of the one that it points to, are UUIDs or arrays of them."""
    while isinstance(field, ForeignObject):
        field = field.target_field
    if isinstance(field, ArrayField):
        return holds_uuids(field.base_field)
    return getattr(field, "get_internal_type", str)() == "UUIDField"


def from_texts(value: Any, expression: object = None, connection: object = None) -> Any:
    """Give what the driver gives for a uuid or an array of them; a converter of Django's."""
    if isinstance(value, list):
        return [from_texts(item) for item in value]
    return UUID(value) if isinstance(value, str) else value


def to_texts(params: Any) -> Any:
    """Give the parameters of a statement with texts for the UUIDs, in lists, tuples and dicts too."""
    if isinstance(params, UUID):
        return str(params)
    if type(params) in (list, tuple):
        return type(params)(map(to_texts, params))
    if type(params) is dict:
        return {name: to_texts(value) for name, value in params.items()}
    return params


def casts_to_texts(sql: str) -> str:
    """Give the statement with the text of each `...::uuid`, in lower case and with hyphens as that is."""
    if "uuid" not in sql.lower():
        return sql
    types = {token.position for token in tokenize(sql) if token.text == "UUID"}
    return _CAST.sub(
        lambda cast: f"{cast[0]}::text{cast['array']}" if cast.start("type") in types else cast[0], sql
    )
