"""SIGTERM and SIGINT ask the worker to stop after the message in hand; a second one ends it at once."""

from __future__ import annotations

import signal
from types import FrameType, TracebackType
from typing import Final

STOP_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


class StopRequest:
    """While entered, notes the first stop signal; call it to ask whether one came."""

    def __init__(self) -> None:
        self._requested = False
        self._previous: dict[int, signal._HANDLER] = {}

    def __call__(self) -> bool:
        """Say whether a stop signal came."""
        return self._requested

    def __enter__(self) -> StopRequest:
        for number in STOP_SIGNALS:
            self._previous[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._restore()

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._requested = True
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
