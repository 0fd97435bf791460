"""The disk of the server or of a worker is full for a while: what was acknowledged is kept, and work goes on later."""

from __future__ import annotations

from pathlib import Path

import pytest
from disks import a_small_disk, fill
from helpers import wait_until
from remote_queues import a_remote_queue

from whirr.client import WhirrClientError

LINES, PAUSE_S = 40, 0.05


@pytest.mark.needs_root
def test_the_disk_of_the_server_is_full(tmp_path: Path) -> None:
    disk = tmp_path / ".whirr"
    with a_small_disk(disk, "4m"), a_remote_queue(tmp_path) as queue, queue.client() as client:
        worker = queue.worker("--slots", "2")
        queue.ready(worker)
        jobs = [queue.write(LINES, PAUSE_S) for _ in range(4)]  # two run, two wait
        for number in jobs[:2]:
            queue.tells("start", number)
        filler = fill(disk)
        refused = []
        for _ in range(5):
            try:
                jobs.append(int(client.submit_job(queue.command(LINES, PAUSE_S), str(tmp_path))["job_id"]))
            except WhirrClientError as error:
                refused.append(str(error))
        assert refused
        assert all("full" in each or "No space" in each for each in refused), refused
        for number in jobs[:2]:
            queue.tells("end", number)
        worker.says("trying again")
        assert not any(queue.job(number).status.terminal for number in jobs)
        filler.unlink()
        queue.completes(*jobs)
        assert [queue.arrived(number, LINES)[-1] for number in jobs] == ["completed"] * len(jobs)
        assert [queue.outcomes(number) for number in jobs[:2]] == [["completed"]] * 2
        assert sorted(job.id for job in queue.hub.jobs()) == jobs
        assert queue.server.process.poll() is None


@pytest.mark.needs_root
def test_the_disk_of_a_worker_is_full(tmp_path: Path) -> None:
    disk = tmp_path / "machines" / "full"
    with a_small_disk(disk, "2m"), a_remote_queue(tmp_path) as queue:
        worker = queue.worker(machine="full")
        queue.ready(worker)
        running = queue.record("until", "go")
        queue.tells("ready", running)
        filler = fill(disk)
        waiting = queue.write(LINES, PAUSE_S)
        queue.let("go")
        queue.tells("end", running)
        wait_until(lambda: queue.outcomes(waiting) or "trying again" in worker.said(), 30)
        filler.unlink()
        queue.completes(running, waiting)
        assert queue.arrived(waiting, LINES)[-1] == "completed"
        assert queue.outcomes(running)[-1] == "completed"
        assert worker.process.poll() is None
