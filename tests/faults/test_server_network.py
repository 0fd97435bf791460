"""The way between server and workers is cut, slow, torn and repeats itself: no job is lost, none runs twice at once."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from faulty_proxy import (
    Connection,
    Request,
    crumbled,
    lost,
    pass_on,
    proxy_for,
    repeated,
    slow,
    some,
    torn,
    unanswered,
)
from helpers import wait_until
from hubs import known, worker
from networks import a_network
from queues import Worker
from remote_queues import RemoteQueue, a_remote_queue, clients, counted, output_of
from settable_clock import settable_clock

from whirr import clock
from whirr.errors import LeaseLost, WrongOffset
from whirr.hub import Target
from whirr.model import CauseKind, JobStatus, Lease, Outcome, Verdict
from whirr.remote import RemoteHub
from whirr.remote_inbox import RemoteInbox
from whirr.transport import Transport

__all__ = ["settable_clock"]

LEASE = "5s"
LONG, PAUSE_S = 1000, 0.05
"""Lines of a job that is not to end before it is stopped, and seconds between two."""


def cut_off_for_longer_than_the_lease(
    queue: RemoteQueue, first: Worker, cut: Callable[[], None], heal: Callable[[], None]
) -> None:
    """A worker is cut off with a job, another takes the job over, and the first comes back."""
    number = queue.write(LONG, PAUSE_S)
    queue.tells("start", number)
    wait_until(lambda: (queue.folder(number) / "output.log").exists(), 30)
    cut()
    second = queue.worker("--lease", LEASE, "--name", "near")
    queue.tells("start", number, attempt=2)
    stopped = len(queue.strays())  # the first attempt's processes were ended before the second's began
    assert stopped == 1, queue.strays()
    heal()
    first.says("no longer holds its lease")
    late = queue.folder(number) / "attempts" / "1" / "output.log"
    spooled = next((queue.place / "machines" / "far").rglob(f"job-{number}/1/output.log"))
    wait_until(lambda: late.exists() and late.read_bytes() == spooled.read_bytes(), 30)
    assert output_of(number, 1, LONG).startswith(spooled.read_bytes())
    assert queue.hub.cancel(number, "the test").status is JobStatus.CANCELLING
    queue.becomes(number, JobStatus.CANCELLED)
    assert queue.outcomes(number) == ["lost", "cancelled"]
    assert queue.attempts(number)[0].cause.kind is CauseKind.WORKER_LOST
    assert queue.folder(number).joinpath("output.log").read_bytes() in output_of(number, 2, LONG)
    again = [queue.write() for _ in range(4)]  # both go on working
    queue.completes(*again)
    assert [queue.arrived(each) for each in again] == [["completed"]] * 4
    assert second.process.poll() is None


@pytest.mark.needs_root
def test_the_cable_of_a_worker_is_cut_for_longer_than_its_lease(tmp_path: Path) -> None:
    with a_network() as network, a_remote_queue(tmp_path, None, "--host", network.server) as queue:
        first = queue.worker("--lease", LEASE, "--name", "far", machine="far", prefix=network.at_worker)
        queue.ready(first)
        cut_off_for_longer_than_the_lease(queue, first, network.cut, network.heal)


def test_a_worker_is_not_heard_for_longer_than_its_lease(tmp_path: Path) -> None:
    with a_remote_queue(tmp_path) as queue, proxy_for(queue.server.port) as proxy:
        first = queue.worker("--lease", LEASE, "--name", "far", machine="far", at=proxy.url)
        queue.ready(first)
        cut_off_for_longer_than_the_lease(queue, first, proxy.go_dark, proxy.lighten)


def test_the_server_is_away_for_longer_than_a_lease(tmp_path: Path, thorough: bool) -> None:
    """``--thorough``: for nine leases, as an hour would be of the usual ones."""
    lines = 1200 if thorough else 200
    with a_remote_queue(tmp_path) as queue:
        queue.ready(queue.worker("--lease", LEASE, "--slots", "2"))
        long, short = queue.write(lines, PAUSE_S), queue.write(lines // 4, PAUSE_S)
        queue.tells("start", long)
        queue.tells("start", short)
        queue.server.kill()
        wait_until(lambda: queue.journal("end", short), 120)  # ends while nobody can be told
        [spooled] = (queue.place / "machines").rglob(f"job-{long}/1/output.log")
        wait_until(lambda: spooled.read_bytes().count(b"\n") > lines * 3 // 4, 120)
        queue.server.start()
        queue.completes(long, short, timeout=120)
        assert queue.arrived(long, lines) == queue.arrived(short, lines // 4) == ["completed"]


def test_requests_are_slow_torn_lost_and_repeated(tmp_path: Path, thorough: bool) -> None:
    faults = some(7, 0.1, lost, unanswered, repeated, torn, slow, crumbled)
    with a_remote_queue(tmp_path) as queue, proxy_for(queue.server.port) as proxy:
        queue.ready(*(queue.worker("--slots", "2", "--lease", LEASE, at=proxy.url) for _ in range(2)))
        proxy.fault = lambda connection, request: (
            repeated if request.line.startswith("POST /api/v1/jobs ") else faults
        )(connection, request)
        with clients(queue, 4, proxy.url) as done:
            done.do_more(200 if thorough else 12)
        assert proxy.count >= len(done.acknowledged)
        counted(queue, done, "requeued")
        assert all(worker.process.poll() is None for worker in queue.workers)


def test_what_a_repeated_claim_took_unseen_is_given_back(tmp_path: Path) -> None:
    claims: list[str] = []

    def first_claim_twice(connection: Connection, request: Request) -> None:
        claim = request.line.split(" ")[1].endswith("/claim")
        claims.extend([request.line] * claim)
        (repeated if claim and len(claims) == 1 else pass_on)(connection, request)

    with a_remote_queue(tmp_path) as queue, proxy_for(queue.server.port) as proxy:
        proxy.fault = first_claim_twice
        unseen, seen = queue.write(), queue.write()
        queue.ready(queue.worker("--slots", "2", "--lease", LEASE, at=proxy.url))
        queue.completes(unseen, seen)
        assert queue.arrived(unseen) == ["requeued", "completed"]
        assert queue.arrived(seen) == ["completed"]


def test_a_sender_disappears_in_mid_upload(tmp_path: Path) -> None:
    with a_remote_queue(tmp_path) as queue:
        target = Target("local-20260101-000000-abcdef")
        transport = Transport(queue.server.url, queue.token)
        inbox = RemoteInbox(transport)
        assert inbox.begin(target) == {}
        assert inbox.append(target, "output.log", 0, b"begun\n") == 6
        data = os.urandom(1 << 20)
        for path in (f"/api/v1/runs/{target.run_id}/inbox/output.log?offset=6", "/api/v1/jobs"):
            _half(queue, "PATCH" if "inbox" in path else "POST", path, data)
        sizes = wait_until(lambda: inbox.begin(target))
        assert (tmp_path / ".whirr" / "runs" / target.run_id / "output.log").read_bytes() == (b"begun\n" + data)[
            : sizes["output.log"]
        ]
        assert inbox.append(target, "output.log", 6, data) == 6 + len(data)
        with pytest.raises(WrongOffset):
            inbox.append(target, "output.log", 2 << 20, data)
        assert (tmp_path / ".whirr" / "runs" / target.run_id / "output.log").read_bytes() == b"begun\n" + data
        assert queue.hub.jobs() == []
        transport.close()


def _half(queue: RemoteQueue, method: str, path: str, data: bytes) -> None:
    """Send the head and half the body of a request, and be gone."""
    head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {queue.token}\r\n"
    about = f"Content-Type: application/octet-stream\r\nContent-Length: {len(data)}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", queue.server.port)) as connection:
        connection.sendall((head + about).encode() + data[: len(data) // 2])


def test_a_stale_worker_is_refused_everything(tmp_path: Path) -> None:
    with a_remote_queue(tmp_path) as queue, _hub(queue) as hub:
        number = queue.write()
        gone = known(hub, worker("gone", lease_s=1.0), str(tmp_path))
        claim = hub.claim(gone)
        assert claim is not None
        queue.worker("--lease", LEASE)
        queue.completes(number)
        whole = (queue.folder(number) / "output.log").read_bytes()
        target = Target(f"job-{number}", claim.lease)
        assert hub.renew(gone) == []
        for refused in (
            lambda: hub.finish(claim.lease, Outcome(Verdict.FAILED, None, 1.0, clock.stamp())),
            lambda: hub.inbox.begin(target),
            lambda: hub.inbox.append(target, "output.log", len(whole), b"stale"),
            lambda: hub.inbox.replace(target, "meta.json", b"{}"),
            lambda: hub.inbox.seal(target, {}),
            lambda: hub.inbox.begin(target._replace(late=True, lease=Lease(number, 2, gone.id))),
        ):
            with pytest.raises(LeaseLost):
                refused()
        late = target._replace(late=True)
        hub.inbox.begin(late)
        assert hub.inbox.append(late, "output.log", 0, b"stale") == 5
        assert (queue.folder(number) / "attempts" / "1" / "output.log").read_bytes() == b"stale"
        assert (queue.folder(number) / "output.log").read_bytes() == whole
        assert queue.arrived(number) == ["lost", "completed"]


def test_the_clocks_of_worker_and_server_are_a_day_apart(settable_clock: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "shifted").touch()
    with a_remote_queue(tmp_path) as queue:
        began = clock.now().timestamp()
        shifted = queue.worker("--lease", LEASE, "--slots", "2", **settable_clock)
        queue.ready(shifted)
        jobs = [queue.write(lines, PAUSE_S) for lines in (5, 140)]  # the second takes longer than a lease
        queue.completes(*jobs)
        assert [queue.arrived(job, lines) for job, lines in zip(jobs, (5, 140), strict=True)] == [["completed"]] * 2
        for number in jobs:
            [attempt], job, meta = queue.attempts(number), queue.job(number), queue.meta(number)
            for stamp in (attempt.started_at, attempt.finished_at, job.started_at, job.finished_at):
                assert began - 1 <= clock.epoch(stamp) <= clock.now().timestamp() + 1
            assert 0 <= meta["duration_seconds"] < 60
        assert "Traceback" not in shifted.said()


def test_two_workers_of_one_name_on_one_machine(tmp_path: Path) -> None:
    with a_remote_queue(tmp_path) as queue:
        twins = [queue.worker("--name", "twin", machine="one") for _ in range(2)]
        queue.ready(*twins)
        jobs = [queue.write(60, PAUSE_S) for _ in range(2)]
        for number in jobs:
            queue.tells("start", number)
        assert len({queue.job(number).worker for number in jobs}) == 2
        victim = queue.worker_of(queue.job(jobs[0]))
        assert victim in twins
        victim.kill()  # only its own job is lost, and the other knows at once
        queue.completes(*jobs)
        assert queue.arrived(jobs[0], 60) == ["lost", "completed"]
        assert queue.arrived(jobs[1], 60) == ["completed"]


@contextmanager
def _hub(queue: RemoteQueue) -> Iterator[RemoteHub]:
    hub = queue.server.hub(queue.environ["WHIRR_TOKEN"])
    try:
        yield hub
    finally:
        hub.close()
