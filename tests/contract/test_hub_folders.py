"""A run folder that cannot be written: the queue goes on, tells it, and ``meta.json`` follows when it can."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from disks import a_small_disk, fill
from helpers import stored_meta, wait_until
from hubs import Ticker, known, outcome, spec, worker
from run_folders import out_of_reach
from servers import hub_of_kind

from whirr.connect import open_hub
from whirr.errors import FolderError, LeaseLost, NoRoom
from whirr.hub import Hub
from whirr.jsonio import dumps, write_atomic
from whirr.local import LocalHub
from whirr.model import BACKOFF_FIRST_S, CauseKind, Claim, JobStatus, Verdict, WorkerInfo

COMPLETED, FAILED, _, _ = Verdict
LEASE_S = 10.0


@pytest.fixture
def clock() -> Ticker:
    return Ticker()


@pytest.fixture(params=["sqlite", "postgresql", "http+sqlite", "http+postgresql"])
def hub(request: pytest.FixtureRequest, tmp_path: Path, clock: Ticker) -> Iterator[Hub]:
    with hub_of_kind(request.param, tmp_path / ".whirr", request, clock) as made:
        yield made


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture(params=["sqlite", "postgresql"])
def here(request: pytest.FixtureRequest, tmp_path: Path, clock: Ticker, told: list[str]) -> Iterator[LocalHub]:
    url = None if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    made = open_hub(tmp_path / ".whirr", url, now=clock, said=told.append)
    try:
        yield made
    finally:
        made.close()


def registered(hub: Hub, **about: Any) -> WorkerInfo:
    return known(hub, worker(lease_s=LEASE_S, **about))


def claimed(hub: Hub, by: WorkerInfo) -> Claim:
    # A server takes back leases by itself, too: what it is just taking back, a claim of this moment passes over.
    claim = wait_until(lambda: hub.claim(by))
    assert claim is not None
    return claim


def test_a_lease_that_ran_out_is_taken_back(hub: Hub, clock: Ticker) -> None:
    lost, living = registered(hub), registered(hub)
    hub.submit(spec("first"))
    claimed(hub, lost)
    hub.submit(spec("second"))
    with out_of_reach(hub.run_dir(1)):
        clock.seconds += LEASE_S + 1
        assert claimed(hub, living).job.id == 2
        assert hub.leases(lost.id) == []
        assert hub.job(1).status is JobStatus.QUEUED
        assert [attempt.outcome for attempt in hub.attempts(1)] == ["lost"]
    clock.seconds += BACKOFF_FIRST_S
    again = claimed(hub, living)
    assert (again.job.id, again.job.attempt) == (1, 2)
    assert stored_meta(hub.run_dir(1))["status"] == "running"


def test_a_finished_job_frees_its_slot_and_its_gpu(hub: Hub) -> None:
    by = registered(hub, gpus=("A",))
    for _ in range(2):
        hub.submit(spec("true", gpus=1))
    lease = claimed(hub, by).lease
    with out_of_reach(hub.run_dir(1)):
        assert hub.finish(lease, outcome(COMPLETED)).status is JobStatus.COMPLETED
        assert hub.leases(by.id) == []
        assert claimed(hub, by).gpus == ("A",)


def test_what_depends_on_a_job_fails_with_it(hub: Hub) -> None:
    by = registered(hub)
    hub.submit(spec("false"))
    lease = claimed(hub, by).lease
    hub.submit(spec("true", after=(1,)))
    hub.submit(spec("true", after=(2,)))
    with out_of_reach(hub.run_dir(2)):
        assert hub.finish(lease, outcome(FAILED, exit_code=1)).status is JobStatus.FAILED
        assert [hub.job(number).status for number in (2, 3)] == [JobStatus.FAILED] * 2
    assert stored_meta(hub.run_dir(3))["cause"]["kind"] == CauseKind.DEPENDENCY_FAILED


def test_cancelling_and_trying_again(hub: Hub) -> None:
    hub.submit(spec("true"))
    with out_of_reach(hub.run_dir(1)):
        assert hub.cancel(1, by="ada").status is JobStatus.CANCELLED
        assert hub.retry(1).status is JobStatus.QUEUED
        assert hub.cancel(1, by="ada").status is JobStatus.CANCELLED
    hub.retry(1)  # its next change finds the folder again
    assert stored_meta(hub.run_dir(1))["status"] == "queued"


def test_many_waiting_jobs_do_not_starve_those_behind_them(hub: Hub) -> None:
    by = registered(hub)
    with ExitStack() as stack:
        for number in range(1, 9):
            hub.submit(spec("true"))
            stack.enter_context(out_of_reach(hub.run_dir(number)))
        hub.submit(spec("true"))
        assert claimed(hub, by).job.id == 9
        assert {hub.job(number).attempt for number in range(1, 9)} == {0}


def test_that_a_lease_is_lost_is_said_all_the_same(hub: Hub, clock: Ticker) -> None:
    old, new = registered(hub), registered(hub)
    hub.submit(spec("true"))
    stale = claimed(hub, old).lease
    clock.seconds += LEASE_S + 1
    claimed(hub, new)
    (hub.run_dir(1) / "result.1.json").write_text("{}")
    (hub.run_dir(1) / "attempts").rename(hub.run_dir(1) / "moved")
    (hub.run_dir(1) / "attempts").touch()
    with pytest.raises(LeaseLost):
        hub.finish(stale, outcome(COMPLETED))
    assert (hub.run_dir(1) / "result.1.json").exists()


def test_it_is_told_and_mended_later(here: LocalHub, told: list[str]) -> None:
    by = registered(here)
    here.submit(spec("true"))
    lease = claimed(here, by).lease
    write_atomic(here.run_dir(1) / "meta.json", dumps(stored_meta(here.run_dir(1)) | {"summary": {"loss": 0.5}}))
    assert here.behind() == []
    with out_of_reach(here.run_dir(1)):
        here.finish(lease, outcome(FAILED, exit_code=3))
        assert len(told) == 1
        assert told[0].startswith(f"cannot write into {here.run_dir(1)}: ")
        assert "job 1 is failed all the same" in told[0]
        assert told[0].endswith("then whirr doctor --fix")
        assert here.behind() == [1]
        with pytest.raises(FolderError):
            here.catch_up(1)
    assert here.behind() == [1]
    here.catch_up(1)
    assert here.behind() == []
    meta = stored_meta(here.run_dir(1))
    assert (meta["status"], meta["cause"]["exit_code"], meta["summary"]) == ("failed", 3, {"loss": 0.5})
    assert meta["finished_at"] == here.job(1).finished_at
    assert meta["duration_seconds"] >= 0


def test_a_cancelled_job_is_mended(here: LocalHub) -> None:
    for _ in range(3):
        here.submit(spec("true"))
    with out_of_reach(here.run_dir(2)):
        here.cancel(2, by="ada")
    assert here.behind() == [2]
    here.catch_up(2)
    meta = stored_meta(here.run_dir(2))
    assert (meta["status"], meta["cause"]["kind"], meta["duration_seconds"]) == ("cancelled", "cancelled", None)
    assert here.behind() == []


def test_what_a_program_said_of_its_end_is_not_behind(here: LocalHub) -> None:
    by = registered(here)
    here.submit(spec("true"))
    lease = claimed(here, by).lease
    own = {"status": "failed", "finished_at": "2026-01-01T00:00:00.000000Z"}
    write_atomic(here.run_dir(1) / "meta.json", dumps(stored_meta(here.run_dir(1)) | own))
    here.finish(lease, outcome(COMPLETED))
    assert here.behind() == []


@pytest.mark.needs_root
def test_a_report_waits_for_room_on_a_full_disk_and_all_else_goes_on(
    tmp_path: Path, postgres_url: str, clock: Ticker
) -> None:
    disk = tmp_path / ".whirr"
    with a_small_disk(disk, "1m"):
        hub = open_hub(disk, postgres_url, now=clock, said=lambda _: None)
        lost, by = registered(hub), registered(hub)
        for _ in range(3):
            hub.submit(spec("true"))
        claimed(hub, lost)
        clock.seconds += LEASE_S - 1
        lease = claimed(hub, by).lease
        filler = fill(disk)
        with pytest.raises(NoRoom):
            hub.finish(lease, outcome(COMPLETED))
        assert hub.job(2).status is JobStatus.RUNNING
        assert hub.cancel(3, by="ada").status is JobStatus.CANCELLED
        clock.seconds += 2
        assert hub.expire() == 1
        assert hub.job(1).status is JobStatus.QUEUED
        filler.unlink()
        assert hub.finish(lease, outcome(COMPLETED)).status is JobStatus.COMPLETED
        assert stored_meta(hub.run_dir(2))["status"] == "completed"
        assert hub.behind() == [1, 3]
        hub.close()
