"""Workers, supervisors and both are killed while jobs run: none is lost, none runs twice at once, nothing is left."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path

import pytest
from helpers import wait_until
from queues import Queue, Worker, a_queue, whirr

from whirr.model import CRASHES_ALLOWED, CauseKind, Job, JobStatus

ROUNDS = 50
CHILDREN = ("deaf", "setsid", "other")
KINDS = ("plain", "nohup", "deaf", "setsid", "daemon", "other", "hidden")


def settled(queue: Queue, number: int) -> str:
    """Wait for the end of a job, which must be one that the rules allow when workers are killed."""
    wait_until(lambda: queue.job(number).status.terminal, 60)
    job = queue.job(number)
    outcomes = queue.outcomes(number)
    if job.status is JobStatus.COMPLETED:
        assert outcomes.count("completed") == 1
        assert outcomes[-1] == "completed"
        assert set(outcomes[:-1]) <= {"lost"}
        assert len(queue.journal("end", number, job.attempt)) == 1
    else:
        assert (job.status, job.cause.kind) == (JobStatus.FAILED, CauseKind.WORKER_LOST)
        assert outcomes == ["lost"] * CRASHES_ALLOWED
    assert len(outcomes) <= CRASHES_ALLOWED
    return str(job.status)


def test_a_worker_is_killed_at_any_moment_of_a_job(tmp_path: Path) -> None:
    seeded = random.Random(3)
    with a_queue(tmp_path) as queue:
        living = [queue.worker("--slots", "2") for _ in range(2)]
        jobs = []
        for _ in range(ROUNDS):
            number = queue.record("sleep", seeded.uniform(0, 0.3), *seeded.sample(CHILDREN, 1), grace_s=0.1)
            jobs.append(number)
            claimed = wait_until(lambda number=number: _begun(queue, number), 60)
            time.sleep(seeded.uniform(0, 0.4))  # the moment is what is tried here
            victim = queue.worker_of(claimed) or living[0]
            living.remove(victim)
            victim.kill()
            living.append(queue.worker("--slots", "2"))
        ends = [settled(queue, job) for job in jobs]
        assert ends.count("completed") > ROUNDS / 2
        assert sum(queue.outcomes(job).count("lost") for job in jobs) > ROUNDS / 5


def _begun(queue: Queue, number: int) -> Job | None:
    job = queue.job(number)
    return job if job.attempt else None


def test_supervisors_are_killed(tmp_path: Path) -> None:
    with a_queue(tmp_path) as queue:
        worker = queue.worker("--slots", "4")
        jobs = [queue.record("first", *KINDS) for _ in range(10)]
        for number in jobs:
            os.kill(queue.tells("ready", number).supervisor, signal.SIGKILL)
        queue.completes(*jobs)
        assert [queue.outcomes(number) for number in jobs] == [["lost", "completed"]] * len(jobs)
        assert queue.attempts(jobs[0])[0].cause.message.startswith("its supervisor was killed")
        assert queue.strays() == []
        worker.signal(signal.SIGTERM)
        worker.ends()


def kill_both(queue: Queue, worker: Worker, *supervisors: int) -> None:
    """SIGKILL so that neither can do anything about the death of the other."""
    worker.signal(signal.SIGSTOP)
    for supervisor in supervisors:
        os.kill(supervisor, signal.SIGKILL)
    worker.kill()


SWEPT = ("plain", "nohup", "deaf", "setsid", "daemon", "other")
"""What a sweep can find: a process that keeps its mark, or writes to the output of the job."""


def test_workers_and_supervisors_are_killed(tmp_path: Path) -> None:
    with a_queue(tmp_path) as queue:
        jobs = []
        for _ in range(4):
            worker = queue.worker("--slots", "3", "--name", "victim")
            new = [queue.record("first", *SWEPT) for _ in range(3)]
            supervisors = [queue.tells("ready", number).supervisor for number in new]
            kill_both(queue, worker, *supervisors)
            jobs += new
        heir = queue.worker("--drain")
        queue.completes(*jobs)
        assert [queue.outcomes(number) for number in jobs] == [["lost", "completed"]] * len(jobs)
        assert queue.strays() == []
        heir.ends()
        assert queue.said().count(f", {len(SWEPT)} left-over processes ended") == len(jobs)
        assert queue.hub.workers() == []


ENDS = ("cancel", "worker", "leader", "supervisor", "both")


@pytest.mark.parametrize("end", ENDS)
def test_survivors(tmp_path: Path, end: str) -> None:
    with a_queue(tmp_path) as queue:
        worker = queue.worker()
        kinds = SWEPT if end == "both" else KINDS
        number = queue.record("until", "go", *kinds) if end == "leader" else queue.record("first", *kinds)
        line = queue.tells("ready", number)
        wait_until(lambda: len(queue.strays()) == len(kinds) + 1)
        if end == "cancel":
            assert whirr(queue, "cancel", str(number)).returncode == 0
        elif end == "worker":
            worker.kill()
        elif end == "leader":
            queue.let("go")
        elif end == "supervisor":
            os.kill(line.supervisor, signal.SIGKILL)
        else:
            kill_both(queue, worker, line.supervisor)
        if end in ("worker", "both"):
            worker = queue.worker()
        queue.becomes(number, JobStatus.CANCELLED if end == "cancel" else JobStatus.COMPLETED)
        assert queue.strays() == []
        assert queue.outcomes(number)[0] == {"cancel": "cancelled", "leader": "completed"}.get(end, "lost")
