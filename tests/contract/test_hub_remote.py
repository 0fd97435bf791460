"""Leases of workers that reach the queue through a server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers import wait_until
from hubs import Ticker, known, outcome, spec, worker
from servers import served

from whirr.connect import open_hub
from whirr.errors import UsageError
from whirr.local import LocalHub
from whirr.model import JobStatus, Verdict
from whirr.resubmission import Changes


@pytest.fixture
def clock() -> Ticker:
    return Ticker()


@pytest.fixture(params=["sqlite", "postgresql"])
def local(request: pytest.FixtureRequest, tmp_path: Path, clock: Ticker) -> Iterator[LocalHub]:
    """A server's hub."""
    url = None if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    made = open_hub(tmp_path / ".whirr", url, now=clock, serving=True)
    yield made
    made.close()


def test_only_a_server_says_that_the_lease_of_a_remote_worker_ran_out(
    local: LocalHub, clock: Ticker, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    far = known(local, worker(lease_s=10.0)._replace(remote=True))
    local.submit(spec("true"))
    claim = local.claim(far)
    assert claim is not None
    clock.seconds += 11
    url = None if local.database.kind == "sqlite" else request.getfixturevalue("postgres_url")
    other = open_hub(tmp_path / ".whirr", url, now=clock)
    assert other.expire() == 0
    other.close()
    assert local.job(1).status is JobStatus.RUNNING
    assert local.expire() == 1
    assert local.job(1).status is JobStatus.QUEUED


@pytest.mark.parametrize("boots", [False, True])
def test_the_time_without_a_server_does_not_count(local: LocalHub, clock: Ticker, boots: bool) -> None:
    far = known(local, worker(lease_s=10.0)._replace(remote=True))
    near = known(local, worker(lease_s=10.0))
    for _ in range(2):
        local.submit(spec("true"))
    kept, lost = local.claim(far), local.claim(near)
    assert kept is not None
    assert lost is not None
    clock.seconds += 1000
    clock.era = "another boot" if boots else clock.era
    assert local.hold_leases() == 1
    assert local.expire() == 1  # that of a worker without a server between
    clock.seconds += 9
    assert local.expire() == 0
    assert local.renew(far) == [kept.lease]
    clock.seconds += 9
    assert local.finish(kept.lease, outcome(Verdict.COMPLETED)).status is JobStatus.COMPLETED


def test_a_worker_that_does_not_come_back_loses_its_job_one_lease_after_the_start(
    local: LocalHub, clock: Ticker
) -> None:
    far = known(local, worker(lease_s=10.0)._replace(remote=True))
    local.submit(spec("true"))
    assert local.claim(far) is not None
    clock.seconds += 1000
    local.hold_leases()
    clock.seconds += 11
    assert local.expire() == 1


def test_a_server_takes_leases_back_without_being_asked(local: LocalHub, clock: Ticker) -> None:
    with served(local) as far:
        by = known(far, worker(lease_s=10.0))
        far.submit(spec("true"))
        assert far.claim(by) is not None
        clock.seconds += 11
        wait_until(lambda: far.job(1).status is JobStatus.QUEUED)


@pytest.mark.parametrize(
    "about",
    [
        {"workdir": "/\ud83d"},
        {"env": {"K": "\ud83d"}},
        {"env": {"\ud83d": "V"}},
        {"executable": "/bin/\ud83d"},
        {"name": "\ud83d"},
        {"tags": ("a", "\ud83d")},
        {"tags": ("\udcff",)},
    ],
)
def test_what_no_process_can_be_given_is_refused(local: LocalHub, about: dict[str, Any]) -> None:
    with served(local) as far:
        with pytest.raises(UsageError, match="no valid text"):
            far.submit(spec("true", **about))
        far.submit(spec("true"))
        for argv in (("\ud83d",), ("true", "\ud83d")):
            with pytest.raises(UsageError, match="no valid text"):
                far.submit(spec(*argv))
            with pytest.raises(UsageError, match="no valid text"):
                far.again(1, Changes(argv=argv), "me")
        assert sum(local.counts().values()) == 1


def test_signs_of_life_of_many_workers_are_noted_at_once(local: LocalHub) -> None:
    many = [known(local, worker(lease_s=10.0)) for _ in range(3)]
    before = {each.id: each.seen_at for each in local.workers()}
    local.see([many[0].id, many[2].id, "forgotten-1234"])
    now = {each.id: each.seen_at for each in local.workers()}
    assert [now[each.id] > before[each.id] for each in many] == [True, False, True]
