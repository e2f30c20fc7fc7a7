"""Keeps present and past apart: in the execute wrapper of every PostgreSQL connection."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache, partial
from typing import Any, Final

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.utils import DatabaseError

from bemi_orm.exceptions import PastIsReadOnlyError, TimeTravelError
from bemi_orm.history.tracked import split_table
from bemi_orm.timetravel.counting import with_faster_count
from bemi_orm.timetravel.creating import SCHEMA, quoted
from bemi_orm.timetravel.journeys import ENTER, Journey, running_journey
from bemi_orm.timetravel.uuids import casts_to_texts, to_texts
from bemi_orm.timetravel.views import past_models, view_name
from bemi_orm.transport.drivers import statement_text
from bemi_orm.transport.statements import find_write
from bemi_orm.transport.tokens import tokenize
from bemi_orm.transport.wrapper import ContextSender, Execute, install

_REFUSED: Final = "BEMI1"
_READ_ONLY: Final = "25006"
_ABORTED: Final = "25P02"
_IN_ERROR: Final = 3  # PQTRANS_INERROR, the same number in both drivers

_IDENTIFIER: Final = re.compile(r'"[^"]*(?:""[^"]*)*"|[\w$]+')
_DOT: Final = re.compile(r"\s*(?:--.*|/\*.*)?\.", re.DOTALL)
_MAY_LEAVE: Final = re.compile(
    r"\b(?:set|reset|discard|set_config|commit|end|rollback|abort|begin|start|prepare)\b", re.IGNORECASE
)
_ENDS: Final = frozenset({"COMMIT", "END", "ABORT", "BEGIN", "START"})
_OF_THE_JOURNEY: Final = ("search_path", "bemi_orm.")
_SETTINGS: Final = frozenset({"SEARCH_PATH", "SCHEMA", "BEMI_ORM"})


_holders: dict[BaseDatabaseWrapper, Journey] = {}


def install_wrapper(sender: object, connection: BaseDatabaseWrapper, **kwargs: object) -> None:
    """Put the one wrapper on a PostgreSQL connection, once; a receiver of `connection_created`."""
    install(connection, GuardedSender())


class GuardedSender(ContextSender):
    """The execute wrapper of a connection; one for guard and contexts, as each costs every statement time."""

    __slots__ = ()

    def __call__(self, execute: Execute, sql: Any, params: Any, many: bool, context: dict[str, Any]) -> Any:
        """Run the statement in the time that its caller is in."""
        if running_journey.get() is None and not _holders:  # as it nearly always is
            return self.send(execute, sql, params, many, context)
        return guard(partial(self.send, execute), sql, params, many, context)


@contextmanager
def hold(connection: BaseDatabaseWrapper, journey: Journey) -> Iterator[None]:
    """Note that the connection answers from the past, for this journey and for nobody else."""
    outer = _holders.get(connection)
    _holders[connection] = journey
    try:
        yield
    finally:
        if outer is None:
            del _holders[connection]
        else:
            _holders[connection] = outer


def mend_held(connection: BaseDatabaseWrapper) -> None:
    """Take back that Django holds the transaction for broken, where the connection is in the past and is not.

    It does so where an atomic block ends by an exception, such as a refused write, for which nothing
    was sent. Of a read-only transaction nothing is left half done.
    """
    if connection in _holders and connection.needs_rollback and connection.connection is not None:
        connection.set_rollback(connection.connection.info.transaction_status == _IN_ERROR)


def guard(execute: Execute, sql: Any, params: Any, many: bool, context: dict[str, Any]) -> Any:
    """Run the statement, while anybody is in the past, if its caller's time answers it; else raise."""
    journey = running_journey.get()
    holder = _holders.get(context["connection"])
    if journey is None and holder is None:
        return execute(sql, params, many, context)
    text = statement_text(sql, context["cursor"].cursor) or ""
    if journey is not None and holder is journey:
        mend_held(context["connection"])
        if sql is not ENTER:
            _refuse_leaving(text, params)
        return _ask_past(journey, text, lambda text: execute(text, to_texts(params), many, context))
    if holder is not None:
        raise TimeTravelError(
            f"The connection {context['connection'].alias!r} is in the past for another task of this thread. "
            "Tasks that run at the same time as time_travel() cannot share its connection."
        )
    assert journey is not None
    _refuse_present(text, context["connection"].alias, journey.readers)
    return execute(sql, params, many, context)


def _ask_past(journey: Journey, text: str, execute: Callable[[str], Any]) -> Any:
    _refuse_write(text)
    text = casts_to_texts(_with_views(text))
    _refuse_escapes(text)
    if live := _find_live(text, journey.schemas, journey.readers):
        raise TimeTravelError(f"{live} is the live table. Leave the schema out, to read it as it was.")
    try:
        return execute(with_faster_count(journey, text))
    except DatabaseError as error:
        _explain(error)
        raise


def _refuse_write(text: str) -> None:
    if find_write(text) is not None:
        raise PastIsReadOnlyError("The past cannot be changed: a write inside time_travel(). Leave it first.")


