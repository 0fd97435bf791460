"""Turns for the threads of a process, in the order in which they came, and what one does in its turn for others.

SQLite lets who finds the database locked sleep for longer and longer times, in no order: among sixteen threads that
write all the time one may wait half a second while the lock is often held by nobody.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar, cast

from whirr.store.database import Transaction

T = TypeVar("T")


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


class Share(Generic[T]):
    """What one thread wants done in a transaction, perhaps by another thread.

    Attributes:
        error: why it was not done.
        over: it was done, and committed, or it failed.
    """

    def __init__(self, work: Callable[[Transaction], T]) -> None:
        self._work = work
        self._result: T | None = None
        self.error: Exception | None = None
        self.over = False

    def do(self, tx: Transaction) -> None:
        """Do it; ``error`` tells whether it has failed, and is to be undone."""
        try:
            self._result = self._work(tx)
            self.error = tx.failed
        except Exception as error:
            self.error = error
        finally:
            tx.ended = True

    def result(self) -> T:
        """What came of it; raises what it raised."""
        if self.error is not None:
            raise self.error
        return cast(T, self._result)
