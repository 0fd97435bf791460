"""The rules of the queue said a second time, as plain Python over a dict of jobs: what a hub is held against."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from hubs import Ticker

from whirr.model import TRANSITIONS, CauseKind, JobSpec, JobStatus, Verdict, WorkerInfo

Token = tuple[int, int]
"""(job, attempt)"""

ACTIVE = (JobStatus.RUNNING, JobStatus.CANCELLING)
ENDED = (JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELLED)
SPOILT = (JobStatus.FAILED, JobStatus.CANCELLED)


@dataclass
class Entry:
    """A job as it must be.

    Attributes:
        wait: (era, second) before which it does not start.
        lease: (era, second) after which its lease no longer holds; None while no timed lease is out.
        outcomes: one for each attempt, None for the one under way.
        damaged: a process died in the middle of a change: until the next attempt ``meta.json`` may say what was undone.
    """

    id: int
    spec: JobSpec
    status: JobStatus = JobStatus.QUEUED
    failures: int = 0
    crashes: int = 0
    worker: WorkerInfo | None = None
    lease: tuple[str, float] | None = None
    wait: tuple[str, float] | None = None
    gpus: tuple[str, ...] = ()
    cancelled_by: str | None = None
    outcomes: list[str | None] = field(default_factory=list)
    damaged: bool = False

    @property
    def attempt(self) -> int:
        return len(self.outcomes)

    def width(self, worker: WorkerInfo) -> int:
        """How many GPUs it takes of this worker."""
        return (1 if worker.gpus else 0) if self.spec.gpus is None else self.spec.gpus


class QueueModel:
    """See the module.

    Attributes:
        touched: the jobs that changed since this was last cleared.
    """

    def __init__(self, clock: Ticker) -> None:
        self.clock = clock
        self.jobs: dict[int, Entry] = {}
        self.touched: set[int] = set()

    def copy(self) -> QueueModel:
        """The same, to see what would happen; nothing of it is touched yet."""
        made = QueueModel(self.clock)
        made.jobs = {each.id: replace(each, outcomes=list(each.outcomes)) for each in self.jobs.values()}
        return made

    # What holds

    def unmet(self, entry: Entry) -> list[int]:
        """The jobs that it still waits for."""
        needs = [(need, True) for need in entry.spec.after]
        needs += [(need, False) for need in entry.spec.after_any if need not in entry.spec.after]
        return [
            need
            for need, must_complete in needs
            if not (
                self.jobs[need].status is JobStatus.COMPLETED
                or (self.jobs[need].status in SPOILT and not must_complete)
            )
        ]

    def holds(self, entry: Entry) -> bool:
        """Whether the lease that is out on it has not run out."""
        if entry.lease is None:
            return entry.worker is not None
        era, until = entry.lease
        return era == self.clock.era and until >= self.clock.seconds

    def is_current(self, token: Token, worker: WorkerInfo) -> bool:
        """Whether this token still speaks for its job."""
        entry = self.jobs[token[0]]
        return entry.status in ACTIVE and entry.attempt == token[1] and entry.worker == worker

    def gpus_in_use(self) -> set[tuple[str, str]]:
        """(machine, GPU) of all that run."""
        return {(each.worker.machine, gpu) for each in self.jobs.values() if each.worker for gpu in each.gpus}

    def in_order(self) -> list[Entry]:
        """The queued jobs that wait for no other, in the order in which they are to run."""
        ready = [each for each in self.jobs.values() if each.status is JobStatus.QUEUED and not self.unmet(each)]
        return sorted(ready, key=lambda each: (-each.spec.priority, each.id))

    # What happens

    def submit(self, job_id: int, spec: JobSpec) -> None:
        assert job_id > max(self.jobs, default=0)
        self.jobs[job_id] = Entry(job_id, spec)
        self.touched.add(job_id)
        self._fail_the_hopeless()

    def claim(self, worker: WorkerInfo) -> Entry | None:
        self._expire()
        taken = {gpu for machine, gpu in self.gpus_in_use() if machine == worker.machine}
        free = [gpu for gpu in worker.gpus if gpu not in taken]
        fit = [each for each in self.in_order() if each.width(worker) <= len(worker.gpus) and not self._waits(each)]
        if fit and fit[0].width(worker) > len(free):  # it is waited for: only what takes no GPU may go before
            fit = [each for each in fit if each.width(worker) == 0]
        if not fit:
            return None
        entry = fit[0]
        entry.gpus = tuple(free[: entry.width(worker)])
        entry.worker, entry.wait, entry.damaged = worker, None, False
        entry.lease = None if worker.lease_s is None else (self.clock.era, self.clock.seconds + worker.lease_s)
        entry.outcomes.append(None)
        self._move(entry, JobStatus.RUNNING)
        return entry

    def renew(self, worker: WorkerInfo) -> list[Token]:
        held = [each for each in self.jobs.values() if each.worker == worker and self.holds(each)]
        for entry in held:
            if worker.lease_s is not None:
                entry.lease = (self.clock.era, self.clock.seconds + worker.lease_s)
        return sorted((each.id, each.attempt) for each in held)

    def finish(self, entry: Entry, verdict: Verdict, kind: CauseKind, seconds: float) -> None:
        status, word, wait = self._after(entry, verdict, kind, seconds)
        entry.outcomes[-1] = word
        entry.worker, entry.lease, entry.gpus = None, None, ()
        entry.wait = (self.clock.era, self.clock.seconds + wait) if wait else None
        self._move(entry, status)
        self._fail_the_hopeless()

    def cancel(self, entry: Entry, by: str) -> bool:
        """False where that is refused."""
        if entry.status in (JobStatus.COMPLETED, JobStatus.FAILED):
            return False
        if entry.status in (JobStatus.QUEUED, JobStatus.RUNNING):
            entry.cancelled_by = by
            self._move(entry, JobStatus.CANCELLED if entry.status is JobStatus.QUEUED else JobStatus.CANCELLING)
            self._fail_the_hopeless()
        return True

    def reprioritise(self, entry: Entry, priority: int) -> bool:
        """False where that is refused."""
        if entry.status is not JobStatus.QUEUED:
            return False
        entry.spec = entry.spec._replace(priority=priority)
        return True

    def retry(self, entry: Entry) -> bool:
        """False where that is refused."""
        if entry.status not in SPOILT:
            return False
        entry.failures, entry.crashes, entry.wait, entry.cancelled_by = 0, 0, None, None
        self._move(entry, JobStatus.QUEUED)
        self._fail_the_hopeless()
        return True

    # How

    def _move(self, entry: Entry, status: JobStatus) -> None:
        assert status in TRANSITIONS[entry.status], (entry, status)
        entry.status = status
        self.touched.add(entry.id)

    def _waits(self, entry: Entry) -> bool:
        return entry.wait is not None and entry.wait[0] == self.clock.era and entry.wait[1] > self.clock.seconds

    def _expire(self) -> None:
        for entry in sorted(self.jobs.values(), key=lambda each: each.id):
            if entry.status in ACTIVE and not self.holds(entry):
                self.finish(entry, Verdict.CRASHED, CauseKind.WORKER_LOST, 0.0)

    def _after(self, entry: Entry, verdict: Verdict, kind: CauseKind, seconds: float) -> tuple[JobStatus, str, float]:
        """The next state, the word for the attempt, the seconds to wait."""
        if entry.status is JobStatus.CANCELLING:
            return JobStatus.CANCELLED, "cancelled", 0
        if verdict is Verdict.COMPLETED:
            return JobStatus.COMPLETED, "completed", 0
        if verdict is Verdict.REQUEUE:
            return JobStatus.QUEUED, "requeued", 5 if kind is CauseKind.REQUEUED and seconds < 10 else 0
        if verdict is Verdict.CRASHED:
            entry.crashes += 1
            return (JobStatus.FAILED if entry.crashes >= 3 else JobStatus.QUEUED), "lost", 0
        entry.failures += 1
        if entry.failures > entry.spec.retries or kind is CauseKind.COMMAND_NOT_FOUND:
            return JobStatus.FAILED, "failed", 0
        return JobStatus.QUEUED, "failed", min(5 * 2 ** (entry.failures - 1), 300)

    def _fail_the_hopeless(self) -> None:
        """Whatever needs the success of a job that failed or was cancelled, and all that needs this in turn."""
        for entry in sorted(self.jobs.values(), key=lambda each: each.id):  # a job needs older ones only
            spoilt = any(self.jobs[need].status in SPOILT for need in entry.spec.after)
            if entry.status is JobStatus.QUEUED and spoilt:
                self._move(entry, JobStatus.FAILED)
