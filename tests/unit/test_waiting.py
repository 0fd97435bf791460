"""Why a job waits, and who is there to take it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hubs import Ticker, outcome, spec, worker

from whirr import clock
from whirr.connect import open_hub
from whirr.fleet import Health, is_worked_on, look
from whirr.local import LocalHub
from whirr.locks import Held, worker_lock
from whirr.model import Verdict, WorkerInfo
from whirr.overview import overview
from whirr.waiting import why


@pytest.fixture
def ticker() -> Ticker:
    return Ticker()


@pytest.fixture
def hub(tmp_path: Path, ticker: Ticker) -> Iterator[LocalHub]:
    hub = open_hub(tmp_path / ".whirr", now=ticker)
    yield hub
    hub.close()


@pytest.fixture
def locks() -> Iterator[list[Held]]:
    held: list[Held] = []
    yield held
    for lock in held:
        with suppress(OSError):
            lock.release()


@pytest.fixture
def at_work(hub: LocalHub, locks: list[Held]) -> object:
    """Registers a living worker of this machine."""

    def make(**about: object) -> WorkerInfo:
        info = worker(**about)._replace(started_at=clock.stamp())  # type: ignore[arg-type]
        locks.append(Held(worker_lock(hub.queue, info.id)))
        hub.register(info)
        return info

    return make


def test_no_worker(hub: LocalHub) -> None:
    assert why(hub, hub.submit(spec("true"))) == "no worker is running"
    assert not is_worked_on(hub)


def test_what_does_not_wait(hub: LocalHub, at_work: type) -> None:
    info = at_work(slots=1)
    job = hub.submit(spec("true"))
    assert why(hub, job) == "about to start"
    claim = hub.claim(info)
    assert claim is not None
    assert why(hub, claim.job) == ""
    assert why(hub, hub.finish(claim.lease, outcome(Verdict.COMPLETED))) == ""


def test_slots_and_place(hub: LocalHub, at_work: type) -> None:
    info = at_work(slots=1)
    hub.submit(spec("true"))
    hub.claim(info)
    second, third = hub.submit(spec("true")), hub.submit(spec("true"))
    urgent = hub.submit(spec("true", priority=9))
    assert why(hub, urgent) == "next, for a free slot"
    assert why(hub, second) == "1 job before it"
    assert why(hub, third) == "2 jobs before it"


def test_gpus(hub: LocalHub, at_work: type) -> None:
    info = at_work(slots=4, gpus=("GPU-a", "GPU-b"))
    assert why(hub, hub.submit(spec("true", gpus=3))) == "needs 3 GPUs; the workers have at most 2"
    hub.submit(spec("true", priority=1))
    assert hub.claim(info) is not None
    assert look(hub).idle_gpus() == (1, 2)
    assert why(hub, hub.submit(spec("true", priority=1, gpus=2))) == "next, for 2 GPUs"
    hub.submit(spec("true", priority=2))
    assert hub.claim(info) is not None
    assert why(hub, hub.submit(spec("true", priority=2))) == "next, for a free GPU"
    assert why(hub, hub.submit(spec("true", priority=3, gpus=0))) == "about to start"


def test_gpus_of_several_workers(hub: LocalHub, at_work: type) -> None:
    at_work(name="small", gpus=("GPU-a", "GPU-b"))
    wide = at_work(name="wide", gpus=("GPU-c", "GPU-d", "GPU-e"), host="wide")
    at_work(name="other", gpus=("GPU-f",), host="other")
    hub.submit(spec("true", gpus=2))
    assert hub.claim(wide) is not None
    assert look(hub).idle_gpus() == (4, 6)
    assert look(hub).most_idle_gpus() == 2
    assert why(hub, hub.submit(spec("true", gpus=3))) == "next, for 3 GPUs on wide"
    assert why(hub, hub.submit(spec("true", priority=1, gpus=2))) == "about to start"
    small = hub.sightings()[0].worker
    assert hub.claim(small) is not None
    assert why(hub, hub.submit(spec("true", priority=1, gpus=2))) == "next, for 2 GPUs on small or wide"


def test_a_worker_without_gpus(hub: LocalHub, at_work: type) -> None:
    at_work()
    assert why(hub, hub.submit(spec("true", gpus=1))) == "needs 1 GPU; the workers have none"


def test_needs(hub: LocalHub) -> None:
    first, second = hub.submit(spec("true")), hub.submit(spec("true"))
    hub.cancel(second.id, "me")
    waits = hub.submit(spec("true", after=(first.id,), after_any=(second.id,)))
    assert why(hub, waits) == "after job 1 (queued)"
    more = [hub.submit(spec("true")).id for _ in range(4)]
    waits = hub.submit(spec("true", after=(first.id, *more)))
    assert why(hub, waits) == "after jobs 1 (queued), 4 (queued), 5 (queued) and 2 more"


def test_a_wait_before_the_next_attempt(hub: LocalHub, at_work: type, ticker: Ticker) -> None:
    info = at_work()
    hub.submit(spec("true", retries=2))
    claim = hub.claim(info)
    assert claim is not None
    job = hub.finish(claim.lease, outcome(Verdict.FAILED))
    assert why(hub, job) == "tried again in 5.0s"
    ticker.seconds += 5
    assert why(hub, job) == "about to start"
    ticker.seconds = 3.0  # the machine was restarted, and its clock with it
    assert why(hub, job) in ("tried again in 1.0s", "about to start")


def test_the_health_of_workers(hub: LocalHub, at_work: type, locks: list[Held]) -> None:
    at_work(name="alive")
    at_work(name="killed")
    locks[-1].release()
    long_ago = LocalHub(hub.root, hub.database, stamp=lambda: "2026-01-01T12:00:00.000000Z")
    long_ago.register(worker("silent", host="elsewhere", lease_s=60))
    hub.register(worker("remote", host="elsewhere", lease_s=60)._replace(started_at=clock.stamp()))
    health = {seen.worker.name: seen.health for seen in look(hub).workers}
    assert health == {
        "alive": Health.ALIVE,
        "killed": Health.DEAD,
        "silent": Health.UNSEEN,
        "remote": Health.ALIVE,
    }
    assert is_worked_on(hub)


def test_two_workers_that_offer_the_same_gpu(hub: LocalHub, at_work: type) -> None:
    first = at_work(gpus=("GPU-a", "GPU-b"))
    at_work(gpus=("GPU-a",))
    hub.submit(spec("true"))
    assert hub.claim(first) is not None
    assert look(hub).idle_gpus() == (1, 2)


def test_the_overview(hub: LocalHub, at_work: type) -> None:
    info = at_work(slots=1, gpus=("GPU-a",))
    jobs = [hub.submit(spec("true", priority=priority)) for priority in (0, 1, 2, 1)]
    blocked = hub.submit(spec("true", priority=9, after=(jobs[0].id,)))
    claim = hub.claim(info)
    assert claim is not None
    view = overview(hub)
    assert [each.job.id for each in view.running] == [3]
    assert view.running[0].gpus == ("GPU-a",)
    assert view.running[0].worker is not None
    assert view.running[0].worker.worker.id == info.id
    assert [(job.id, reason) for job, reason in view.queued] == [
        (2, "next, for a free GPU"),
        (4, "1 job before it"),
        (1, "2 jobs before it"),
        (blocked.id, "after job 1 (queued)"),
    ]
    assert [job.id for job, _ in overview(hub, 1).queued] == [2]
    assert [job.id for job, _ in overview(hub, 4).queued] == [2, 4, 1, blocked.id]


def test_the_last_ended_come_first(hub: LocalHub, at_work: type) -> None:
    info = at_work(slots=9)
    for _ in range(3):
        hub.submit(spec("true"))
    claims = [claim for _ in range(3) if (claim := hub.claim(info)) is not None]
    for place, number in enumerate((1, 0, 2)):
        ended = outcome(Verdict.COMPLETED)._replace(finished_at=f"2026-11-25T12:00:{place:02}.000000Z")
        hub.finish(claims[number].lease, ended)
    assert [job.id for job in overview(hub).ended] == [3, 1, 2]
    assert [job.id for job in overview(hub, 1).ended] == [3]


def test_of_many_that_ended_the_failed_and_the_last_are_told(hub: LocalHub, at_work: type) -> None:
    info = at_work(slots=99)
    for _ in range(70):
        hub.submit(spec("true"))
    claims = [claim for _ in range(70) if (claim := hub.claim(info)) is not None]
    late = claims.pop(1)
    for place, claim in enumerate([*claims, late]):
        ended = outcome(Verdict.FAILED if claim.job.id in (1, 5) else Verdict.COMPLETED)
        hub.finish(claim.lease, ended._replace(finished_at=f"2026-11-25T12:{place // 60:02}:{place % 60:02}.000000Z"))
    assert [job.id for job in overview(hub, 10).ended] == [5, 1, 2, 70, 69, 68, 67, 66, 65, 64]
    assert [job.id for job in overview(hub, 3).ended] == [5, 1, 2]
    assert [job.id for job in overview(hub, 2).ended] == [5, 1]
    assert len(overview(hub).ended) == 70


def test_failures_leave_room_for_what_else_has_ended(hub: LocalHub, at_work: type) -> None:
    info = at_work(slots=99)
    for number in range(1, 13):
        hub.submit(spec("true"))
        claim = hub.claim(info)
        assert claim is not None
        ended = outcome(Verdict.COMPLETED if number in (1, 2) else Verdict.FAILED)
        hub.finish(claim.lease, ended._replace(finished_at=f"2026-11-25T12:00:{number:02}.000000Z"))
    assert [job.id for job in overview(hub, 6).ended] == [12, 11, 10, 9, 2, 1]
    assert [job.id for job in overview(hub, 3).ended] == [12, 11, 2]


def test_a_run_folder_that_is_gone(hub: LocalHub, at_work: type) -> None:
    info = at_work()
    hub.submit(spec("true"))
    claim = hub.claim(info)
    assert claim is not None
    for name in os.listdir(hub.run_dir(1)):
        (hub.run_dir(1) / name).unlink()
    hub.run_dir(1).rmdir()
    assert overview(hub).running[0].progress.step is None
