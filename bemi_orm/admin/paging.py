"""Pages of changes that cost the same at any depth, and numbers of changes that nobody counts."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast
from uuid import UUID

if TYPE_CHECKING:
    from django.db.models import QuerySet

    from bemi_orm.models import Change

OLDER: Final = "older"
NEWER: Final = "newer"


@dataclass(frozen=True, slots=True)
class Page:
    """Changes, the newest first; newer, older: what `read_page` takes for the pages beside it, if any."""

    changes: list[Change]
    newer: str
    older: str

    @property
    def is_all(self) -> bool:
        """Whether there is no other page."""
        return not self.newer and not self.older


def read_page(changes: QuerySet[Change], place: str, size: int) -> Page:
    """Give one page, in one query that starts at a change's id and so skips nothing.

    place: empty for the newest, else `older.<id>` or `newer.<id>`. Rows that arrive in between move no page.
    Raises ValueError for another place.
    """
    if not place:
        found = list(changes.order_by("-id")[: size + 1])
        return _page(found[:size], has_newer=False, has_older=len(found) > size)
    direction, _, text = place.partition(".")
    if direction == OLDER:
        found = list(changes.filter(id__lt=UUID(text)).order_by("-id")[: size + 1])
        return _page(found[:size], has_newer=True, has_older=len(found) > size)
    if direction == NEWER:
        found = list(changes.filter(id__gt=UUID(text)).order_by("id")[: size + 1])
        return _page(found[:size][::-1], has_newer=len(found) > size, has_older=True)
    raise ValueError(f"{direction!r} is neither {OLDER} nor {NEWER}")


def estimate_count(changes: QuerySet[Any]) -> int:
    """Give about how many there are, as the planner sees it; nothing is read but its statistics."""
    if changes.query.is_empty():
        return 0
    [plan] = json.loads(changes.order_by().explain(format="json"))
    return int(cast("dict[str, Any]", plan)["Plan"]["Plan Rows"])


def _page(changes: list[Change], *, has_newer: bool, has_older: bool) -> Page:
    newer = f"{NEWER}.{changes[0].pk}" if changes and has_newer else ""
    older = f"{OLDER}.{changes[-1].pk}" if changes and has_older else ""
    return Page(changes, newer, older)
