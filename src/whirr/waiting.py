"""Why a queued job waits, in words."""

from __future__ import annotations

from whirr import clock
from whirr.fleet import Fleet, look
from whirr.hub import Hub
from whirr.model import BACKOFF_MOST_S, Job, JobStatus

NAMED = 3
"""So many jobs that a job waits for are named."""


def why(hub: Hub, job: Job) -> str:
    """Why a job waits; empty where it does not wait.

    Raises:
        StoreError: the queue cannot be read.
    """
    return Reasons(hub, look(hub)).why(job)


class Reasons:
    """Gives the reasons of several jobs at one moment.

    Args:
        fleet: the workers at that moment.
    """

    def __init__(self, hub: Hub, fleet: Fleet) -> None:
        self._hub = hub
        self._fleet = fleet
        self._now = hub.clock()
        self._idle_gpus = fleet.most_idle_gpus()
        self._idle_slots, _ = fleet.idle_slots()
        self._lack: dict[str, frozenset[str]] = {}
        self._widest = max((len(seen.worker.gpus) for seen in fleet.living), default=0)

    def why(self, job: Job, ahead: int | None = None) -> str:
        """Why a job waits; empty where it does not wait.

        Args:
            ahead: how many jobs come before it, where that is known.
        """
        if job.status is not JobStatus.QUEUED:
            return ""
        return self._own_reason(job) or self._place(job, self._hub.ahead(job) if ahead is None else ahead)

    def _own_reason(self, job: Job) -> str:
        """What keeps this job from being started, whatever is before it."""
        if job.blocked:
            return self._needs(job)
        if not self._fleet.living:
            return "no worker takes more jobs" if self._fleet.finishing else "no worker is running"
        if (job.spec.gpus or 0) > self._widest:
            has = f"at most {self._widest}" if self._widest else "none"
            return f"needs {_gpus(job.spec.gpus or 0)}; the workers have {has}"
        if lack := self._lacking(job):
            return lack
        # A wait is never longer than this: one that seems so was counted before the machine was restarted.
        left = (job.not_before or 0.0) - self._now
        return f"tried again in {clock.format_duration(left)}" if 0 < left <= BACKOFF_MOST_S else ""

    def _lacking(self, job: Job) -> str:
        """That no worker has the folder the job is to run in, where all have looked."""
        if job.spec.snapshot or any(seen.worker.lease_s is None for seen in self._fleet.living):
            return ""
        if job.spec.workdir not in self._lack:
            self._lack[job.spec.workdir] = frozenset(self._hub.lacking(job.spec.workdir))
        if not {seen.worker.id for seen in self._fleet.living} <= self._lack[job.spec.workdir]:
            return ""
        many = len(self._fleet.living)
        return f"no worker has its folder {job.spec.workdir} ({many} {'lack' if many > 1 else 'lacks'} it)"

    def _needs(self, job: Job) -> str:
        after_any = set(job.spec.after_any) - set(job.spec.after)
        open_ = [
            need
            for need in self._hub.dependencies(job.id)
            if not (need.status is JobStatus.COMPLETED or (need.status.terminal and need.id in after_any))
        ]
        named = ", ".join(f"{need.id} ({need.status})" for need in open_[:NAMED])
        more = f" and {len(open_) - NAMED} more" if len(open_) > NAMED else ""
        return f"after job{'s' * (len(open_) > 1)} {named}{more}" if open_ else "about to start"

    def _place(self, job: Job, ahead: int) -> str:
        if ahead:
            return f"{ahead} job{'s' * (ahead > 1)} before it"
        wanted = (1 if self._widest else 0) if job.spec.gpus is None else job.spec.gpus
        if wanted > self._idle_gpus:
            return f"next, for {_gpus(wanted) if wanted > 1 else 'a free GPU'}{self._where(wanted)}"
        return "about to start" if self._idle_slots else "next, for a free slot"

    def _where(self, wanted: int) -> str:
        """The workers that have so many GPUs, where only one or two of several do."""
        wide = [seen.worker.name for seen in self._fleet.living if len(seen.worker.gpus) >= wanted]
        return f" on {' or '.join(wide)}" if len(wide) <= 2 and len(wide) < len(self._fleet.living) else ""


def _gpus(count: int) -> str:
    return f"{count} GPU{'s' * (count > 1)}"
