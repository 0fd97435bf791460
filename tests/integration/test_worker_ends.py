"""How jobs and workers end: stopped, cancelled, out of time, out of luck."""

from __future__ import annotations

import re
import shutil
import signal
from pathlib import Path

import pytest
from helpers import wait_until
from queues import a_queue, whirr

from whirr.executors.supervisor import lookup
from whirr.fleet import is_worked_on, look
from whirr.model import CauseKind, JobStatus


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_worker_that_is_told_to_stop_queues_its_jobs_again(tmp_path: Path, number: signal.Signals) -> None:
    with a_queue(tmp_path) as queue:
        worker = queue.worker("--slots", "2")
        jobs = [queue.record("first", "deaf", "setsid", "other") for _ in range(2)]
        waiting = queue.record("exit", 0)
        for job in jobs:
            queue.tells("ready", job)
        worker.signal(number)
        assert "stopping; what runs is queued again" in worker.ends()
        assert queue.strays() == []
        for job in jobs:
            found = queue.job(job)
            assert (found.status, found.failures, found.crashes) == (JobStatus.QUEUED, 0, 0)
            assert found.cause.kind is CauseKind.WORKER_STOPPED
        assert queue.hub.workers() == []
        queue.worker("--drain").ends()
        queue.completes(*jobs, waiting)
        assert [queue.outcomes(job) for job in jobs] == [["requeued", "completed"]] * 2


def test_ctrl_c_once_finishes_what_runs(tmp_path: Path) -> None:
    with a_queue(tmp_path) as queue:
        worker = queue.worker()
        job, waiting = queue.record("until", "go"), queue.record("exit", 0)
        queue.tells("ready", job)
        worker.signal(signal.SIGINT)
        worker.says("taking no more jobs; 1 job to finish")
        wait_until(lambda: look(queue.hub).living == [], 60)
        told = whirr(queue, "status").stdout
        assert "no worker takes more jobs" in told
        assert "1 worker finishing, no other is running: whirr worker" in told
        assert not is_worked_on(queue.hub)
        queue.let("go")
        worker.ends()
        assert queue.outcomes(job) == ["completed"]
        assert queue.job(waiting).attempt == 0


def test_ctrl_c_twice_queues_again(tmp_path: Path) -> None:
    with a_queue(tmp_path) as queue:
        worker = queue.worker()
        job = queue.record("first", "deaf")
        queue.tells("ready", job)
        worker.signal(signal.SIGINT)
        worker.says("taking no more jobs")
        worker.signal(signal.SIGINT)
        worker.ends()
        assert (queue.job(job).status, queue.outcomes(job)) == (JobStatus.QUEUED, ["requeued"])
        assert queue.strays() == []


def test_cancelling_while_a_worker_stops(tmp_path: Path) -> None:
    with a_queue(tmp_path) as queue:
        worker = queue.worker()
        job = queue.record("first", "deaf", grace_s=3.0)
        queue.tells("ready", job)
        worker.signal(signal.SIGTERM)
        worker.says("stopping")
        assert whirr(queue, "cancel", str(job)).returncode == 0
        worker.ends()
        assert (queue.job(job).status, queue.outcomes(job)) == (JobStatus.CANCELLED, ["cancelled"])


def test_a_job_asks_to_be_queued_again_and_another_fails_once(tmp_path: Path) -> None:
    with a_queue(tmp_path) as queue:
        worker = queue.worker("--slots", "2", "--drain")
        asking = queue.record("exit", 85, 0)
        failing = queue.record("exit", 3, 0, retries=1)
        hopeless = queue.record("exit", 3, retries=0)
        worker.ends()
        assert [queue.outcomes(job) for job in (asking, failing, hopeless)] == [
            ["requeued", "completed"],
            ["failed", "completed"],
            ["failed"],
        ]
        assert queue.job(asking).failures == 0
        assert queue.attempts(asking)[0].cause.exit_code == 85
        assert (queue.job(hopeless).cause.kind, queue.job(hopeless).exit_code) == (CauseKind.EXIT, 3)


WARNED = """
import signal, sys, time
signal.signal(signal.SIGUSR1, lambda *_: print("warned", flush=True))
signal.signal(signal.SIGTERM, lambda *_: (print("asked", flush=True), sys.exit(0)))
print("begun", flush=True)
while True:
    time.sleep(0.1)
"""


def test_a_time_limit(tmp_path: Path) -> None:
    with a_queue(tmp_path) as queue:
        queue.worker()
        script = tmp_path / "warned.py"
        script.write_text(WARNED)
        job = queue.submit("python3", script, timeout_s=3.0, grace_s=5.0)
        found = queue.becomes(job, JobStatus.FAILED)
        assert (found.cause.kind, found.cause.message) == (CauseKind.TIME_LIMIT, "ran longer than its limit of 3 s")
        assert queue.output(job) == "begun\nwarned\nasked\n"
        assert queue.meta(job)["cause"]["kind"] == "time-limit"


