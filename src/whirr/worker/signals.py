"""The signals of a worker, as events of its loop."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Self

FINISH, STOP = (signal.SIGINT,), (signal.SIGTERM, signal.SIGHUP)


class Signals:
    """Catches SIGINT, SIGTERM and SIGHUP while it is entered; elsewhere than in the main thread it catches nothing."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._before: dict[int, Any] = {}
        self._wakeup_before = -1

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._wakeup_before = signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
            for number in (*FINISH, *STOP):
                self._before[number] = signal.signal(number, lambda *_: None)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if self._before:
            signal.set_wakeup_fd(self._wakeup_before)
        os.close(self._read)
        os.close(self._write)

    def fileno(self) -> int:
        """A descriptor to wait on."""
        return self._read

    def drain(self, *, finish: Callable[[], None], stop: Callable[[], None]) -> None:
        """Call ``finish`` for each Ctrl-C and ``stop`` for each other signal since the last call."""
        numbers = b""
        with suppress(BlockingIOError):
            numbers = os.read(self._read, 64)
        for number in numbers:
            if number in FINISH:
                finish()
            elif number in STOP:
                stop()
