"""Many workers on one queue, and workers that are alike."""

from __future__ import annotations

import shutil
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import pytest
from queues import Queue, a_queue

from whirr.folder import QUEUE
from whirr.pairing import FILE

RECORD = 'echo "start $WHIRR_JOB_ID $WHIRR_ATTEMPT $$ $PPID" >> journal'


def each_ran_once(queue: Queue, jobs: list[int]) -> None:
    assert Counter(line.job for line in queue.journal("start")) == Counter(jobs)
    assert {line.attempt for line in queue.journal()} == {1}
    assert queue.hub.counts() == {"completed": len(jobs)}


@pytest.mark.parametrize(("kind", "count"), [("sqlite", 500), ("postgresql", 150)])
def test_eight_workers(tmp_path: Path, kind: str, count: int, request: pytest.FixtureRequest) -> None:
    url = request.getfixturevalue("postgres_url") if kind == "postgresql" else None
    with a_queue(tmp_path, url) as queue:
        jobs = [queue.submit("sh", "-c", RECORD) for _ in range(count)]
        workers = [queue.worker("--drain") for _ in range(8)]
        shares = [worker.ends(150).count(" completed after ") for worker in workers]
        each_ran_once(queue, jobs)
        assert sum(shares) == count
        assert queue.hub.workers() == []


def test_two_workers_of_the_same_name(tmp_path: Path) -> None:
    with a_queue(tmp_path) as queue:
        workers = [queue.worker("--name", "twin") for _ in range(2)]
        jobs = [queue.record("until", f"go-{number}") for number in range(2)]
        for number in jobs:
            queue.tells("ready", number)
        assert len({queue.job(number).worker for number in jobs}) == 2
        twin = queue.worker_of(queue.job(jobs[0]))
        assert twin in workers
        twin.kill()  # only its own job is lost
        queue.tells("ready", jobs[0], attempt=1)
        queue.let("go-1")
        queue.let("go-0")
        queue.completes(*jobs)
        assert queue.outcomes(jobs[1]) == ["completed"]
        assert queue.outcomes(jobs[0]) == ["lost", "completed"]


def test_two_machines_on_one_database(tmp_path: Path, postgres_url: str) -> None:
    with ExitStack() as stack:
        one = stack.enter_context(a_queue(tmp_path / "a", postgres_url))
        # Stands for the same folder on another machine whose disk passes on no locks.
        there = tmp_path / "b" / ".whirr" / QUEUE
        there.mkdir(parents=True)
        shutil.copy(one.hub.queue / FILE, there)
        other = stack.enter_context(a_queue(tmp_path / "b", postgres_url))
        one.worker()
        number = one.record("until", "go")
        one.tells("ready", number)
        other.worker()  # it cannot see the lock of the first, and must not think that it is dead
        other.completes(other.record("exit", 0))
        assert one.job(number).attempt == 1
        assert len(one.hub.workers()) == 2
        one.let("go")
        one.completes(number)
        assert one.outcomes(number) == ["completed"]
