"""What the text of a statement alone decides of its message: kept, as the same texts come again and again."""

from __future__ import annotations

from functools import lru_cache
from typing import Final, NamedTuple

from django.core.signals import setting_changed
from django.db.backends.postgresql.psycopg_any import is_psycopg3
from django.dispatch import receiver

from bemi_orm.transport.emission import NO_OTHER_CONTEXT, PARAMETER, around_literal, emit, escape
from bemi_orm.transport.message import end_of_message
from bemi_orm.transport.statements import CACHE_SIZE, Write, find_write


class Prepared(NamedTuple):
    """How a message is sent with a statement that writes.

    sql: the text. write: the first statement of it that writes. end: of the message, with the text in it.
    comma: what stands between a context and this end.
    start: where in the text the message goes.
    before, after: what is sent before and behind a context that is part of the text, but for `sql[start:]`.
    placeholders: how many `%s` there are, if the message may be one more before them: with psycopg 3, which
        remembers texts with placeholders, and where every `%` is one; else -1.
    with_parameter: what is sent where the message is the first parameter.
    """

    sql: str
    write: Write
    end: str
    comma: str
    start: int
    before: str
    after: str
    placeholders: int
    with_parameter: str

    def message(self, context: str) -> str:
        """Give the message as JSON. context: as `context_text` gives it."""
        comma = self.comma if context != "{}" else ""
        return f"{context[:-1]}{comma}{self.end}"

    def with_literal(self, context: str) -> str:
        """Give what is sent where the message is part of the text."""
        comma = self.comma if context != "{}" else ""
        return f"{self.before}{escape(context[:-1])}{comma}{self.after}{self.sql[self.start :]}"


def prepare(sql: str, server_version: int) -> Prepared | None:
    """Give what is known of a text, None if it does not write. server_version: as libpq numbers it."""
    write = find_write(sql)
    if write is None:
        return None
    start, end = (0 if write.may_lead else write.position), end_of_message(sql)
    opening, closing = around_literal(server_version)
    can_be_parameter = is_psycopg3 and write.may_lead and sql.count("%s") == sql.count("%")
    return Prepared(
        sql,
        write,
        end,
        "" if end == "}" else ",",
        start,
        before=f"{NO_OTHER_CONTEXT}{sql[:start]}{opening}",
        after=f"{escape(end)}{closing}",
        placeholders=sql.count("%s") if can_be_parameter else -1,
        with_parameter=f"{NO_OTHER_CONTEXT}{emit(PARAMETER, server_version)}{sql}"
        if can_be_parameter
        else "",
    )


prepare_cached: Final = lru_cache(maxsize=CACHE_SIZE)(prepare)
"""The same, for texts of at most `MAX_CACHED_LENGTH` characters, as each is kept some times over."""


@receiver(setting_changed)
def _forget(**kwargs: object) -> None:
    prepare_cached.cache_clear()
