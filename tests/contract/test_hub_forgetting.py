"""What a queue forgets by itself, over every database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hubs import known, outcome, spec, worker

from whirr import clock
from whirr.leasing import FORGET_EVERY_S
from whirr.local import LocalHub
from whirr.locks import Held, worker_lock
from whirr.model import FORGET_AFTER_S, Verdict
from whirr.store import open_database
from whirr.store.migrate import migrate


class Calendar:
    """UTC stamps that go on only when told to."""

    def __init__(self) -> None:
        self.seconds = 1.8e9

    def __call__(self) -> str:
        return clock.stamp(clock.at(self.seconds))


@pytest.fixture
def calendar() -> Calendar:
    return Calendar()


@pytest.fixture
def hub(tmp_path: Path, database_url: str, calendar: Calendar) -> Iterator[LocalHub]:
    database = open_database(database_url)
    migrate(database)
    (tmp_path / ".whirr" / "runs").mkdir(parents=True)
    hub = LocalHub(tmp_path / ".whirr", database, stamp=calendar)
    yield hub
    hub.close()


def test_a_worker_elsewhere_is_forgotten_when_it_is_long_gone_and_has_no_job(hub: LocalHub, calendar: Calendar) -> None:
    far = [known(hub, worker(name, host=name, lease_s=1e9)) for name in ("busy", "idle", "back")]
    here = known(hub, worker("here", lease_s=1e9))
    lock = Held(worker_lock(hub.queue, here.id))
    hub.submit(spec("true"))
    claim = hub.claim(far[0])
    assert claim is not None
    calendar.seconds += FORGET_AFTER_S - 1
    assert hub.forget() == []
    hub.see([far[2].id])
    calendar.seconds += 2
    assert hub.forget() == [far[1].id]
    assert [seen.id for seen in hub.workers()] == [far[0].id, far[2].id, here.id]
    hub.finish(claim.lease, outcome(Verdict.COMPLETED))
    assert hub.forget() == [far[0].id]
    lock.release()


def test_what_was_said_of_a_folder_is_forgotten_once_nothing_is_queued_there(hub: LocalHub) -> None:
    by = known(hub, worker(lease_s=1e9), "/", *(f"/scratch/{number}" for number in range(100)))
    hub.tell_folders(by.id, {"/missing": False, "/gone": False})
    for workdir in ("/", "/scratch/1", "/missing"):
        hub.submit(spec("true", workdir=workdir))
    hub.forget()
    assert hub.unknown_folders(by.id) == []
    assert hub.lacked_folders(by.id) == ["/missing"]
    for workdir in ("/scratch/7", "/gone"):
        hub.submit(spec("true", workdir=workdir))
    assert sorted(hub.unknown_folders(by.id)) == ["/gone", "/scratch/7"]
    claim = hub.claim(by)
    assert claim is not None
    assert claim.job.spec.workdir == "/"
    hub.forget()
    hub.finish(claim.lease, outcome(Verdict.REQUEUE))  # queued again, it is asked about again
    assert sorted(hub.unknown_folders(by.id)) == ["/", "/gone", "/scratch/7"]


def test_what_claims_and_what_looks_for_lost_leases_forget_at_times(hub: LocalHub, calendar: Calendar) -> None:
    for look in (lambda: hub.claim(worker()), hub.expire):
        known(hub, worker(host="far", lease_s=60.0))
        calendar.seconds += FORGET_AFTER_S + 1
        look()
        assert hub.workers() == []
        known(hub, worker(host="far", lease_s=60.0))
        calendar.seconds += FORGET_EVERY_S - 1
        look()
        assert len(hub.workers()) == 1
        hub.leave(hub.workers()[0].id)
