"""Checkouts for jobs that are to run on the files as they were submitted: made beside the loop, which never waits."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from pathlib import Path

from whirr.errors import WhirrError
from whirr.folder import CODE
from whirr.model import Claim
from whirr.submission import Tree, checkout
from whirr.worker.task import Checkout

Key = tuple[int, int]
"""A job's number and the attempt."""


class Checkouts:
    """One thread that makes them, one after another.

    Attributes:
        pending: the claims whose checkout is not done, by job and attempt.
    """

    def __init__(self) -> None:
        self.pending: dict[Key, Claim] = {}
        self._wanted: queue.SimpleQueue[tuple[Claim, Path] | None] = queue.SimpleQueue()
        self._made: queue.SimpleQueue[tuple[Claim, Checkout | Exception]] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def ask(self, claim: Claim, run_dir: Path) -> None:
        """Begin with the checkout of a claimed job."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="whirr-checkouts", daemon=True)
            self._thread.start()
        self.pending[claim.job.id, claim.job.attempt] = claim
        self._wanted.put((claim, run_dir))

    def done(self) -> Iterator[tuple[Claim, Checkout | Exception]]:
        """The claims whose checkout was made, or could not be, since the last call."""
        while not self._made.empty():
            claim, made = self._made.get()
            del self.pending[claim.job.id, claim.job.attempt]
            yield claim, made

    def close(self) -> None:
        """End the thread after the checkout it is at, without waiting."""
        self._wanted.put(None)

    def _work(self) -> None:
        while (wanted := self._wanted.get()) is not None:
            claim, run_dir = wanted
            try:
                tree = Tree.from_dict(claim.job.spec.submitted["tree"])
                workdir = checkout(tree, run_dir / CODE)
                made: Checkout | Exception = Checkout(Path(tree.top).resolve(), run_dir / CODE, workdir)
            except (WhirrError, OSError) as error:
                made = error
            self._made.put((claim, made))
