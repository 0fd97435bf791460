"""The workers of a queue as they are now: which live, and what of them is free."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

from whirr.hub import Hub
from whirr.model import FORGET_AFTER_S, UNSEEN_AFTER_S, Job, JobStatus, Sighting, WorkerInfo

ACTIVE = (JobStatus.RUNNING, JobStatus.CANCELLING)

SHOWN_S = 86400.0
"""Seconds after its last sign of life for which a worker without a job is shown."""


class Health(StrEnum):
    """Whether a worker is there.

    A dead one is known to be gone. An unseen one has given no sign of life for ``UNSEEN_AFTER_S``: it is stopped, or
    on a machine that cannot be looked into and may be gone.
    """

    ALIVE = "alive"
    UNSEEN = "unseen"
    DEAD = "dead"


class Seen(NamedTuple):
    """A worker and its jobs.

    Attributes:
        silent_s: seconds since its last sign of life.
        jobs: the jobs it holds.
        gpus_in_use: the GPUs that they have to themselves, by UUID.
    """

    worker: WorkerInfo
    health: Health
    silent_s: float
    jobs: tuple[Job, ...]
    gpus_in_use: frozenset[str]

    @property
    def long_gone(self) -> bool:
        """Whether it may be forgotten, unless its machine is this one."""
        return self.health is Health.UNSEEN and not self.jobs and self.silent_s > FORGET_AFTER_S


class Fleet(NamedTuple):
    """All workers of a queue, and the jobs under way.

    Attributes:
        gpus: the GPUs that each job under way has to itself, by its number.
    """

    workers: tuple[Seen, ...]
    active: tuple[Job, ...]
    gpus: Mapping[int, tuple[str, ...]]

    @property
    def living(self) -> list[Seen]:
        """The workers that may take a job."""
        return [seen for seen in self.workers if seen.health is Health.ALIVE and not seen.worker.finishing]

    @property
    def finishing(self) -> list[Seen]:
        """The workers that live and take no more jobs."""
        return [seen for seen in self.workers if seen.health is Health.ALIVE and seen.worker.finishing]

    @property
    def shown(self) -> list[Seen]:
        """The workers that people are shown: those seen within a day, and those that hold jobs."""
        return [seen for seen in self.workers if seen.jobs or seen.silent_s < SHOWN_S]

    def idle_gpus(self) -> tuple[int, int]:
        """How many GPUs of living workers are idle, and how many they have; one that two workers offer counts once."""
        there = {(seen.worker.machine, gpu) for seen in self.living for gpu in seen.worker.gpus}
        used = {(seen.worker.machine, gpu) for seen in self.workers for gpu in seen.gpus_in_use}
        return len(there - used), len(there)

    def most_idle_gpus(self) -> int:
        """How many GPUs of one living worker are idle at most: a job gets all of its own from one worker."""
        used = {(seen.worker.machine, gpu) for seen in self.workers for gpu in seen.gpus_in_use}
        idle = (sum((seen.worker.machine, gpu) not in used for gpu in seen.worker.gpus) for seen in self.living)
        return max(idle, default=0)

    def idle_slots(self) -> tuple[int, int]:
        """How many slots of living workers are idle, and how many they have."""
        there = sum(seen.worker.slots for seen in self.living)
        return sum(max(seen.worker.slots - len(seen.jobs), 0) for seen in self.living), there

    def worker_of(self, job: Job) -> Seen | None:
        """The worker that runs a job."""
        return next((seen for seen in self.workers if seen.worker.id == job.worker), None)


def look(hub: Hub) -> Fleet:
    """The workers of a queue now.

    Raises:
        StoreError: the queue cannot be read.
    """
    sightings = hub.sightings()
    active = tuple(sorted(hub.jobs(ACTIVE), key=lambda job: job.id))
    attempts = {job.id: hub.attempts(job.id) for job in active}
    gpus = {number: found[-1].gpus if found else () for number, found in attempts.items()}
    return Fleet(tuple(_seen(sighting, active, gpus) for sighting in sightings), active, gpus)


def is_worked_on(hub: Hub) -> bool:
    """Whether some worker may take a job now."""
    return any(_health(seen) is Health.ALIVE and not seen.worker.finishing for seen in hub.sightings())


def _health(sighting: Sighting) -> Health:
    if sighting.gone:
        return Health.DEAD
    return Health.UNSEEN if sighting.silent_s > UNSEEN_AFTER_S else Health.ALIVE


def _seen(sighting: Sighting, active: tuple[Job, ...], gpus: Mapping[int, tuple[str, ...]]) -> Seen:
    jobs = tuple(job for job in active if job.worker == sighting.worker.id)
    in_use = frozenset(gpu for job in jobs for gpu in gpus[job.id])
    return Seen(sighting.worker, _health(sighting), sighting.silent_s, jobs, in_use)
