"""What went wrong while contexts were built: counted always, logged once per cause and process."""

from __future__ import annotations

import logging
import threading
import traceback
from collections import Counter
from typing import Final

logger = logging.getLogger("bemi_orm.transport")

FUNCTION_FAILED: Final = "context_function_failed"
VALUE_AS_TEXT: Final = "value_as_text"
VALUE_DROPPED: Final = "value_dropped"
CHARACTERS_REPLACED: Final = "characters_replaced"
TRUNCATED: Final = "truncated"
MESSAGE_FAILED: Final = "message_failed"
TRACING_FAILED: Final = "tracing_failed"

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
    """Count a problem; the first one of its cause is logged.

    cause: a class, a setting or a place in the code, never a value: values must not reach a log.
    """
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
    count(problem, f"{type(error).__name__}{place}")
