"""The jobs that a worker runs now, from claim to report."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import CLOCK_BOOTTIME, clock_gettime

from whirr import clock
from whirr.errors import LeaseLost, NotFound, StoreError, TooMany
from whirr.executors.base import Ending, Executor, Handle, StopReason, Task
from whirr.folder import OUTPUT
from whirr.gpuset import Gpu
from whirr.hub import Hub
from whirr.model import Cause, CauseKind, Claim, Job, JobStatus, Lease, Outcome, Verdict, WorkerInfo
from whirr.worker.checkouts import Checkouts, Key
from whirr.worker.code import CodeCheck
from whirr.worker.folders import Folders
from whirr.worker.reaper import end_earlier
from whirr.worker.sampling import Sampling
from whirr.worker.task import Checkout, task_of
from whirr.worker.verdict import outcome_of

GRACE_SHARE = 1 / 3
"""Of a lease: the most that stopping a job may take when the lease cannot be renewed."""

MARGIN_SHARE, LEAST_MARGIN_S = 0.1, 0.5
"""Of a lease: what stays free between the end of the processes and the end of the lease."""

NAME_MOST = 80
"""Characters of a job's name in what a worker says."""


@dataclass(frozen=True, slots=True)
class Active:
    """A job that runs."""

    claim: Claim
    task: Task
    handle: Handle


