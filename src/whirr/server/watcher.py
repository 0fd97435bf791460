"""Looks at runs, queue and workers for the pages: what has changed since it looked last."""

from __future__ import annotations

import time

from whirr.catalog import RunQuery
from whirr.fleet import look
from whirr.folder import RUNS
from whirr.local import LocalHub
from whirr.model import JobStatus
from whirr.server.changes import Changes

QUEUE_EVERY_S, WORKERS_EVERY_S, COUNTS_EVERY_S = 1.0, 5.0, 2.0
LOOK_REST = 20
"""After a look at the queue, or a count of the runs, so many times as long as that took is waited."""

MOST_NAMED = 200
"""Of more runs than these none is named: everything may have changed."""

Change = tuple[str, frozenset[str] | None]
"""What kind of thing has changed, and of runs which; None: perhaps all."""


class Watcher:
    """What has changed since the last look. For one thread at a time.

    Attributes:
        counts: what the tabs of pages show.
    """

    def __init__(self, hub: LocalHub) -> None:
        self._hub = hub
        self._changes = Changes(hub.root / RUNS)
        self._changed: set[str] = set()
        self._rang = False
        self._queue: object = None
        self._workers: object = None
        self._queue_at = self._workers_at = self._counts_at = float("-inf")
        self._stale = True
        self._jobs: dict[JobStatus, int] = {}
        self._living = 0
        self.counts: dict[str, int] = {}

    def look(self, *, rang: bool) -> list[Change]:
        """The kinds of things that have changed, and which runs.

        Args:
            rang: something happened in the queue.

        Raises:
            StoreError, FolderError: queue or runs cannot be read.
        """
        self._changed |= self._changes.look()  # kept until it could be told, whatever fails below
        self._rang |= rang
        found: list[Change] = []
        if self._changed:
            found.append(("runs", frozenset(self._changed) if len(self._changed) <= MOST_NAMED else None))
        now = time.monotonic()
        if self._rang or now >= self._queue_at:
            found += self._look_at_queue(now, rang=self._rang)
        self._stale |= bool(found)
        if self._stale and now >= self._counts_at and self._count(now):
            found.append(("counts", None))
        self._changed, self._rang = set(), False
        return found

    def _look_at_queue(self, now: float, *, rang: bool) -> list[Change]:
        fleet, self._jobs = look(self._hub), self._hub.counts()
        self._living = len(fleet.living)
        queue = (self._jobs, [(job.id, job.attempt, job.status, job.spec.priority) for job in fleet.active])
        workers = [(seen.worker.id, seen.health, [job.id for job in seen.jobs]) for seen in fleet.workers]
        found: list[Change] = [("queue", None)] if rang or queue != self._queue else []
        if workers != self._workers or (self._living and now >= self._workers_at):
            found.append(("workers", None))
            self._workers_at = now + WORKERS_EVERY_S
        self._queue, self._workers = queue, workers
        self._queue_at = now + max(QUEUE_EVERY_S, LOOK_REST * (time.monotonic() - now))
        return found

    def _count(self, now: float) -> bool:
        """Count anew; whether that changed anything."""
        page = self._hub.runs.page(RunQuery(statuses=("running",), limit=1, glance=True))
        counts = {"runs": page.every, "running": page.chosen, "queued": self._jobs.get(JobStatus.QUEUED, 0)}
        counts["workers"] = self._living
        self._counts_at = time.monotonic() + max(COUNTS_EVERY_S, LOOK_REST * (time.monotonic() - now))
        before, self.counts, self._stale = self.counts, counts, False
        return counts != before
