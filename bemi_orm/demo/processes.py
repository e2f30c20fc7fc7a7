"""The demo's own processes: started apart from the terminal, watched, and stopped."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final

from bemi_orm.demo.interrupts import Check
from bemi_orm.exceptions import BemiError

STOP_TIMEOUT_SECONDS: Final = 10
WAIT_TIMEOUT_SECONDS: Final = 30
POLL_SECONDS: Final = 0.02
LOG_TAIL_LINES: Final = 20


class Manage:
    """A `manage.py` command of the demo site as a process of its own, running while entered.

    name: what messages call it. words: the command and its arguments.
    folder: where the log goes; also the working directory, so that nothing there is imported by mistake.
    stop_signal: the one that the command ends cleanly on.
    """

    def __init__(
        self, name: str, words: Sequence[str], folder: Path, stop_signal: signal.Signals = signal.SIGTERM
    ) -> None:
        self.name = name
        self._command = [sys.executable, "-m", "django", *words]
        # The children import what this process imports, wherever it was started.
        path = os.pathsep.join(filter(None, sys.path))
        self._environment = {**os.environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1"}
        self._folder = folder
        self._stop_signal = stop_signal
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Manage:
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                self._command,
                env=self._environment,
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for the demo, which then stops its processes in order
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process is not None
        if self._process.poll() is None:
            self._process.send_signal(self._stop_signal)
        try:
            self._process.wait(STOP_TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    @property
    def pid(self) -> int:
        """The process id."""
        assert self._process is not None
        return self._process.pid

    def check(self) -> None:
        """Raise BemiError with the end of the log if the process has ended."""
        assert self._process is not None
        status = self._process.poll()
        if status is not None:
            raise BemiError(
                f"The {self.name} process ended with status {status}. It wrote:\n{self.log_tail()}"
            )

    def log_tail(self) -> str:
        """Give the last lines of what the process wrote."""
        lines = self._log.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:]
        return "\n".join(f"    {line}" for line in lines) or "    (nothing)"

    @property
    def _log(self) -> Path:
        return self._folder / f"{self.name}.log"


def wait_until(condition: Callable[[], bool], check: Check, what: str) -> None:
    """Wait until the condition holds; raises what `check` raises, and BemiError after half a minute.

    what: what is waited for, as the error names it.
    """
    deadline = time.monotonic() + WAIT_TIMEOUT_SECONDS
    while not condition():
        check()
        if time.monotonic() > deadline:
            raise BemiError(f"Waited in vain for {WAIT_TIMEOUT_SECONDS} s until {what}.")
        time.sleep(POLL_SECONDS)
