"""The queue at one moment: what runs, what waits and why, what has ended, who works."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from whirr import clock
from whirr.fleet import Fleet, Seen, look
from whirr.hub import Hub
from whirr.model import Job, JobStatus
from whirr.progress import Progress
from whirr.waiting import Reasons


@dataclass(frozen=True, slots=True)
class Running:
    """A job under way.

    Attributes:
        worker: who runs it; None when that was forgotten just now.
        gpus: the GPUs it has to itself, by UUID.
        elapsed_s: seconds since this attempt was given to its worker.
    """

    job: Job
    worker: Seen | None
    gpus: tuple[str, ...]
    elapsed_s: float
    progress: Progress


@dataclass(frozen=True, slots=True)
class Overview:
    """See the module.

    Attributes:
        now: seconds since 1970, on the hub's clock.
        counts: how many jobs are in each state; the lists may be shorter.
        queued: in the order in which they will run, each with the reason why it waits.
        ended: those that failed before all others, the last ones first.
    """

    now: float
    counts: Mapping[JobStatus, int]
    running: tuple[Running, ...]
    queued: tuple[tuple[Job, str], ...]
    ended: tuple[Job, ...]
    fleet: Fleet


def overview(hub: Hub, limit: int = 0) -> Overview:
    """The queue now.

    Args:
        limit: so many queued and ended jobs at most, each; 0: all.

    Raises:
        StoreError: the queue cannot be read.
    """
    workers = look(hub)
    reasons = Reasons(hub, workers)
    waiting, ahead = [], 0
    for job in hub.upcoming(limit):
        waiting.append((job, reasons.why(job, ahead)))
        ahead += not job.blocked
    return Overview(
        now=hub.now(),
        counts=hub.counts(),
        running=tuple(running(hub, job, workers) for job in workers.active),
        queued=tuple(waiting),
        ended=tuple(_ended(hub, limit)),
        fleet=workers,
    )


def _ended(hub: Hub, limit: int) -> list[Job]:
    """What failed first; where not all fits, a third of the places stay for what else has ended last."""
    failed = hub.ended((JobStatus.FAILED,), limit)
    others = hub.ended((JobStatus.CANCELLED, JobStatus.COMPLETED), limit)
    if limit:
        del failed[limit - min(len(others), limit // 3) :]
        del others[limit - len(failed) :]
    return failed + others


def running(hub: Hub, job: Job, workers: Fleet) -> Running:
    """One job under way."""
    elapsed = max(hub.now() - clock.epoch(job.started_at), 0.0) if job.started_at else 0.0
    progress = hub.runs.progress(job.run_id)
    return Running(job, workers.worker_of(job), workers.gpus.get(job.id, ()), elapsed, progress)