def _refuse_leaving(text: str, params: Any) -> None:
    """Refuse what would turn the rest of the block to the present: its transaction and settings must stay."""
    if _MAY_LEAVE.search(text) is None:
        return
    named = f"{text} {params}".lower()
    if "set_config" in named and any(name in named for name in _OF_THE_JOURNEY):
        raise TimeTravelError("set_config() of the search path inside time_travel() would show the present.")
    for words in _statements(text):
        if _leaves(words, text):
            raise TimeTravelError(
                f"{' '.join(words[:2])} inside time_travel() would end it: it needs its transaction and "
                "its search path. Leave it first."
            )


def _statements(text: str) -> Iterator[list[str]]:
    words: list[str] = []
    for token in tokenize(text):
        if token.text == ";" and token.depth == 0:
            yield words
            words = []
        else:
            words.append(token.text)
    yield words


def _leaves(words: list[str], text: str) -> bool:
    match words:
        case [verb, *_] if verb in _ENDS:
            return True
        case ["ROLLBACK", *rest]:
            return "TO" not in rest  # to a savepoint, as Django does
        case ["PREPARE", "TRANSACTION", *_] | ["RESET" | "DISCARD", "ALL", *_]:
            return True
        case ["SET", "SESSION" | "LOCAL", name, *_] | ["SET" | "RESET", name, *_]:
            return name in _SETTINGS or (
                name == '"' and any(name in text.lower() for name in _OF_THE_JOURNEY)
            )
    return False


def _refuse_escapes(text: str) -> None:
    """Names as `U&"..."` are not read here, so they could be those of live tables."""
    if "u&" not in text.lower():
        return
    previous = None
    for token in tokenize(text):
        if token.text == '"' and previous is not None and previous == ("U", token.position - 2, token.depth):
            raise TimeTravelError(
                'Names as U&"..." are refused inside time_travel(). Write them as they are.'
            )
        previous = token


def _refuse_present(text: str, alias: str, readers: tuple[str, ...]) -> None:
    """Let other databases answer only what has no past, such as sessions."""
    _refuse_write(text)
    _refuse_escapes(text)
    if match := _table_names(readers).search(text):
        raise TimeTravelError(
            f"The live table {match[0]} would be read from {alias!r} inside time_travel(). Use the alias of "
            "BEMI_DATABASE, to which the router sends queries that name none."
        )


def _explain(error: DatabaseError) -> None:
    cause = error.__cause__
    state = getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", None)
    if state == _REFUSED:
        raise TimeTravelError(str(error).splitlines()[0]) from error
    if state == _READ_ONLY:
        raise PastIsReadOnlyError(f"The past cannot be changed: {str(error).splitlines()[0]}.") from error
    if state == _ABORTED:
        raise TimeTravelError(
            "The server refused an earlier query of this time_travel(), and answers no more. Leave it and "
            "enter again, or put a query that may fail into transaction.atomic()."
        ) from error


def _with_views(text: str) -> str:
    """Point models that name their schema to their views; the search path cannot."""
    for table, view in _qualified_tables():
        text = text.replace(table, view)
    return text


@lru_cache(maxsize=1)
def _qualified_tables() -> tuple[tuple[str, str], ...]:
    qualified = [model for model in past_models().values() if split_table(model._meta.db_table)[0]]
    return tuple(
        (f'"{model._meta.db_table.strip(chr(34))}"', f"{SCHEMA}.{quoted(view_name(model))}")
        for model in qualified
    )


def _find_live(text: str, schemas: tuple[str, ...], readers: tuple[str, ...]) -> str | None:
    """Give the first live table or view under the name of its schema, also where comments are in between."""
    if match := _live_tables(schemas, readers).search(text):
        return match[0]
    if "--" not in text and "/*" not in text:
        return None
    is_schema, is_table = _exact(_schemas(schemas)), _exact(_names(readers))
    before, end = "", 0
    for token in tokenize(text):
        if token.text == ".":
            continue
        found = _IDENTIFIER.match(text, token.position)
        is_qualified = before and _DOT.match(text, end, token.position)
        if found and is_qualified and is_schema.fullmatch(before) and is_table.fullmatch(found[0]):
            return text[end - len(before) : found.end()]
        before, end = (found[0], found.end()) if found else ("", 0)
    return None


@lru_cache(maxsize=64)
def _live_tables(schemas: tuple[str, ...], readers: tuple[str, ...]) -> re.Pattern[str]:
    """Match a table of a model under the name of its schema, in strings too."""
    schema, table = _any(_schemas(schemas)), _any(_names(readers))
    return re.compile(
        rf'(?:"(?:{schema})"|(?<!["\w])(?i:{schema}))\s*\.\s*(?:"(?:{table})"|(?i:{table})(?!["\w]))'
    )


def _exact(names: Iterable[str]) -> re.Pattern[str]:
    any_name = _any(names)
    return re.compile(rf'"(?:{any_name})"|(?i:{any_name})')


@lru_cache(maxsize=1)
def _table_names(readers: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w)(?:{_any(_names(readers))})(?!\w)", re.IGNORECASE)


def _schemas(schemas: tuple[str, ...]) -> list[str]:
    named = (split_table(db_table)[0] for db_table in past_models())
    return sorted({*schemas, *filter(None, named)})


def _names(readers: tuple[str, ...]) -> list[str]:
    return [*(split_table(db_table)[1] for db_table in past_models()), *readers]


def _any(names: Iterable[str]) -> str:
    return "|".join(map(re.escape, names)) or "(?!)"
