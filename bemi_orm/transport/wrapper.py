"""Sends the context with each statement that writes, in the same round trip.

Two statements in one simple-protocol text are one transaction (PostgreSQL manual, section 54.2.2.1 "Multiple
Statements in a Simple Query"), so message and rows belong together in autocommit as well.

CALL and DO may commit, but not in such a text: in autocommit they are sent alone, without a context. Put them
into `atomic()`, where they cannot commit anyway, and they carry one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeAlias

from django.db import DEFAULT_DB_ALIAS, DatabaseError, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.psycopg_any import is_psycopg3

from bemi_orm.exceptions import ConfigurationError
from bemi_orm.transport import drivers
from bemi_orm.transport.building import protect, savepoints_of_building
from bemi_orm.transport.counters import MESSAGE_FAILED, count_error
from bemi_orm.transport.emission import NO_OTHER_CONTEXT, PARAMETER, emit, literal, without_message
from bemi_orm.transport.message import context_text
from bemi_orm.transport.positions import Insertion, point_into_statement, renumber_format_error
from bemi_orm.transport.prepared import Prepared, prepare, prepare_cached
from bemi_orm.transport.scope import Scope, running_scope
from bemi_orm.transport.statements import MAX_CACHED_LENGTH, find_write

_GUARD: Final = Insertion(0, len(NO_OTHER_CONTEXT))

Execute: TypeAlias = Callable[[Any, Any, bool, dict[str, Any]], Any]
Plan: TypeAlias = tuple[Prepared, str]
"""How a message is sent with a statement, and the context in it as JSON."""


def install(connection: BaseDatabaseWrapper, wrapper: ContextSender) -> None:
    """Make a PostgreSQL connection send contexts, once, or note that its session is a new one."""
    if connection.vendor != "postgresql":
        return
    if sender := _sender_of(connection):
        sender.note_new_session()
        return
    connection.execute_wrappers.insert(0, wrapper)  # the end is popped by `execute_wrapper()`
    _show_statements_without_message(connection)


def emit_context(using: str | None = None) -> None:
    """Write the running scope's context into the current transaction, before writes that no wrapper sees.

    These are COPY from the client, `callproc`, and functions that write though they are called by SELECT.
    Nothing happens on a database that is not PostgreSQL.

    using: the alias, `default` if not given.
    Raises ConfigurationError outside of a transaction, as the context would explain nothing.
    """
    connection = connections[using or DEFAULT_DB_ALIAS]
    if connection.vendor != "postgresql":
        return
    connection.ensure_connection()
    if not drivers.is_in_transaction(connection):
        raise ConfigurationError(
            "emit_context() explains the writes of a transaction: call it inside atomic()."
        )
    message = context_text(running_scope())
    connection.validate_no_broken_transaction()
    _send_alone(connection, message)
    if sender := _sender_of(connection):
        sender.note_sent(connection)


class ContextSender:
    """The execute wrapper of one connection, in the present; `bemi_orm.timetravel.guard` adds the past."""

    __slots__ = ("_sent_in", "_server_version")

    def __init__(self) -> None:
        self._sent_in: object = None
        # 0: not known yet, or a standby, which refuses the statement by itself; a primary stays one, to the
        # session's end
        self._server_version = 0

    def __call__(self, execute: Execute, sql: Any, params: Any, many: bool, context: dict[str, Any]) -> Any:
        """Run the statement as Django asks for it."""
        return self.send(execute, sql, params, many, context)

    def send(self, execute: Execute, sql: Any, params: Any, many: bool, context: dict[str, Any]) -> Any:
        """Run the statement once, with the context if it writes; its errors and results are its own."""
        scope = running_scope()
        plan = None
        if savepoints_of_building() is not None:
            protect(context["connection"])
        elif scope is not None or self._sent_in is not None:
            plan = self._plan(scope, sql, context["connection"], context["cursor"].cursor)
        if plan is None:
            return execute(sql, params, many, context)
        if not is_psycopg3 or drivers.can_share_round_trip(context["cursor"].cursor, params, many):
            return _execute_with_message(plan, execute, params, many, context)
        prepared, carried = plan
        with _transaction(context["connection"], context["cursor"].cursor):
            _send_alone(context["connection"], prepared.message(carried))
            return _execute_after_message(prepared.sql, execute, params, many, context)

    def note_new_session(self) -> None:
        """Forget what was true of the session before."""
        self._server_version = 0

    def note_sent(self, connection: BaseDatabaseWrapper) -> None:
        """Remember that the connection's present transaction has a message."""
        self._sent_in = _transaction_of(connection)

    def _plan(
        self, scope: Scope | None, sql: Any, connection: BaseDatabaseWrapper, cursor: Any
    ) -> Plan | None:
        """Decide what to send; whatever fails here leaves the statement as it is."""
        try:
            text = sql if isinstance(sql, str) else drivers.statement_text(sql, cursor)
            if not text or not (version := self._server_version or self._find_version(text, connection)):
                return None
            prepared = (prepare_cached if len(text) <= MAX_CACHED_LENGTH else prepare)(text, version)
            # A broken transaction refuses the statement, with its own error; a cursor with a name only reads.
            if prepared is None or connection.needs_rollback or getattr(cursor, "name", None) is not None:
                return None
            transaction = _transaction_of(connection)
            if scope is None and self._sent_in is not transaction:
                self._sent_in = None  # nothing to inherit from: no message is as good as an empty one
                return None
            if prepared.write.may_commit and not drivers.is_in_transaction(connection):
                return None
            carried = context_text(scope)
            self._sent_in = transaction
            return prepared, carried
        except Exception as error:
            count_error(MESSAGE_FAILED, error)
            return None

    def _find_version(self, text: str, connection: BaseDatabaseWrapper) -> int:
        if find_write(text) is not None and not drivers.is_on_standby(connection):
            self._server_version = drivers.server_version(connection)
        return self._server_version


