"""Turns for the threads of a process, in the order in which they came.

SQLite lets who finds the database locked sleep for longer and longer times, in no order: among sixteen threads that
write all the time one may wait half a second while the lock is often held by nobody.
"""

from __future__ import annotations

import threading
from collections import deque


class Turns:
    """See the module.

    Attributes:
        owner: the number of the thread whose turn it is.
    """

    def __init__(self) -> None:
        self.owner: int | None = None
        self._guard = threading.Lock()
        self._taken = False
        self._waiting: deque[threading.Lock] = deque()

    def take(self, wait_s: float) -> bool:
        """Wait for this thread's turn, so many seconds at most; whether it came."""
        with self._guard:
            if not self._taken:
                self._taken = True
                self.owner = threading.get_ident()
                return True
            mine = threading.Lock()
            mine.acquire()
            self._waiting.append(mine)
        came = False
        try:
            came = mine.acquire(timeout=wait_s)
        finally:
            if came:
                self.owner = threading.get_ident()
            else:  # it is too late, or Ctrl-C was pressed
                self._give_up(mine)
        return came

    def pass_on(self) -> None:
        """End this thread's turn."""
        with self._guard:
            self._next()

    def _give_up(self, mine: threading.Lock) -> None:
        with self._guard:
            if mine in self._waiting:
                self._waiting.remove(mine)
            else:  # it came at the last moment
                self._next()

    def _next(self) -> None:
        self.owner = None
        if self._waiting:
            self._waiting.popleft().release()
        else:
            self._taken = False
