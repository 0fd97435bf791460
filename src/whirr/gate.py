"""Keeps forks and background work apart.

A module that a background thread is importing at the moment of a fork stays locked in the child for ever,
and the child hangs at its own import of it.
"""

from __future__ import annotations

import threading
from time import monotonic

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType

PATIENCE = 2.0
"""Seconds that all forks of a process together wait at most."""


class Gate:
    """Background threads work inside ``with gate``; a fork waits for them, but not for ever."""

    def __init__(self) -> None:
        self._patience = PATIENCE
        self.after_fork_in_child()

    def after_fork_in_child(self) -> None:
        """Whoever was at work does not exist here."""
        self._at_work = 0
        self._changed = threading.Condition()

    def __enter__(self) -> None:
        with self._changed:
            self._at_work += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._changed:
            self._at_work -= 1
            self._changed.notify_all()

    def before_fork(self) -> None:
        """Wait until no background thread is at work, as long as patience lasts; none begins until the fork is done."""
        self._changed.acquire()
        began = monotonic()
        self._changed.wait_for(lambda: self._at_work == 0, self._patience)
        self._patience = max(self._patience - (monotonic() - began), 0.0)

    def after_fork_in_parent(self) -> None:
        """Let background work begin again."""
        self._changed.release()
