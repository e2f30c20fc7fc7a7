"""What the text of a statement alone decides of its message: kept, as the same texts come again and again."""

from __future__ import annotations

from functools import lru_cache
from typing import Final, NamedTuple

from django.core.signals import setting_changed
from django.dispatch import receiver

from bemi_orm.transport.emission import NO_OTHER_CONTEXT, PARAMETER, emit
from bemi_orm.transport.message import end_of_message
from bemi_orm.transport.statements import CACHE_SIZE, MAX_CACHED_LENGTH, Write, find_write


class Prepared(NamedTuple):
    """How a message is sent with a statement that writes.

    sql: the text. write: the first statement of it that writes. end: of the message, with the text in it.
    server_version: as libpq numbers it. start: where in the text the message goes.
    placeholders: how many `%s` there are, if every `%` is one and the message may be one more before them;
        else -1.
    with_parameter: what is sent where the message is the first parameter.
    """

    sql: str
    write: Write
    end: str
    server_version: int
    start: int
    placeholders: int
    with_parameter: str


def prepare(sql: str, server_version: int) -> Prepared | None:
    """Give what is known of a text, None if it does not write."""
    return (_prepare_cached if len(sql) <= MAX_CACHED_LENGTH else _prepare)(sql, server_version)


def _prepare(sql: str, server_version: int) -> Prepared | None:
    write = find_write(sql)
    if write is None:
        return None
    count = sql.count("%s")
    return Prepared(
        sql,
        write,
        end_of_message(sql),
        server_version,
        start=0 if write.may_lead else write.position,
        placeholders=count if write.may_lead and count == sql.count("%") else -1,
        with_parameter=f"{NO_OTHER_CONTEXT}{emit(PARAMETER, server_version)}{sql}",
    )


_prepare_cached: Final = lru_cache(maxsize=CACHE_SIZE)(_prepare)


@receiver(setting_changed)
def _forget(**kwargs: object) -> None:
    _prepare_cached.cache_clear()
