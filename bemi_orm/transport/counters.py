"""What went wrong while contexts were built: counted always, logged once per cause, place and process."""

from __future__ import annotations

import logging
import sys
import threading
import traceback
from collections import Counter
from types import FrameType
from typing import Final

logger = logging.getLogger("bemi_orm.transport")

FUNCTION_FAILED: Final = "context_function_failed"
VALUE_AS_TEXT: Final = "value_as_text"
VALUE_DROPPED: Final = "value_dropped"
CHARACTERS_REPLACED: Final = "characters_replaced"
TRUNCATED: Final = "truncated"
MESSAGE_FAILED: Final = "message_failed"
TRACING_FAILED: Final = "tracing_failed"

_PASSED_THROUGH: Final = frozenset({"bemi_orm", "django", "asgiref", "json", "contextlib", "functools"})

_counts: Counter[str] = Counter()
_logged: set[tuple[str, str]] = set()
_lock = threading.Lock()


def counts() -> dict[str, int]:
    """Give how often each problem occurred in this process since its start."""
    with _lock:
        return dict(_counts)


def reset() -> None:
    """Start again from zero, log records included."""
    with _lock:
        _counts.clear()
        _logged.clear()


def count(problem: str, cause: str) -> None:
    """Count a problem; the first one of its cause and of the project's line that led to it is logged.

    cause: a class or a setting, never a value: values must not reach a log.
    """
    _note(problem, f"{cause}{_call_site()}")


def _note(problem: str, cause: str) -> None:
    with _lock:
        _counts[problem] += 1
        is_new = (problem, cause) not in _logged
        _logged.add((problem, cause))
    if is_new:
        logger.warning("Audit context: %s: %s (logged once, counted from here on)", problem, cause)


def count_error(problem: str, error: BaseException) -> None:
    """Count a problem by the error's class and the line that raised it, as its text may hold values."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" at {frames[-1].filename}:{frames[-1].lineno}" if frames else ""
    _note(problem, f"{type(error).__name__}{place}")


def _call_site() -> str:
    """The innermost line of the project's own; none where a thread was started for the statement alone."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if frame.f_globals.get("__name__", "").partition(".")[0] not in _PASSED_THROUGH:
            return f" at {frame.f_code.co_filename}:{frame.f_lineno}"
        frame = frame.f_back
    return ""
