"""What two clients do to one queue at the same moment, over PostgreSQL, where nothing but row locks keeps them apart.

Each test plays many rounds: two threads that start together, each with a database and connections of its own.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
from hubs import Ticker, known, outcome, spec, worker

from whirr.connect import open_hub
from whirr.errors import IllegalTransition, LeaseLost
from whirr.local import LocalHub
from whirr.model import Claim, JobStatus, Verdict, WorkerInfo

ROUNDS = 30
COMPLETED, FAILED, *_ = Verdict


class Pair:
    """Two hubs over one queue, and a clock for both."""

    def __init__(self, root: Path, url: str) -> None:
        self.clock = Ticker()
        self.one, self.two = (open_hub(root, url, now=self.clock) for _ in range(2))
        self._threads = ThreadPoolExecutor(2)

    def close(self) -> None:
        self._threads.shutdown()
        self.one.close()
        self.two.close()

    def at_once(self, first: Callable[[LocalHub], object], second: Callable[[LocalHub], object]) -> list[object]:
        """What both return; raises what either raised."""
        start = threading.Barrier(2)

        def run(change: Callable[[LocalHub], object], hub: LocalHub) -> object:
            start.wait(60)
            return change(hub)

        going = [self._threads.submit(run, *each) for each in ((first, self.one), (second, self.two))]
        return [each.result(60) for each in going]

    def worker(self, **about: object) -> WorkerInfo:
        info = worker(**about)
        return known(self.one, info)

    def claimed(self, by: WorkerInfo) -> Claim:
        claim = self.one.claim(by)
        assert claim is not None
        return claim


@pytest.fixture
def pair(tmp_path: Path, postgres_url: str) -> Iterator[Pair]:
    made = Pair(tmp_path / ".whirr", postgres_url)
    yield made
    made.close()


def test_two_needs_that_end_at_once_release_what_waits_for_both(pair: Pair) -> None:
    by = pair.worker()
    for _ in range(ROUNDS):
        needs = [pair.one.submit(spec("true")).id for _ in range(2)]
        last = pair.one.submit(spec("true", after=tuple(needs))).id
        leases = [pair.claimed(by).lease for _ in needs]
        pair.at_once(
            lambda hub, lease=leases[0]: hub.finish(lease, outcome(COMPLETED)),
            lambda hub, lease=leases[1]: hub.finish(lease, outcome(COMPLETED)),
        )
        assert pair.one.job(last).blocked == 0
        claims = pair.at_once(lambda hub: hub.claim(by), lambda hub: hub.claim(by))
        [given] = [claim for claim in claims if claim is not None]
        assert isinstance(given, Claim)
        assert (given.job.id, given.job.attempt) == (last, 1)
        pair.one.finish(given.lease, outcome(COMPLETED))


@pytest.mark.parametrize("verdict", [COMPLETED, FAILED])
def test_a_submission_is_never_stuck_behind_a_job_that_ends_at_that_moment(pair: Pair, verdict: Verdict) -> None:
    by = pair.worker()
    for _ in range(ROUNDS):
        need = pair.one.submit(spec("true")).id
        lease = pair.claimed(by).lease
        _, job = pair.at_once(
            lambda hub, lease=lease: hub.finish(lease, outcome(verdict)),
            lambda hub, need=need: hub.submit(spec("true", after=(need,))).id,
        )
        assert isinstance(job, int)
        after = pair.one.job(job)
        if verdict is FAILED:
            assert after.status is JobStatus.FAILED
        else:
            assert (after.status, after.blocked) == (JobStatus.QUEUED, 0)
            pair.one.finish(pair.claimed(by).lease, outcome(COMPLETED))


def test_a_retried_job_is_never_stuck_behind_a_need_that_ends_at_that_moment(pair: Pair) -> None:
    by = pair.worker()
    for _ in range(ROUNDS):
        need = pair.one.submit(spec("true")).id
        job = pair.one.submit(spec("true", after=(need,))).id
        pair.one.cancel(job, "me")
        lease = pair.claimed(by).lease
        pair.at_once(
            lambda hub, lease=lease: hub.finish(lease, outcome(COMPLETED)),
            lambda hub, job=job: hub.retry(job),
        )
        assert pair.one.job(job).blocked == 0
        pair.one.finish(pair.claimed(by).lease, outcome(COMPLETED))


def test_a_need_and_its_dependent_retried_at_once_keep_their_order(pair: Pair) -> None:
    by = pair.worker()
    for _ in range(ROUNDS):
        need = pair.one.submit(spec("true")).id
        job = pair.one.submit(spec("true", after_any=(need,))).id
        for each in (need, job):
            pair.one.cancel(each, "me")
        pair.at_once(lambda hub, need=need: hub.retry(need), lambda hub, job=job: hub.retry(job))
        assert pair.one.job(job).blocked == 1
        for each in (need, job):
            claim = pair.claimed(by)
            assert claim.job.id == each
            pair.one.finish(claim.lease, outcome(COMPLETED))


def test_two_workers_of_a_machine_never_share_a_gpu(pair: Pair) -> None:
    """Their lists are in another order, so that each begins with what the other ends with."""
    one, two = pair.worker(gpus=("A", "B", "C")), pair.worker(gpus=("C", "B", "A"))
    for round_number in range(ROUNDS):
        for _ in range(2):
            pair.one.submit(spec("true", gpus=1 + round_number % 3))
        claims = pair.at_once(lambda hub: hub.claim(one), lambda hub: hub.claim(two))
        given = [claim for claim in claims if isinstance(claim, Claim)]
        gpus = [gpu for claim in given for gpu in claim.gpus]
        assert len(set(gpus)) == len(gpus)
        assert len({claim.job.id for claim in given}) == len(given)
        for claim in given:
            pair.one.finish(claim.lease, outcome(COMPLETED))
        while claim := pair.one.claim(one):
            pair.one.finish(claim.lease, outcome(COMPLETED))
    assert set(pair.one.counts()) == {JobStatus.COMPLETED}


def test_cancelling_a_tangle_of_dependents_from_two_sides(pair: Pair) -> None:
    """Both walks meet the same jobs in a different order: PostgreSQL undoes one, and the caller hears nothing of it."""
    for _ in range(ROUNDS):
        top = pair.one.submit(spec("true")).id
        middle = [pair.one.submit(spec("true", after=(top,))).id for _ in range(2)]
        last = pair.one.submit(spec("true", after=tuple(middle))).id
        pair.at_once(
            lambda hub, top=top: hub.cancel(top, "me"),
            lambda hub, job=middle[1]: cancel_if_there_is_still_time(hub, job),
        )
        assert pair.one.job(top).status is JobStatus.CANCELLED
        for each in (*middle, last):
            assert pair.one.job(each).status in (JobStatus.FAILED, JobStatus.CANCELLED)
    assert JobStatus.QUEUED not in pair.one.counts()


def cancel_if_there_is_still_time(hub: LocalHub, job: int) -> None:
    with suppress(IllegalTransition):
        hub.cancel(job, "me")


def test_a_lease_is_taken_back_while_its_worker_renews_and_finishes(pair: Pair) -> None:
    by, other = pair.worker(lease_s=10.0), pair.worker(lease_s=10.0)
    for _ in range(ROUNDS):
        for _ in range(3):
            pair.one.submit(spec("true"))
        old = [pair.claimed(by).lease for _ in range(3)]
        pair.clock.seconds += 11

        def finish_and_renew(hub: LocalHub, old: list[object] = old) -> int:
            accepted = 0
            for lease in old:
                with suppress(LeaseLost):
                    hub.finish(lease, outcome(COMPLETED))
                    accepted += 1
                hub.renew(by)
            return accepted

        finished, given = pair.at_once(
            finish_and_renew, lambda hub: [claim for _ in range(3) if (claim := hub.claim(other))]
        )
        assert isinstance(finished, int)
        assert isinstance(given, list)
        for claim in given:
            assert claim.job.attempt == 2
            pair.one.finish(claim.lease, outcome(COMPLETED))
        while claim := pair.one.claim(other):
            pair.one.finish(claim.lease, outcome(COMPLETED))
        assert set(pair.one.counts()) == {JobStatus.COMPLETED}


def test_two_workers_never_get_the_same_attempt(pair: Pair) -> None:
    one, two = pair.worker(lease_s=10.0), pair.worker()
    given = []
    for _ in range(ROUNDS):
        pair.one.submit(spec("true", retries=1))
        claims = pair.at_once(lambda hub: hub.claim(one), lambda hub: hub.claim(two))
        given += [(claim.job.id, claim.job.attempt) for claim in claims if isinstance(claim, Claim)]
        pair.clock.seconds += 11
    assert len(set(given)) == len(given) >= ROUNDS
