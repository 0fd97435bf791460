"""Workers that are frozen, clocks that are set back, machines that were restarted: no job is lost or doubled."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from helpers import wait_until
from hubs import Ticker, known, worker
from queues import a_queue
from settable_clock import settable_clock

from whirr import clock
from whirr.connect import open_hub
from whirr.executors.base import StopReason, read_result
from whirr.locks import worker_lock
from whirr.model import CauseKind, JobStatus

__all__ = ["settable_clock"]

LEASE = "5s"
"""As short as a busy machine allows: a worker that comes late to renew one stops its job."""

STUBBORN = ("deaf", "setsid", "other", "hidden")


def test_a_frozen_worker_keeps_its_job(tmp_path: Path) -> None:
    with a_queue(tmp_path) as queue:
        first = queue.worker("--name", "frozen")
        number = queue.record("until", "go", *STUBBORN)
        queue.tells("ready", number)
        first.signal(signal.SIGSTOP)
        second = queue.worker("--name", "awake")
        others = [queue.record("exit", 0) for _ in range(3)]
        queue.completes(*others)  # the second worker looks at the queue and at dead workers meanwhile
        queue.let("go")
        wait_until(lambda: queue.journal("end", number))
        result = queue.folder(number) / "result.1.json"
        wait_until(result.exists)
        after = queue.record("exit", 0)
        queue.completes(after)
        assert queue.job(number).status is JobStatus.RUNNING
        first.signal(signal.SIGCONT)
        queue.completes(number)
        assert queue.outcomes(number) == ["completed"]
        assert len(queue.journal("start", number)) == 1
        assert f"job {number} " not in second.said()


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_worker_is_frozen_past_its_lease(tmp_path: Path, kind: str, request: pytest.FixtureRequest) -> None:
    url = request.getfixturevalue("postgres_url") if kind == "postgresql" else None
    with a_queue(tmp_path, url) as queue:
        first = queue.worker("--lease", LEASE, "--name", "frozen")
        number = queue.record("first", *STUBBORN, grace_s=60.0)
        queue.tells("ready", number)
        first.signal(signal.SIGSTOP)
        queue.worker("--lease", LEASE, "--name", "awake")
        queue.completes(number)
        first.signal(signal.SIGCONT)
        first.says(f"attempt 1 at job {number} no longer holds its lease; its result is kept as that attempt's own")
        one, two = queue.attempts(number)
        assert (one.outcome, one.cause.kind, two.outcome) == ("lost", CauseKind.WORKER_LOST, "completed")
        kept = read_result(queue.folder(number) / "attempts" / "1" / "result.json")
        assert kept.reason is StopReason.LEASE_LOST
        assert clock.epoch(kept.finished_at) < clock.epoch(two.started_at)
        assert queue.meta(number)["status"] == "completed"
        again = queue.record("exit", 0)  # both go on working
        queue.completes(again)


def test_the_supervisor_dies_while_its_worker_is_frozen_past_its_lease(tmp_path: Path) -> None:
    with a_queue(tmp_path) as queue:
        first = queue.worker("--lease", LEASE, "--name", "frozen")
        number = queue.record("until", "go", "deaf", "setsid", "other")
        line = queue.tells("ready", number)
        first.signal(signal.SIGSTOP)
        os.kill(line.supervisor, signal.SIGKILL)
        second = queue.worker("--lease", LEASE, "--name", "awake")
        queue.tells("ready", number, attempt=2)
        assert f"job {number}: 3 processes ended that its last attempt had left" in second.said()
        first.signal(signal.SIGCONT)
        first.says("no longer holds its lease")  # what it looks for now is not what the second attempt started
        queue.let("go")
        queue.completes(number)
        assert queue.outcomes(number) == ["lost", "completed"]


def test_a_claim_whose_answer_was_lost(tmp_path: Path) -> None:
    with a_queue(tmp_path) as queue:
        queue.worker("--lease", LEASE)
        first = queue.record("until", "go")
        queue.tells("ready", first)
        lost = queue.record("exit", 0)
        [info] = queue.hub.workers()
        claim = queue.hub.claim(info)  # as when the connection ends between the database's commit and its answer
        assert claim is not None
        assert claim.job.id == lost
        wait_until(lambda: queue.outcomes(lost) == ["requeued"], 60)
        assert queue.attempts(lost)[0].cause.kind is CauseKind.START_FAILED
        queue.let("go")
        queue.completes(first, lost)
        assert queue.outcomes(first) == ["completed"]


def test_the_clock_is_set_back(settable_clock: dict[str, str], tmp_path: Path) -> None:
    with a_queue(tmp_path) as queue:
        queue.worker("--lease", LEASE, "--slots", "4", **settable_clock)
        long = queue.record("until", "go")
        limited = queue.record("first", timeout_s=3.0)
        waiting = queue.record("exit", 1, 0, retries=1)
        queue.becomes(waiting, JobStatus.QUEUED)
        wait_until(lambda: queue.outcomes(waiting)[:1] == ["failed"])
        queue.tells("ready", long)
        queue.tells("ready", limited)
        (tmp_path / "shifted").touch()
        new = queue.record("exit", 0)
        queue.completes(waiting, new)
        assert queue.becomes(limited, JobStatus.FAILED).cause.kind is CauseKind.TIME_LIMIT
        queue.let("go")
        queue.completes(long)
        assert [queue.outcomes(job) for job in (long, waiting, new)] == [
            ["completed"],
            ["failed", "completed"],
            ["completed"],
        ]
        for job in (long, limited, waiting, new):
            assert 0 <= queue.meta(job)["duration_seconds"] < 60


def test_nothing_outlives_a_reboot(tmp_path: Path) -> None:
    with a_queue(tmp_path) as queue:
        before = Ticker()
        before.era = "the last boot"
        before.seconds = 10.0**9
        hub = open_hub(queue.hub.root, now=before)
        locked = worker("locked", slots=2)
        timed = worker("timed", lease_s=10.0**6)
        for info in (locked, timed):
            known(hub, info._replace(process={**info.process, "boot_id": "the last boot"}), str(queue.hub.root.parent))
            worker_lock(queue.hub.queue, info.id).parent.mkdir(exist_ok=True)
            worker_lock(queue.hub.queue, info.id).touch()
        held = [queue.record("exit", 0) for _ in range(4)]
        for info in (locked, timed):
            assert hub.claim(info) is not None
            assert hub.claim(info) is not None
        hub.cancel(held[3], by="somebody")
        waiting = queue.record("exit", 0)
        hub.close()
        queue.worker("--drain").ends()
        assert [str(queue.job(number).status) for number in held] == ["completed"] * 3 + ["cancelled"]
        assert [queue.outcomes(number) for number in held[:3]] == [["lost", "completed"]] * 3
        assert queue.job(waiting).status is JobStatus.COMPLETED
