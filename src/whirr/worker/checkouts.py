"""What must be ready before a job can start, made beside the loop, which never waits: folder, files, checkout."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from pathlib import Path

from whirr.errors import WhirrError
from whirr.folder import CODE
from whirr.model import Claim
from whirr.submission import Tree, checkout
from whirr.worker.folders import Folders
from whirr.worker.task import Checkout

Key = tuple[int, int]
"""A job's number and the attempt."""


class Checkouts:
    """One thread that makes them, one after another.

    Attributes:
        pending: the claims that are not ready, by job and attempt.
    """

    def __init__(self, folders: Folders) -> None:
        self._folders = folders
        self.pending: dict[Key, Claim] = {}
        self._wanted: queue.SimpleQueue[Claim | None] = queue.SimpleQueue()
        self._made: queue.SimpleQueue[tuple[Claim, Checkout | Exception | None]] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def needed(self, claim: Claim) -> bool:
        """Whether there is anything to make."""
        return claim.job.spec.snapshot or self._folders.must_prepare(claim)

    def ask(self, claim: Claim) -> None:
        """Begin to make a claimed job ready."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="whirr-checkouts", daemon=True)
            self._thread.start()
        self.pending[claim.job.id, claim.job.attempt] = claim
        self._wanted.put(claim)

    def done(self) -> Iterator[tuple[Claim, Checkout | Exception | None]]:
        """The claims that are ready since the last call, or cannot be: with their checkout, if they asked for one."""
        while not self._made.empty():
            claim, made = self._made.get()
            del self.pending[claim.job.id, claim.job.attempt]
            yield claim, made

    def close(self) -> None:
        """End the thread after what it is at, without waiting."""
        self._wanted.put(None)

    def _work(self) -> None:
        while (claim := self._wanted.get()) is not None:
            try:
                self._folders.prepare(claim)
                made = self._checkout(claim) if claim.job.spec.snapshot else None
                self._made.put((claim, made))
            except Exception as error:  # what was submitted may be anything, and the next claim waits
                self._made.put((claim, error))

    def _checkout(self, claim: Claim) -> Checkout:
        found = claim.job.spec.submitted.get("tree")
        if not found:
            raise WhirrError("a snapshot was asked for, and none was sent", hint="submit with whirr submit --snapshot")
        tree = Tree.from_dict(found)
        code = self._folders.place(claim.job.id, claim.job.attempt) / CODE
        with self._folders.submitted(tree.sent or tree.tree) as store:
            workdir = checkout(tree, code, store)
        return Checkout(Path(tree.top).resolve(), code, workdir)
