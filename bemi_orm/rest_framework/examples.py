"""Answers as the API gives them, for its description."""

from __future__ import annotations

from typing import Any, Final

PATHS: Final = (
    ("context.user_id", "1", "Any path in the context, after `context.`; a number counts as its text."),
    ("before.status", "open", "Any column of the row before, after `before.`, and a path in a JSON column."),
    ("after.status", "done", "Any column of the row after, in the same way."),
)
"""Parameters with a name of the caller's choice: name, value, description."""

_ID: Final = "00000000-016b-8374-8848-000004000007"
_TODO: Final[dict[str, Any]] = {"id": 7, "task": "Buy milk", "price": 1.5, "is_completed": False}
_TABLE: Final = {"schema": "public", "table": "todos_todo", "model": "todos.Todo", "primary_key": "7"}

CHANGE: Final[dict[str, Any]] = {
    "id": _ID,
    "database": "app",
    **_TABLE,
    "previous_primary_key": None,
    "operation": "UPDATE",
    "before": _TODO,
    "after": _TODO | {"is_completed": True},
    "context": {"user_id": 1, "method": "PATCH", "path": "/api/todos/7/"},
    "committed_at": "2026-01-31T18:00:00.123456Z",
    "transaction_id": 768,
    "position": 23869512,
    "ordinal": 0,
}

DIFF: Final[dict[str, Any]] = {
    "id": _ID,
    **_TABLE,
    "operation": "UPDATE",
    "diff": [{"field": "is_completed", "old": False, "new": True, "unknown": []}],
}

INSTANCE: Final[dict[str, Any]] = {
    "model": "todos.Todo",
    "primary_key": "7",
    "values": _TODO | {"is_completed": True},
    "unknown": [],
}

STATE: Final[dict[str, Any]] = {
    **_TABLE,
    "row": _TODO,
    "change": _ID,
    "committed_at": "2026-01-31T18:00:00.123456Z",
}

PLAN: Final[dict[str, Any]] = {
    "changes": [_ID],
    "steps": [
        {
            "schema": "public",
            "table": "todos_todo",
            "primary_key": "7",
            "effect": "update",
            "columns": [{"column": "is_completed", "old": True, "new": False, "is_made_up": False}],
            "changes": [_ID],
            "is_detour": False,
        }
    ],
    "conflicts": [],
}

FACETS: Final[dict[str, Any]] = {
    "since": "2026-01-30T18:00:00Z",
    "until": "2026-01-31T18:00:00Z",
    "by": {"table": [{"value": "todos_todo", "count": 12}]},
    "per": "hour",
    "buckets": [{"start": "2026-01-31T17:00:00Z", "operation": "UPDATE", "count": 12}],
}
