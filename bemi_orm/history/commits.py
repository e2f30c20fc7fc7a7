"""Which transaction was the last to be committed until a time, found by the order of changes alone.

A search by halves over the positions, on the key: a transaction of any size costs the same. It ends at a
commit until the time that is followed by a later one. As commit times do not rise strictly, the commits after
these are looked at too, transaction by transaction.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

from django.db import connections

from bemi_orm.history.locations import database_name
from bemi_orm.wal.lsn import MAX_LSN

DISORDER: Final = timedelta(seconds=1)
"""So far a commit's time may lie behind an earlier commit's: the time is taken first, then the place."""

MAX_OVERTAKEN: Final = 200
"""So many transactions may be between two whose times are in the wrong order."""

_MAX_POSITION: Final = MAX_LSN >> 1  # a bigint has a sign

# The lowest id that a position can have, see `bemi_orm.rows.change_id_bytes`.
FIRST_ID: Final = (
    "(pg_catalog.lpad(pg_catalog.to_hex(({position}) >> 16), 12, '0') || '8'"
    " || pg_catalog.lpad(pg_catalog.to_hex((({position}) >> 4) & 4095), 3, '0')"
    " || pg_catalog.to_hex(128 | ((({position}) & 15) << 2)) || '00000000000000')::uuid"
)

# The last change up to `low` was committed until the time, if there is one; the last up to `high` was not.
LAST_UNTIL: Final = f"""
WITH RECURSIVE search (low, high) AS (
    SELECT 0::bigint, %(high)s::bigint
    UNION ALL
    SELECT CASE WHEN is_later THEN low ELSE middle END, CASE WHEN is_later THEN middle ELSE high END
    FROM search
    CROSS JOIN LATERAL (SELECT low + (high - low) / 2) AS half (middle)
    LEFT JOIN LATERAL (
        SELECT committed_at > %(time)s FROM changes
        WHERE database = %(database)s AND id < {FIRST_ID.format(position="middle + 1")}
        ORDER BY id DESC LIMIT 1
    ) AS found (is_later) ON true
    WHERE high - low > 1
),
ahead (place, moment, count) AS (
    SELECT high - 1, NULL::timestamptz, 0 FROM search WHERE high - low <= 1
    UNION ALL
    SELECT "position", committed_at, count + 1
    FROM ahead
    CROSS JOIN LATERAL (
        SELECT "position", committed_at FROM changes
        WHERE database = %(database)s AND id >= {FIRST_ID.format(position="place + 1")}
        ORDER BY id LIMIT 1
    ) AS following
    WHERE count < %(max_overtaken)s AND committed_at <= %(time)s + %(disorder)s
)
SELECT coalesce(
    (SELECT pg_catalog.max(place) FROM ahead WHERE moment <= %(time)s),
    (
        SELECT place FROM search
        CROSS JOIN LATERAL (
            SELECT "position" FROM changes
            WHERE database = %(database)s AND id < {FIRST_ID.format(position="high")}
            ORDER BY id DESC LIMIT 1
        ) AS preceding (place)
        WHERE high - low <= 1
    )
)
"""


def last_until(time: datetime, later: int, *, source: str, alias: str) -> int | None:
    """Give the position of the last transaction that was committed until a time; None if there is none.

    Last is by the order of commits, not by their times. Exact, as long as no commit's time lies more than
    `DISORDER`, or `MAX_OVERTAKEN` transactions, behind that of an earlier commit. After the clock of the
    server was set back by more, a time that it showed twice means one of the two: the same one as changes of
    later times are added; and an earlier time never means a later state.
    time: aware. later: a position with a change that was committed after it.
    source: alias of the database whose changes they are. alias: where `changes` is.
    """
    parameters: dict[str, Any] = {
        "time": time, "high": min(1 << later.bit_length(), _MAX_POSITION), "database": database_name(source),
        "disorder": DISORDER, "max_overtaken": MAX_OVERTAKEN,
    }  # fmt: skip
    # A power of two, so that the halves, and by them the answer, stay the same as changes are added.
    with connections[alias].cursor() as cursor:
        cursor.execute(LAST_UNTIL, parameters)
        (position,) = cursor.fetchone()
    return None if position is None else int(position)
