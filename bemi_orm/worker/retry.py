"""How long to wait before trying again."""

from __future__ import annotations

import random
from typing import Final

FIRST_DELAY_SECONDS: Final = 0.5
LONGEST_DELAY_SECONDS: Final = 30.0


class Backoff:
    """Delays that double from half a second to half a minute, with jitter, until `reset`."""

    def __init__(self) -> None:
        self._failures = 0

    def next_delay_seconds(self) -> float:
        """Count a failure and give the delay after it."""
        delay = min(LONGEST_DELAY_SECONDS, FIRST_DELAY_SECONDS * 2.0**self._failures)
        self._failures = min(self._failures + 1, 16)
        return delay * random.uniform(0.75, 1.0)  # noqa: S311 - spreads workers, guards no secret

    def reset(self) -> None:
        """Forget past failures, as things work again."""
        self._failures = 0