def test_a_job_that_kills_its_workers_is_set_aside(tmp_path: Path) -> None:
    with a_queue(tmp_path) as queue:
        job, other = queue.record("kill"), queue.record("exit", 0)
        for _ in range(3):
            assert queue.worker().process.wait(60) == -signal.SIGKILL
        queue.worker("--drain").ends()
        found = queue.job(job)
        assert (found.status, found.cause.kind) == (JobStatus.FAILED, CauseKind.WORKER_LOST)
        assert found.cause.message == "set aside: 3 attempts were lost with their worker or supervisor"
        assert queue.outcomes(job) == ["lost"] * 3
        assert queue.meta(job)["cause"]["message"] == found.cause.message
        told = whirr(queue, "status", str(job)).stdout
        assert re.search(r"^lost +3 attempts$", told, re.MULTILINE), told
        assert "asks for" not in told
        assert queue.job(other).status is JobStatus.COMPLETED


def test_a_cancelled_job_whose_worker_dies_is_cancelled(tmp_path: Path) -> None:
    with a_queue(tmp_path) as queue:
        worker = queue.worker()
        job = queue.record("first", "deaf", grace_s=0.5)
        queue.tells("ready", job)
        worker.signal(signal.SIGSTOP)
        assert whirr(queue, "cancel", str(job)).returncode == 0
        assert queue.job(job).status is JobStatus.CANCELLING
        worker.kill()
        queue.worker("--drain").ends()
        assert (queue.job(job).status, queue.outcomes(job)) == (JobStatus.CANCELLED, ["cancelled"])
        assert queue.job(job).cause.message.startswith("cancelled by ")


def test_the_folder_is_moved_under_two_workers(tmp_path: Path) -> None:
    with a_queue(tmp_path) as queue:
        workers = queue.worker(), queue.worker()
        job = queue.record("until", "go")
        queue.tells("ready", job)
        wait_until(lambda: len(queue.hub.workers()) == 2, 60)
        busy = queue.worker_of(queue.job(job))
        root = queue.hub.root.rename(tmp_path / "moved")
        for worker in workers:
            if worker is not busy:
                assert "was moved or deleted under this worker" in worker.ends(code=1)
        assert busy is not None
        busy.says("taking no more jobs; what runs may end by itself")
        assert not queue.journal("end")
        assert lookup(queue.tells("ready", job).pid) is not None
        queue.let("go")
        assert "hint: start a worker where the folder is now" in busy.ends(code=1)
        assert not queue.hub.root.exists()
        root.rename(queue.hub.root)
        queue.worker("--drain").ends()
        assert queue.outcomes(job) == ["completed"]
        assert queue.hub.workers() == []


def test_the_folder_comes_back_to_its_worker(tmp_path: Path) -> None:
    with a_queue(tmp_path) as queue:
        worker = queue.worker("--drain")
        job = queue.record("until", "go")
        queue.tells("ready", job)
        root = queue.hub.root.rename(tmp_path / "moved")
        worker.says("was moved or deleted")
        root.rename(queue.hub.root)
        worker.says("is back: going on")
        queue.let("go")
        worker.ends()
        assert queue.outcomes(job) == ["completed"]


def test_the_folder_is_deleted_under_a_worker(tmp_path: Path) -> None:
    with a_queue(tmp_path) as queue:
        worker = queue.worker()
        job = queue.record("first")
        queue.tells("ready", job)
        queue.hub.root.rename(tmp_path / "gone")
        shutil.rmtree(tmp_path / "gone")
        worker.says("what runs may end by itself")
        worker.signal(signal.SIGTERM)
        worker.ends(code=1)
        assert queue.strays() == []
        assert not queue.hub.root.exists()


def test_drain_waits_for_the_jobs_of_a_dead_worker(tmp_path: Path) -> None:
    with a_queue(tmp_path) as queue:
        worker = queue.worker()
        job = queue.record("first", "deaf", grace_s=3.0)
        queue.tells("ready", job)
        worker.kill()  # what it ran takes some seconds to end
        queue.worker("--drain").ends()
        assert queue.outcomes(job) == ["lost", "completed"]


def test_drain_waits_for_what_is_left(tmp_path: Path) -> None:
    with a_queue(tmp_path) as queue:
        first = queue.record("exit", 0)
        second = queue.record("exit", 0, after=(first,))
        failed = queue.record("exit", 1)
        dependent = queue.record("exit", 0, after=(failed,))
        anyhow = queue.record("exit", 0, after_any=(failed,))
        too_wide = queue.record("exit", 0, gpus=2)
        queue.worker("--drain").ends()
        queue.completes(first, second, anyhow)
        assert queue.job(dependent).cause.kind is CauseKind.DEPENDENCY_FAILED
        assert queue.job(too_wide).status is JobStatus.QUEUED


def test_an_idle_worker_ends(tmp_path: Path) -> None:
    with a_queue(tmp_path) as queue:
        job = queue.record("exit", 0)
        said = queue.worker("--idle-timeout", "1s").ends()
        assert queue.outcomes(job) == ["completed"]
        assert "no job for" in said