def _sender_of(connection: BaseDatabaseWrapper) -> ContextSender | None:
    return next((each for each in connection.execute_wrappers if isinstance(each, ContextSender)), None)


def _execute_with_message(
    plan: Plan, execute: Execute, params: Any, many: bool, context: dict[str, Any]
) -> Any:
    prepared, carried = plan
    cursor = context["cursor"].cursor
    bound = None
    # A wrapper of the project's own would see one parameter more.
    if prepared.placeholders >= 0 and len(context["connection"].execute_wrappers) == 1:
        bound = drivers.bind_message(prepared.message(carried), params, prepared.placeholders, cursor)
    text = prepared.with_parameter if bound else prepared.with_literal(carried)
    try:
        result = execute(text, bound or params, many, context)
    except DatabaseError as error:
        length = len(text) - len(prepared.sql) - _GUARD.length
        if bound:
            length += len(drivers.parameter_literal(prepared.message(carried), cursor)) - len(PARAMETER)
        point_into_statement(error, _GUARD, Insertion(_GUARD.length + prepared.start, length))
        raise
    except ValueError as error:
        if prepared.start == 0:
            renumber_format_error(error, len(text) - len(prepared.sql))
        raise
    if is_psycopg3:
        drivers.drop_message_result(cursor, 0 if prepared.write.may_lead else prepared.write.before)
    return result


def _execute_after_message(
    sql: str, execute: Execute, params: Any, many: bool, context: dict[str, Any]
) -> Any:
    try:
        return execute(f"{NO_OTHER_CONTEXT}{sql}", params, many, context)
    except DatabaseError as error:
        point_into_statement(error, _GUARD)
        raise


def _transaction_of(connection: BaseDatabaseWrapper) -> object:
    """Give something that tells the present transaction from earlier ones; None: the statement is all of it.

    Where Django does not manage it the connection itself has to do: that costs needless messages, no more.
    """
    if connection.atomic_blocks:
        return connection.atomic_blocks[0]
    return None if connection.autocommit else connection


@contextmanager
def _transaction(connection: BaseDatabaseWrapper, cursor: Any) -> Iterator[None]:
    """Hold a message and the statement after it together, by a transaction that Django does not note."""
    if drivers.is_in_transaction(connection) or drivers.is_in_pipeline(cursor):
        yield
    else:
        with connection.wrap_database_errors, connection.connection.transaction():
            yield


def _send_alone(connection: BaseDatabaseWrapper, message: str) -> None:
    """Send a message on the driver's own cursor, so that it is not in `connection.queries`."""
    connection.validate_no_broken_transaction()
    with connection.wrap_database_errors, connection.connection.cursor() as cursor:
        cursor.execute(emit(literal(message), drivers.server_version(connection)))


def _show_statements_without_message(connection: BaseDatabaseWrapper) -> None:
    """Keep `connection.queries`, and the tools that show it, as if there were no message."""
    original = connection.ops.last_executed_query

    def last_executed_query(cursor: Any, sql: Any, params: Any) -> str:
        text = original(cursor, sql, params)
        return without_message(text) if text else text

    connection.ops.last_executed_query = last_executed_query  # type: ignore[method-assign]
