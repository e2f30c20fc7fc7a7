"""Who stands in the way of a revert: the captured changes that came after those to be reverted."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from typing import Final
from uuid import UUID

from django.db.models import Q

from bemi_orm.history.locations import ServerName
from bemi_orm.revert.examining import Finding
from bemi_orm.revert.steps import Conflict, Culprit, TableName

_NAMED: Final = 3
_BATCH: Final = 500

_Row = tuple[TableName, str | None]


def name_culprits(findings: Iterable[Finding], alias: str, reverted: frozenset[UUID]) -> list[Conflict]:
    """Give the conflicts, each with the last few changes that caused it, as far as they are captured.

    alias: of the source database. reverted: the changes that the plan is to undo.
    """
    findings = list(findings)
    first = min(reverted, default=None)
    if first is None or not findings:
        return [finding.conflict for finding in findings]
    found = _later_changes({row for finding in findings for row in finding.blamed}, alias, first, reverted)
    return [
        replace(
            finding.conflict, by=tuple(culprit for row in finding.blamed for culprit in found[row][:_NAMED])
        )
        for finding in findings
    ]


def _later_changes(
    rows: set[_Row], alias: str, first: UUID, reverted: frozenset[UUID]
) -> defaultdict[_Row, list[Culprit]]:
    from bemi_orm.models import Change

    found: defaultdict[_Row, list[Culprit]] = defaultdict(list)
    for table, keys in _keys_by_table(rows).items():
        for start in range(0, len(keys), _BATCH):
            batch = keys[start : start + _BATCH]
            changes = Change.objects.filter(
                Q(primary_key__in=batch) | Q(previous_primary_key__in=batch),
                database=ServerName(alias, "database"),
                schema=table.schema,
                table=table.table,
                id__gt=first,
            )
            for change in changes.order_by("-id"):
                if change.pk not in reverted:
                    culprit = Culprit(change.pk, change.context, change.committed_at)
                    for key in {change.primary_key, change.previous_primary_key} & set(batch):
                        found[table, key].append(culprit)
    return found


def _keys_by_table(rows: set[_Row]) -> dict[TableName, list[str]]:
    keys = defaultdict[TableName, list[str]](list)
    for table, key in rows:
        if key is not None:
            keys[table].append(key)
    return dict(keys)
