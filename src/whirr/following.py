"""The run folders of jobs follow what the queue says of them.

A folder changes inside the transaction that changes its job. One that cannot be written stops nothing: the database is
right, the trouble is told, and ``meta.json`` is brought up to date by the next change of the job, or by ``catch_up``.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from whirr import jobrun
from whirr.errors import FolderError, NoRoom
from whirr.model import Decision, Job, JobStatus, Lease, Outcome
from whirr.store.database import Database, Transaction
from whirr.store.rows import attempt_of, job_of

T = TypeVar("T")


class Following:
    """See the module.

    Args:
        run_dir: the folder of a job's run.
        said: is told what could not be written, a line each, when the transaction is over.
    """

    def __init__(self, database: Database, run_dir: Callable[[int], Path], said: Callable[[str], None]) -> None:
        self._database = database
        self._run_dir = run_dir
        self._said = said
        self._of_thread = threading.local()

    def change(self, work: Callable[[Transaction], T], *, durable: bool = False) -> T:
        """``Database.retry`` of a work that changes folders by the methods below."""

        def afresh(tx: Transaction) -> T:
            self._of_thread.troubles = []
            return work(tx)

        done = self._database.retry(afresh, durable=durable)
        for trouble in self._of_thread.troubles:  # outside: who reads it may be slow, and others wait for the database
            self._said(trouble)
        return done

    def tell(self, error: FolderError) -> None:
        """Say that a folder cannot be written, where that is no reason to raise it."""
        self._said(f"{error}; {error.hint}")

    def mark(self, job: Job) -> None:
        """Write the state of a job that no worker holds."""
        with self._going_on(job.id, job.status):
            jobrun.mark(self._run_dir(job.id), job)

    def end(self, job: Job, decision: Decision, outcome: Outcome, *, wait_for_room: bool) -> None:
        """Write how an attempt ended.

        Args:
            job: as it was while the attempt ran.

        Raises:
            NoRoom: the disk is full, and ``wait_for_room`` says that this is tried again.
        """
        with self._going_on(job.id, decision.status, wait_for_room=wait_for_room):
            jobrun.end(self._run_dir(job.id), job, decision, outcome)

    @contextmanager
    def _going_on(self, job_id: int, status: JobStatus, *, wait_for_room: bool = False) -> Iterator[None]:
        try:
            yield
        except FolderError as error:
            if wait_for_room and isinstance(error, NoRoom):
                raise
            self._of_thread.troubles.append(
                f"{error}: job {job_id} is {status} all the same, but its meta.json does not say so; "
                f"{error.hint}, then whirr doctor --fix"
            )

    def keep_stale(self, lease: Lease) -> None:
        """Put the result of an attempt that lost its lease beside its other files; else the next attempt does it."""
        try:
            jobrun.keep_stale(self._run_dir(lease.job_id), lease.attempt)
        except FolderError as error:
            self._said(f"{error}: the result of attempt {lease.attempt} at job {lease.job_id} stays where it is")

    def is_behind(self, job: Job) -> bool:
        """Whether the folder of a job says something else than the queue, or cannot be read."""
        try:
            return jobrun.is_behind(self._run_dir(job.id), job)
        except FolderError:
            return True

    def look(self, job_id: int, *, mend: bool) -> bool:
        """Whether the folder of a job is behind, at a moment in which nobody changes the two.

        Args:
            mend: write it then.

        Raises:
            FolderError: it still cannot be written.
        """
        with self._database.transaction() as tx:
            row = tx.one("lock_job", id=job_id)
            if row is None or not self.is_behind(job_of(row)):
                return False
            if mend:
                attempts = [attempt_of(each) for each in tx.all("attempts_of", job_id=job_id)]
                jobrun.catch_up(self._run_dir(job_id), job_of(row), attempts[-1] if attempts else None)
        return True