class Jobs:
    """See the module; the arguments are those of ``loop.Worker``, and ``started`` is given each new handle."""

    def __init__(
        self,
        hub: Hub,
        executor: Executor,
        gpus: Sequence[Gpu],
        queue: Path,
        folders: Folders,
        environ: Mapping[str, str],
        say: Callable[[str], None],
        lease_s: float | None,
        sample_s: float,
        started: Callable[[Handle], object],
    ) -> None:
        self._hub = hub
        self._executor = executor
        self._gpus = {gpu.uuid: gpu for gpu in gpus}
        self._queue = queue
        self._folders = folders
        self._environ = environ
        self._say = say
        self._lease_s = lease_s
        self._started = started
        self.running: dict[Key, Active] = {}
        self.unreported: list[tuple[Folders, Lease, Outcome]] = []
        self._held_since: dict[Key, float] = {}
        self._unwanted: dict[Key, StopReason] = {}
        self._renewed = clock_gettime(CLOCK_BOOTTIME)
        self._checkouts = Checkouts(folders)
        self._code = CodeCheck(say)
        self._sampling = Sampling(sample_s, os.getpid(), self._pids)
        self._sampling.start()

    @property
    def preparing(self) -> bool:
        """Whether a checkout is being made, whose end wakes nobody."""
        return bool(self._checkouts.pending)

    @property
    def count(self) -> int:
        """The jobs that take up a slot: being prepared, running, or ended and not yet reported."""
        return len(self._checkouts.pending) + len(self.running) + len(self.unreported)

    def _pids(self) -> dict[Path, int]:
        active = list(self.running.values())
        return {each.task.run_dir: each.handle.pid for each in active if each.handle.pid is not None}

    def start(self, claim: Claim, since: float) -> bool:
        """Start a claimed job, at once or when its checkout is made; False when it cannot be, which is reported.

        Args:
            since: the moment before the claim, on the boot clock.
        """
        self._held_since[_key(claim)] = since
        if self._checkouts.needed(claim):
            self._checkouts.ask(claim)
            return True
        return self._launch(claim)

    def _launch(self, claim: Claim, checkout: Checkout | None = None) -> bool:
        try:
            task = self._task(claim, checkout)
            if ended := end_earlier(self._queue, claim.job, self._folders.previous(claim.job)):
                self._say(f"{_name(claim.job)}: {ended} processes ended that its last attempt had left")
            handle = self._executor.start(task)
        except Exception as error:  # whatever a job holds, it ends neither its worker nor the jobs beside it
            self._could_not_start(claim, error)
            return False
        self.running[_key(claim)] = Active(claim, task, handle)
        self._folders.begun(claim.lease)
        self._started(handle)
        self._pulse(_key(claim))
        if checkout is None:
            self._code.ask(claim.job.id, task.run_dir, claim.job.spec.submitted)
        self._say(f"{_name(claim.job)} started{_attempt(claim.job)}{self._on(claim)}")
        return True

    def _could_not_start(self, claim: Claim, error: Exception) -> None:
        # A full disk, no more processes, a server that is away: another time it may work.
        transient = isinstance(error, OSError | StoreError | TooMany)
        cause = Cause(CauseKind.START_FAILED, f"could not be started: {error}")
        verdict = Verdict.REQUEUE if transient else Verdict.FAILED
        self._over(claim.lease, Outcome(verdict, cause, 0.0, clock.stamp()))

    def _over(self, lease: Lease, outcome: Outcome) -> None:
        """An attempt has ended: it is reported when its files are where they belong."""
        self._held_since.pop((lease.job_id, lease.attempt), None)
        self._folders.ended(lease)
        self.unreported.append((self._folders, lease, outcome))

    def adopt(self, folders: Folders, lease: Lease, outcome: Outcome) -> bool:
        """Report the end of an attempt of a dead worker, as of one of its own; False where that is under way."""
        if any(known == lease for _, known, _ in self.unreported) or not folders.take_over(lease):
            return False
        folders.ended(lease)
        self.unreported.append((folders, lease, outcome))
        return True

    def _task(self, claim: Claim, checkout: Checkout | None) -> Task:
        given = [self._gpus[uuid] for uuid in claim.gpus] if self._gpus else None
        longest = None if self._lease_s is None else self._lease_s * GRACE_SHARE
        return task_of(
            claim, self._folders, self._queue, self._environ, given, checkout=checkout, longest_grace_s=longest
        )

    def _on(self, claim: Claim) -> str:
        numbers = ", ".join(str(self._gpus[uuid].index) for uuid in claim.gpus)
        return f" on GPU {numbers}" if numbers else ""

    def _pulse(self, key: Key) -> None:
        """Let the supervisor go on until so long before the lease ends that all is gone by then."""
        if self._lease_s is None:
            return
        margin = max(self._lease_s * MARGIN_SHARE, LEAST_MARGIN_S)
        left = self._lease_s * (1 - GRACE_SHARE) - margin
        self.running[key].handle.pulse(left - (clock_gettime(CLOCK_BOOTTIME) - self._held_since[key]))

    def take_in(self) -> list[Handle]:
        """Move jobs that have ended to the unreported ones; the handles to wait for no more."""
        self._take_in_checkouts()
        ended = []
        for key, active in list(self.running.items()):
            ending = active.handle.poll()
            if ending is None:
                continue
            outcome = outcome_of(ending, active.task.output, active.task.timeout_s)
            del self.running[key]
            self._over(active.claim.lease, outcome)
            ended.append(active.handle)
        return ended

    def _take_in_checkouts(self) -> None:
        for claim, made in self._checkouts.done():
            reason = self._unwanted.pop(_key(claim), None)
            if reason is not None:
                ending = Ending(reason=reason, finished_at=clock.stamp())
                output = self._folders.place(claim.job.id, claim.job.attempt) / OUTPUT
                self._over(claim.lease, outcome_of(ending, output, claim.job.spec.timeout_s))
            elif isinstance(made, Exception):
                self._could_not_start(claim, made)
            else:
                self._launch(claim, made)

    def report(self) -> bool:
        """Report what has ended; whether anything was.

        Raises:
            StoreError, FolderError: not now; what could not be reported stays.
        """
        reported = False
        for folders, lease, outcome in [each for each in self.unreported if each[0].complete(each[1])]:
            try:
                job = self._hub.finish(lease, outcome)
            except (LeaseLost, NotFound) as error:
                self._say(f"{error}; its result is kept as that attempt's own")
            except BaseException:
                self.unreported.remove((folders, lease, outcome))
                self.unreported.append((folders, lease, outcome))  # the next time another one is tried first
                raise
            else:
                self._say(_ended(job, outcome))
            self.unreported.remove((folders, lease, outcome))
            folders.reported(lease)
            reported = True
        return reported

    def stop_cancelled(self, worker: str) -> None:
        """Stop the jobs that somebody cancelled."""
        for lease in self._hub.cancelling(worker):
            self._stop((lease.job_id, lease.attempt), StopReason.CANCEL)

    def stop_all(self, reason: StopReason) -> None:
        """Stop every job."""
        for key in (*self.running, *self._checkouts.pending):
            self._stop(key, reason)

    def _stop(self, key: Key, reason: StopReason) -> None:
        if key in self.running:
            self.running[key].handle.stop(reason)
        elif key in self._checkouts.pending:
            self._unwanted[key] = reason

    @property
    def reportable(self) -> bool:
        """Whether an attempt that has ended waits only for the hub."""
        return any(folders.complete(lease) for folders, lease, _ in self.unreported)

    def hold_on(self) -> None:
        """Nothing listens at the server's address: its leases hold, and the jobs run on, as long as the hub says.

        A server that starts gives all leases that time first, so none of them can have run out meanwhile.
        """
        now = clock_gettime(CLOCK_BOOTTIME)
        if self._lease_s is None or now - self._renewed > self._hub.outage_s - self._lease_s:
            return
        for key in self.running:
            self._held_since[key] = now
            self._pulse(key)

    def renew(self, worker: WorkerInfo) -> None:
        """Give a sign of life, stop the jobs whose leases are gone, and give back what was claimed unknowingly."""
        since = clock_gettime(CLOCK_BOOTTIME)
        held = {(lease.job_id, lease.attempt): lease for lease in self._hub.renew(worker)}
        self._renewed = since
        for key in (*self.running, *self._checkouts.pending):
            if key not in held:
                self._stop(key, StopReason.LEASE_LOST)
                continue
            self._held_since[key] = since
            if key in self.running:
                self._pulse(key)
        ended = {(lease.job_id, lease.attempt) for _, lease, _ in self.unreported}
        for key in held.keys() - self.running.keys() - self._checkouts.pending.keys() - ended:
            cause = Cause(CauseKind.START_FAILED, "the answer to its claim was lost with the connection")
            self._over(held[key], Outcome(Verdict.REQUEUE, cause, 0.0, clock.stamp()))

    def close(self) -> None:
        """Let go of threads and supervisors."""
        self._sampling.stop()
        self._folders.close()
        self._checkouts.close()
        self._code.close()
        self._executor.close()


def _key(claim: Claim) -> Key:
    return claim.job.id, claim.job.attempt


def _name(job: Job) -> str:
    name = job.spec.name or ""
    short = name if len(name) <= NAME_MOST else f"{name[: NAME_MOST - 1]}…"
    return f"job {job.id}" + (f" ({short})" if short else "")


def _attempt(job: Job) -> str:
    return f", attempt {job.attempt}" if job.attempt > 1 else ""


def _ended(job: Job, outcome: Outcome) -> str:
    """One line about a job whose attempt has ended."""
    why = outcome.cause.message if outcome.cause and job.status is not JobStatus.COMPLETED else ""
    if job.status.terminal and job.cause is not None:
        why = job.cause.message
    queued_again = job.status is JobStatus.QUEUED or job.status.active  # it may run again by now
    status = "queued again" if queued_again else str(job.status)
    return f"{_name(job)} {status} after {clock.format_duration(outcome.duration_s)}" + (f": {why}" if why else "")
