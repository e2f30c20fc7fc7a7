"""Looks now and then whether the publication still sends what is tracked; the stream itself never says."""

from __future__ import annotations

import logging
import time
from typing import Final

from bemi_orm.replication.source import ReplicationSource
from bemi_orm.worker.assembly import IsTracked

logger = logging.getLogger(__name__)

PUBLICATION_SECONDS: Final = 1.0
TABLES_SECONDS: Final = 60.0


class PublicationWatch:
    """Asks the source, at most once a second for the publication, and once a minute for its tables."""

    def __init__(self, source: ReplicationSource, is_tracked: IsTracked) -> None:
        self._source, self._is_tracked = source, is_tracked
        self._publication_at = self._tables_at = float("-inf")
        self._known: frozenset[str] = frozenset()

    def look(self) -> None:
        """Raise SetupError when the publication lost something, warn of each table that is not in it."""
        now = time.monotonic()
        if now - self._publication_at >= PUBLICATION_SECONDS:
            self._source.read_publication()
            self._publication_at = now
        if now - self._tables_at >= TABLES_SECONDS:
            self._warn_of_tables()
            self._tables_at = now

    def _warn_of_tables(self) -> None:
        missing = self._source.unpublished_tables(self._is_tracked)
        for table in sorted(missing - self._known):
            logger.warning(
                "%s is not published, so its changes are not captured. Run: manage.py bemi setup", table
            )
        self._known = missing
