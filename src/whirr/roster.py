"""Which runs there are, kept up to date by somebody who is asked again and again, such as a server.

Among few runs every folder is looked at each time. Among many, only whether folders came or went; all are looked at
beside that, in a thread, so that a hundred thousand runs keep nobody waiting.
"""

from __future__ import annotations

import os
import threading
import time
from contextlib import suppress
from time import monotonic

from whirr.errors import WhirrError
from whirr.index import SETTLED_NS, Place, RunIndex

MANY = 2_000
STALE_S = 10.0
"""What a condition sees of the runs is no older, however many there are."""

REST = 4
"""After work the time it took is waited so many times before it is done again."""

LOOK_AGAIN_S = 1.0
WRITE_REST = 100
NEVER = float("-inf")


class Roster:
    """See the module. Good for several threads.

    Args:
        index: where the runs are; nobody else has it take in a survey.
    """

    def __init__(self, index: RunIndex) -> None:
        self._index = index
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._order: list[Place] = []
        self._folder_ns = -1
        self._looked = self._look_at = self._list_at = self._write_at = NEVER
        self._looking = False

    @property
    def many(self) -> bool:
        """Whether there are so many runs that looking at each takes long."""
        return len(self._order) >= MANY

    def order(self, *, whole: bool = False) -> list[Place]:
        """The start and the id of every run, newest first; the list is not changed afterwards.

        Args:
            whole: what is remembered of every run is wanted, too; of many, it may be up to ``STALE_S`` old.

        Raises:
            FolderError: the folder of the runs cannot be read.
        """
        with self._lock:
            if not self.many or (whole and monotonic() - self._looked > STALE_S):
                began, folder_ns = monotonic(), self._changed_ns()
                self._take_in(self._index.take_in(self._index.survey()), began, folder_ns)
            else:
                self._look_for_new()
                if not self._looking and monotonic() >= self._look_at:
                    self._looking = True
                    threading.Thread(target=self._look_beside, name="whirr-roster", daemon=True).start()
            return self._order

    def keep(self) -> None:
        """Write what was read into the cache, not more often than it is worth."""
        if monotonic() < self._write_at or not self._writing.acquire(blocking=False):
            return
        try:
            began = monotonic()
            self._index.save()
            self._write_at = monotonic() + WRITE_REST * (monotonic() - began)
        finally:
            self._writing.release()

    def _look_beside(self) -> None:
        try:
            began, folder_ns = monotonic(), self._changed_ns()
            survey = self._index.survey()
            with self._lock:
                self._take_in(self._index.take_in(survey), began, folder_ns)
            self.keep()
        except WhirrError:  # whoever asks next is told
            self._look_at = monotonic() + LOOK_AGAIN_S
        finally:
            self._looking = False

    def _take_in(self, order: list[Place], began: float, folder_ns: int) -> None:
        self._order, self._folder_ns, self._looked = order, folder_ns, began
        self._look_at = monotonic() + max(REST * (monotonic() - began), LOOK_AGAIN_S)

    def _look_for_new(self) -> None:
        began, folder_ns = monotonic(), self._changed_ns()
        if began < self._list_at or (folder_ns == self._folder_ns and folder_ns >= 0):
            return
        came, gone = self._index.look_for_new()
        if came or gone:
            self._order = sorted([*came, *(place for place in self._order if place[1] not in gone)], reverse=True)
        self._folder_ns = folder_ns
        self._list_at = monotonic() + REST * (monotonic() - began)

    def _changed_ns(self) -> int:
        """When runs came or went last; -1: so short a time ago that it may happen again without a sign."""
        with suppress(OSError):
            changed = os.stat(self._index.folder).st_mtime_ns
            return changed if changed < time.time_ns() - SETTLED_NS else -1
        return -1
