"""A terminal as one page that is drawn again and again, given back as it was."""

from __future__ import annotations

import os
import select
import signal
import sys
import termios
import time
import tty
from contextlib import suppress
from typing import Any, NoReturn, Self

from whirr.jsonio import write_all

ENTER = b"\033[?1049h\033[?25l\033[?7l"  # alternate screen, no cursor, long lines are cut
LEAVE = b"\033[?7h\033[?25h\033[?1049l"
QUIT = b"qQ\x04"


class FullScreen:
    """The alternate screen of the terminal at stdout, and the keys typed meanwhile.

    While it is entered, SIGTERM leaves it before it ends the program; Ctrl-Z leaves it until the program goes on.
    """

    def __init__(self) -> None:
        self._out = sys.stdout.fileno()
        self._keys = sys.stdin.fileno() if sys.stdin is not None and sys.stdin.isatty() else None
        self._modes: list[Any] | None = None
        self._before: dict[signal.Signals, Any] = {}
        self._wake, self._waker = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def __enter__(self) -> Self:
        for number, handler in (
            (signal.SIGTERM, self._end),
            (signal.SIGTSTP, self._pause),
            (signal.SIGWINCH, lambda *_: None),
        ):
            self._before[number] = signal.signal(number, handler)
        signal.set_wakeup_fd(self._waker, warn_on_full_buffer=False)
        self._take()
        return self

    def __exit__(self, *_: object) -> None:
        self._give_back()
        signal.set_wakeup_fd(-1)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        os.close(self._wake)
        os.close(self._waker)

    @property
    def height(self) -> int:
        """Lines of the terminal."""
        try:
            return os.get_terminal_size(self._out).lines or 24
        except OSError:
            return 24

    def show(self, lines: list[str], last: str) -> None:
        """Draw a page in one go; ``last`` is its bottom line, whatever else has to be cut."""
        page = [*lines[: max(self.height - 1, 0)], last]
        text = "\r\n".join(f"{line}\033[K" for line in page)
        self._write(b"\033[H" + text.encode(sys.stdout.encoding, "backslashreplace") + b"\033[J")

    def wait(self, seconds: float) -> bool:
        """Wait, or until the terminal was resized; whether a key that quits was pressed meanwhile."""
        watched = [self._wake] if self._keys is None else [self._wake, self._keys]
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            ready = select.select(watched, [], [], left)[0]
            if self._keys in ready:
                typed = os.read(self._keys, 64) if self._keys is not None else b""
                if not typed or any(key in QUIT for key in typed):
                    return True
            if self._wake in ready:
                with suppress(BlockingIOError):
                    os.read(self._wake, 64)
                return False
        return False

    def _take(self) -> None:
        if self._keys is not None:
            self._modes = termios.tcgetattr(self._keys)
            tty.setcbreak(self._keys)
        self._write(ENTER)

    def _give_back(self) -> None:
        with suppress(OSError):
            self._write(LEAVE)
        if self._keys is not None and self._modes is not None:
            with suppress(termios.error):  # the terminal may be gone
                termios.tcsetattr(self._keys, termios.TCSADRAIN, self._modes)

    def _write(self, data: bytes) -> None:
        write_all(self._out, data)

    def _end(self, number: int, _: object) -> NoReturn:
        raise SystemExit(128 + number)

    def _pause(self, number: int, _: object) -> None:
        self._give_back()
        signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        os.kill(os.getpid(), number)  # goes on here when the shell says so
        signal.signal(signal.SIGTSTP, self._pause)
        self._take()
