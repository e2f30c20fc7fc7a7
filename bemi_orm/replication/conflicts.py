"""What of publication and slot stands in the way of set-up, and only a person can decide."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from psycopg2.extensions import connection as Connection  # noqa: N812

from bemi_orm.replication.connections import source_errors
from bemi_orm.replication.publication import Publication
from bemi_orm.replication.slots import PLUGIN, Slot

_SLOT_NAME: Final = re.compile(r"[a-z0-9_]{1,63}")


def find_publication_conflicts(connection: Connection, publication: Publication | None) -> Iterator[str]:
    """Give what hinders making or changing the publication, as sentences that say what to do."""
    if publication is None:
        yield from _find_missing_privilege(connection)
    elif publication.covers_unlisted:
        yield (
            f"Publication {publication.name} is FOR ALL TABLES or for a whole schema, so it would publish "
            "the table changes itself, without end. Choose another name (BEMI_PUBLICATION), or run: "
            f'DROP PUBLICATION "{publication.name}"'
        )


def find_slot_conflicts(
    name: str, slot: Slot | None, database: str, publication: Publication | None
) -> Iterator[str]:
    """Give what hinders making or using the slot, as sentences that say what to do.

    database: the name of the tracked one.
    """
    if not _SLOT_NAME.fullmatch(name):
        yield (
            f"{name!r} cannot be the name of a replication slot: use up to 63 lower-case letters, digits and "
            "underscores (BEMI_SLOT)."
        )
    if slot is None:
        return
    if (slot.plugin, slot.database, slot.two_phase, slot.temporary) != (PLUGIN, database, False, False):
        yield (
            f"Replication slot {name} was made for something else (plugin {slot.plugin or 'none'}, database "
            f"{slot.database or 'none'}, two_phase {slot.two_phase}, temporary {slot.temporary}). "
            "Choose another name (BEMI_SLOT), or drop it if nobody needs it."
        )
    elif publication is None:
        yield (
            f"Replication slot {name} exists, and its publication does not: PostgreSQL 15 can never read "
            "such a slot, and 18 would silently skip what was written meanwhile. Drop the slot, then run "
            f"setup again with --accept-gap: SELECT pg_drop_replication_slot('{name}')"
        )


def _find_missing_privilege(connection: Connection) -> Iterator[str]:
    with source_errors(), connection.cursor() as cursor:
        cursor.execute(
            "SELECT has_database_privilege(current_database(), 'CREATE'), "
            "current_database()::text, current_user::text"
        )
        row = cursor.fetchone()
    assert row is not None
    allowed, database, role = row
    if not allowed:
        yield (
            f"The role {role} may not create a publication. As owner of the database run: "
            f'GRANT CREATE ON DATABASE "{database}" TO "{role}"'
        )
