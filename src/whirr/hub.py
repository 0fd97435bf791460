"""``Hub``: the one interface to jobs, leases, workers and their files. Programs and faces are given one and never
ask which.

Rules that every implementation keeps (``tests/contract`` holds them to it):

- A job is claimed by one worker at a time. A claim increments the attempt, which is the fencing token: renewing
  and finishing name ``(job, attempt, worker)``, and any other is refused with ``LeaseLost``.
- States change only as ``model.TRANSITIONS`` says.
- What a caller was told happened has reached the disk.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Protocol

from whirr.model import Attempt, Claim, Job, JobSpec, JobStatus, Lease, Outcome, WorkerInfo


class Bell(Protocol):
    """Wakes a worker when there may be something to do."""

    def fileno(self) -> int:
        """A descriptor to wait on."""

    def drain(self) -> object:
        """Take in everything that rang; never waits."""

    def close(self) -> None:
        """Stop listening."""


class Hub(Protocol):
    """See the module."""

    root: Path

    def submit(self, spec: JobSpec, staging: Path | None = None) -> Job:
        """Queue a job; its id, run id and folder are fixed from now on.

        Args:
            staging: a folder from ``staging_folder``, with files about the submission; it becomes the run's folder.

        Raises:
            NotFound: a job to wait for does not exist.
        """

    def staging_folder(self) -> Path:
        """A new empty folder for what is recorded at a submission."""

    def job(self, job_id: int) -> Job:
        """One job.

        Raises:
            NotFound: there is none of this number.
        """

    def jobs(self, statuses: Collection[JobStatus] = (), *, tag: str | None = None, limit: int = 0) -> list[Job]:
        """Jobs in these states (none named: all), newest first; at most ``limit`` (0: all)."""

    def counts(self) -> dict[JobStatus, int]:
        """How many jobs are in each state."""

    def attempts(self, job_id: int) -> list[Attempt]:
        """The attempts at a job, oldest first."""

    def dependencies(self, job_id: int) -> list[Job]:
        """The jobs that a job was submitted to wait for."""

    def ahead(self, job: Job) -> int:
        """How many queued jobs come before a queued one."""

    def left_for(self, worker: WorkerInfo) -> int:
        """How many queued jobs this worker may yet run: now, after a wait, or when other jobs have ended."""

    def upcoming(self, limit: int = 0) -> list[Job]:
        """The queued jobs in the order in which they will run, those that wait for others last; at most ``limit``."""

    def clock(self) -> float:
        """The present on the clock of ``Job.not_before``."""

    def cancel(self, job_id: int, by: str) -> Job:
        """Cancel a job: a queued one now, a running one as soon as its processes are gone.

        Cancelling one that is cancelled already changes nothing.

        Raises:
            NotFound: there is no such job.
            IllegalTransition: it has ended otherwise.
        """

    def retry(self, job_id: int) -> Job:
        """Queue a failed or cancelled job again, with fresh counters; id, run id and earlier attempts stay.

        Queued jobs that wait for it wait again.

        Raises:
            NotFound: there is no such job.
            IllegalTransition: it has not ended, or it completed.
        """

    def register(self, worker: WorkerInfo) -> None:
        """Make a worker known."""

    def workers(self) -> list[WorkerInfo]:
        """The workers that have registered and not left, oldest first."""

    def leave(self, worker: str) -> None:
        """Forget a worker that has no job."""

    def claim(self, worker: WorkerInfo, *, usable_gpus: Sequence[str] | None = None) -> Claim | None:
        """The next job for this worker, or None.

        The order is priority, then age. A job that needs more GPUs than are free now, but not more than the worker
        has, is waited for: no narrower job takes GPUs before it.

        Args:
            usable_gpus: those of the worker's GPUs that may be given out now (default: all).
        """

    def renew(self, worker: WorkerInfo) -> list[Lease]:
        """A sign of life: extends the leases of this worker and gives those it still holds."""

    def leases(self, worker: str) -> list[Lease]:
        """The leases that a worker holds."""

    def cancelling(self, worker: str) -> list[Lease]:
        """The leases of a worker whose jobs are to be stopped."""

    def finish(self, lease: Lease, outcome: Outcome) -> Job:
        """Report the end of an attempt; ``model.decide`` says what becomes of the job.

        Raises:
            LeaseLost: the job was taken from this attempt; its files are kept as that attempt's own.
        """

    def run_dir(self, job_id: int) -> Path:
        """The folder of a job's run."""

    def listen(self, worker: str) -> Bell:
        """A bell that rings when a job may be claimed or one of the worker's is to be stopped."""

    def ring(self) -> None:
        """Wake every worker."""

    def close(self) -> None:
        """Let go of what is open."""
