"""Many clients and many workers at one server: each job runs exactly once, and its files arrive whole."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from helpers import wait_until
from remote_queues import a_remote_queue, clients, counted


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_many_clients_and_workers(tmp_path: Path, kind: str, thorough: bool, request: pytest.FixtureRequest) -> None:
    """``--thorough``: 64 clients and 20 workers for two minutes."""
    url = request.getfixturevalue("postgres_url") if kind == "postgresql" else None
    users, workers, seconds = (64, 20, 120.0) if thorough else (12, 4, 0.0)
    with a_remote_queue(tmp_path, url) as queue:
        queue.ready(*(queue.worker() for _ in range(workers)))
        until = time.monotonic() + seconds
        with clients(queue, users, poll_s=0.5) as done:
            done.do_more(24)
            wait_until(lambda: time.monotonic() >= until, seconds + 60)
        outcomes = counted(queue, done)
        print(f"{len(done.acknowledged)} jobs by {workers} workers for {users} clients: {dict(outcomes)}")
        assert len({line.pid for line in queue.journal("start")}) == len(done.acknowledged)
        assert all(worker.process.poll() is None for worker in queue.workers)
