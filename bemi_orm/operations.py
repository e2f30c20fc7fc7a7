"""The migration operation that makes the tables of the trail, on the alias of `BEMI_DATABASE` only."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files

from django.core.management.base import CommandError
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.operations import RunSQL
from django.db.migrations.state import ProjectState

from bemi_orm.conf import settings
from bemi_orm.exceptions import SetupError


class ForeignTableError(SetupError, CommandError):
    """A table `changes` that bemi_orm did not make is in the way; a person must move it.

    Retrying does not help. A CommandError as well, so that `migrate` shows the message without a traceback.
    """


@dataclass(frozen=True, slots=True)
class FoundTable:
    """Whether the connection's first schema has a table `changes`, and whether it is the one of bemi_orm."""

    schema: str | None
    exists: bool
    is_ours: bool


def read_sql(name: str) -> str:
    """Give the text of a file of `bemi_orm/sql`."""
    return files("bemi_orm").joinpath("sql", name).read_text(encoding="utf-8")


def find_table(connection: BaseDatabaseWrapper) -> FoundTable:
    """Look for the table `changes` where `migrate` would make it."""
    with connection.cursor() as cursor:
        cursor.execute(read_sql("find_tables.sql"))
        return FoundTable(*cursor.fetchone())


def has_publication(connection: BaseDatabaseWrapper) -> bool:
    """Say whether `bemi setup` has run in this database; False where it is not PostgreSQL."""
    if connection.vendor != "postgresql":
        return False
    with connection.cursor() as cursor:
        cursor.execute("SELECT FROM pg_catalog.pg_publication WHERE pubname = %s", [settings.PUBLICATION])
        return cursor.fetchone() is not None


class RunOnTrailDatabase(RunSQL):
    """SQL that is run on the alias of `BEMI_DATABASE` and on no other.

    The setting alone decides, not the routers: a missing router would make the tables everywhere, and
    another project's router, which knows nothing of bemi_orm, would turn the migration into a recorded no-op.
    Raises ForeignTableError where a table `changes` exists that bemi_orm did not make; it is not touched.
    """

    def database_forwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        """Make the tables, unless they are there from an earlier time."""
        if _is_trail_database(schema_editor) and not _has_own_table(schema_editor, when_printing=False):
            schema_editor.execute(str(self.sql), params=None)

    def database_backwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        """Drop the tables with everything in them, if they are ours."""
        if _is_trail_database(schema_editor) and _has_own_table(schema_editor, when_printing=True):
            schema_editor.execute(str(self.reverse_sql), params=None)

    def describe(self) -> str:
        """Say it for `migrate --plan`."""
        return "Tables of the audit trail, on the alias of BEMI_DATABASE"


def _is_trail_database(schema_editor: BaseDatabaseSchemaEditor) -> bool:
    return schema_editor.connection.alias == settings.DATABASE


def _has_own_table(schema_editor: BaseDatabaseSchemaEditor, *, when_printing: bool) -> bool:
    """Look at the database, unless sqlmigrate only prints; raise ForeignTableError for another's."""
    if schema_editor.collect_sql:
        return when_printing
    found = find_table(schema_editor.connection)
    if found.exists and not found.is_ours:
        raise ForeignTableError(
            f'The table "{found.schema}"."changes" exists, and bemi_orm did not make it. It was not touched. '
            "Move it aside (CREATE SCHEMA former; "
            f'ALTER TABLE "{found.schema}"."changes" SET SCHEMA former;), '
            "or let BEMI_DATABASE name another database, and run migrate again."
        )
    return found.is_ours
