"""What every inbox must do: appends by offset, contents by their sum, both fenced by the lease."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hubs import Ticker, known, outcome, spec, worker
from servers import hub_of_kind, served

from whirr.connect import open_hub
from whirr.errors import AccessDenied, LeaseLost, NotFound, UsageError, WrongOffset
from whirr.hub import Hub, Target
from whirr.jsonio import dumps
from whirr.model import Lease, Role, Verdict

LEASE_S = 60.0
DIRECT = "local-20261125-120000-abcdef"
LARGE = 3_000_000
"""Bytes: a server takes such a part in several pieces."""


@pytest.fixture
def clock() -> Ticker:
    return Ticker()


@pytest.fixture(params=["sqlite", "http+sqlite", "http+postgresql"])
def hub(request: pytest.FixtureRequest, tmp_path: Path, clock: Ticker) -> Iterator[Hub]:
    with hub_of_kind(request.param, tmp_path / ".whirr", request, clock) as made:
        yield made


@pytest.fixture
def target(hub: Hub) -> Target:
    """The run of a job that is claimed."""
    hub.submit(spec("true"))
    return claimed(hub)


def claimed(hub: Hub) -> Target:
    claim = hub.claim(known(hub, worker(lease_s=LEASE_S)))
    assert claim is not None
    return Target(claim.job.run_id, claim.lease)


def at_hub(hub: Hub, target: Target, path: str) -> bytes:
    return (hub.root / "runs" / target.run_id / path).read_bytes()


def sum_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def send(hub: Hub, target: Target, path: str, data: bytes) -> None:
    """A whole file by its content."""
    there = hub.inbox.offer(target, path, sum_of(data), len(data))
    while there < len(data):
        hub.inbox.send(sum_of(data), there, data[there : there + 1000])
        there = hub.inbox.offer(target, path, sum_of(data), len(data))


def test_the_run_of_a_claimed_job_is_there_from_the_beginning(hub: Hub, target: Target) -> None:
    sizes = hub.inbox.begin(target)
    assert sizes.keys() == {"meta.json", "config.json"}
    assert sizes["config.json"] == len(at_hub(hub, target, "config.json"))


def test_what_is_appended_is_there_in_order(hub: Hub, target: Target) -> None:
    assert hub.inbox.append(target, "output.log", 0, b"one\n") == 4
    assert hub.inbox.append(target, "output.log", 4, b"two, without an end") == 23
    assert at_hub(hub, target, "output.log") == b"one\ntwo, without an end"
    assert hub.inbox.begin(target)["output.log"] == 23


def test_an_append_that_is_sent_again_changes_nothing(hub: Hub, target: Target) -> None:
    hub.inbox.append(target, "output.log", 0, b"abc")
    assert hub.inbox.append(target, "output.log", 0, b"abc") == 3
    assert hub.inbox.append(target, "output.log", 1, b"bcde") == 5  # a part of it was there
    assert at_hub(hub, target, "output.log") == b"abcde"


def test_an_append_of_many_pieces_that_is_sent_again_changes_nothing(hub: Hub, target: Target) -> None:
    data = os.urandom(LARGE)
    for _ in range(3):
        assert hub.inbox.append(target, "output.log", 0, data) == LARGE
    assert hub.inbox.append(target, "output.log", LARGE // 3, data[LARGE // 3 :] + b"end") == LARGE + 3
    assert at_hub(hub, target, "output.log") == data + b"end"


def test_two_who_append_the_same_at_once_append_it_once(hub: Hub, target: Target) -> None:
    data = os.urandom(LARGE)
    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(lambda _: hub.inbox.append(target, "output.log", 0, data), range(3))) == [LARGE] * 3
    assert at_hub(hub, target, "output.log") == data


def test_an_append_after_a_gap_is_refused_with_where_the_file_ends(hub: Hub, target: Target) -> None:
    hub.inbox.append(target, "output.log", 0, b"abc")
    with pytest.raises(WrongOffset) as caught:
        hub.inbox.append(target, "output.log", 5, b"x")
    assert caught.value.actual == 3
    with pytest.raises(WrongOffset) as caught:
        hub.inbox.append(target, "artifacts/new.bin", 1, b"x")
    assert caught.value.actual == 0


def test_an_empty_append_makes_the_file(hub: Hub, target: Target) -> None:
    assert hub.inbox.append(target, "metrics.jsonl", 0, b"") == 0
    assert at_hub(hub, target, "metrics.jsonl") == b""


def test_a_document_is_replaced_as_a_whole(hub: Hub, target: Target) -> None:
    hub.inbox.replace(target, "writer.1.json", b'{"a": 1, "b": 2}')
    hub.inbox.replace(target, "writer.1.json", b"{}")
    assert at_hub(hub, target, "writer.1.json") == b"{}"


def test_hidden_files_are_taken_like_others(hub: Hub, target: Target) -> None:
    for path in (".hydra/config.yaml", ".env", "a/.b/c", "a.tmp", "a/.lease"):
        send(hub, target, path, b"x")
        assert hub.inbox.append(target, path, 1, b"y") == 2
        assert at_hub(hub, target, path) == b"xy"
        assert path in hub.inbox.begin(target)


ELSEWHERE = ("", "/etc/x", "../x", "a/../../x", "a//b", "./a", "a\0b")
OWN = (".a.tmp", "a/.b.tmp", "a/.b.tmp/c", "attempts/1/x", "code/x.py", ".lease", ".sent")


def test_a_path_that_leads_elsewhere_or_is_whirrs_own_is_refused(hub: Hub, target: Target) -> None:
    for path in (*ELSEWHERE, *OWN, "x" * 300):
        for write in (
            lambda path=path: hub.inbox.append(target, path, 0, b"x"),
            lambda path=path: hub.inbox.replace(target, path, b"x"),
            lambda path=path: hub.inbox.offer(target, path, sum_of(b""), 0),
        ):
            with pytest.raises(NotFound):
                write()
    assert hub.inbox.begin(target).keys() == {"meta.json", "config.json"}


def test_nothing_is_written_through_a_link(hub: Hub, target: Target, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_bytes(b"mine")
    folder = hub.root / "runs" / target.run_id
    (folder / "artifacts").symlink_to(outside)
    (folder / "output.log").symlink_to(outside / "file")
    with pytest.raises(NotFound):
        hub.inbox.append(target, "artifacts/x", 0, b"x")
    with pytest.raises(NotFound):
        hub.inbox.append(target, "output.log", 0, b"longer than it")
    with pytest.raises(NotFound):
        send(hub, target, "artifacts/y", b"y")
    send(hub, target, "output.log", b"y")  # it takes the place of the link
    assert {path.name: path.read_bytes() for path in outside.iterdir()} == {"file": b"mine"}


def test_a_content_goes_in_parts_and_only_once(hub: Hub, target: Target) -> None:
    data = os.urandom(3500)
    assert hub.inbox.offer(target, "artifacts/a/model.pt", sum_of(data), len(data)) == 0
    assert hub.inbox.send(sum_of(data), 0, data[:2000]) == 2000
    assert hub.inbox.offer(target, "artifacts/a/model.pt", sum_of(data), len(data)) == 2000  # as after a break
    with pytest.raises(WrongOffset) as caught:
        hub.inbox.send(sum_of(data), 3000, data[3000:])
    assert caught.value.actual == 2000
    assert hub.inbox.send(sum_of(data), 0, data) == 3500
    assert hub.inbox.offer(target, "artifacts/a/model.pt", sum_of(data), len(data)) == 3500
    assert at_hub(hub, target, "artifacts/a/model.pt") == data
    assert hub.inbox.offer(target, "artifacts/best.pt", sum_of(data), len(data)) == 3500  # nothing to send
    assert at_hub(hub, target, "artifacts/best.pt") == data


def test_a_part_of_a_content_that_is_sent_again_changes_nothing(hub: Hub, target: Target) -> None:
    data = os.urandom(LARGE)
    assert hub.inbox.offer(target, "artifacts/x", sum_of(data), LARGE) == 0
    for _ in range(3):
        assert hub.inbox.send(sum_of(data), 0, data[:-5]) == LARGE - 5
    assert hub.inbox.send(sum_of(data), LARGE - 5, data[-5:]) == LARGE
    assert hub.inbox.offer(target, "artifacts/x", sum_of(data), LARGE) == LARGE
    assert at_hub(hub, target, "artifacts/x") == data


def test_what_is_in_place_and_offered_again_leaves_nothing_beside_it(hub: Hub, target: Target) -> None:
    send(hub, target, "artifacts/x", b"xyz")
    assert hub.inbox.offer(target, "artifacts/x", sum_of(b"xyz"), 3) == 3
    assert os.listdir(hub.run_dir(1) / "artifacts") == ["x"]


def test_an_empty_content_is_put_in_place_at_once(hub: Hub, target: Target) -> None:
    assert hub.inbox.offer(target, "artifacts/empty", sum_of(b""), 0) == 0
    assert at_hub(hub, target, "artifacts/empty") == b""


def test_a_content_that_is_not_what_it_was_called_is_thrown_away(hub: Hub, target: Target) -> None:
    data = b"right"
    hub.inbox.send(sum_of(data), 0, b"wrong")
    assert hub.inbox.offer(target, "artifacts/x", sum_of(data), len(data)) == 0
    hub.inbox.send(sum_of(data), 0, b"too much of it")
    assert hub.inbox.offer(target, "artifacts/x", sum_of(data), len(data)) == 0
    send(hub, target, "artifacts/x", data)
    assert at_hub(hub, target, "artifacts/x") == data


def test_a_content_of_another_length_than_it_was_said_to_have_is_refused(hub: Hub, target: Target) -> None:
    send(hub, target, "artifacts/x", b"right")
    with pytest.raises(UsageError, match="has 5 bytes"):
        hub.inbox.offer(target, "artifacts/y", sum_of(b"right"), 4)
    with pytest.raises(UsageError, match="no SHA-256"):
        hub.inbox.offer(target, "artifacts/y", "../" + "0" * 61, 4)


def test_a_damaged_content_is_not_given_out_again(hub: Hub, target: Target) -> None:
    data = b"what it was"
    send(hub, target, "artifacts/x", data)
    with (hub.root / "runs" / target.run_id / "artifacts/x").open("ab") as file:  # somebody with the right to
        file.write(b", changed")
    assert hub.inbox.offer(target, "artifacts/y", sum_of(data), len(data)) == 0
    send(hub, target, "artifacts/y", data)
    assert at_hub(hub, target, "artifacts/y") == data


def test_a_file_that_was_sent_by_its_content_may_grow_and_the_content_stays(hub: Hub, target: Target) -> None:
    data = b"the same in two files"
    send(hub, target, "artifacts/one", data)
    send(hub, target, "artifacts/two", data)
    hub.inbox.append(target, "artifacts/one", len(data), b", and more")
    assert at_hub(hub, target, "artifacts/one") == data + b", and more"
    assert at_hub(hub, target, "artifacts/two") == data
    assert hub.inbox.offer(target, "artifacts/three", sum_of(data), len(data)) == len(data)


def test_an_old_content_goes_with_the_last_file_that_has_it(hub: Hub, target: Target) -> None:
    for number in range(5):
        send(hub, target, "artifacts/model.pt", b"%d" % number * 3000)
    blobs = [path for path in (hub.root / "blobs").rglob("*") if path.is_file()]
    assert [path.name for path in blobs] == [sum_of(b"4" * 3000)]


def test_two_who_send_the_same_content_at_once_both_have_it(hub: Hub, target: Target) -> None:
    data = os.urandom(60_000)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: send(hub, target, f"artifacts/{number}", data), range(4)))
    assert {at_hub(hub, target, f"artifacts/{number}") for number in range(4)} == {data}


def test_a_seal_names_what_differs(hub: Hub, target: Target) -> None:
    hub.inbox.append(target, "output.log", 0, b"abc")
    send(hub, target, "artifacts/x", b"xyz")
    right = {"output.log": (3, sum_of(b"abc")), "artifacts/x": (3, sum_of(b"xyz"))}
    assert hub.inbox.seal(target, right) == []
    wrong = {"output.log": (3, sum_of(b"abd")), "artifacts/x": (4, sum_of(b"xyz")), "missing": (0, sum_of(b""))}
    assert sorted(hub.inbox.seal(target, right | wrong)) == ["artifacts/x", "missing", "output.log"]


def lose(hub: Hub, clock: Ticker, target: Target) -> Target:
    """Let the lease run out, and another attempt begin."""
    clock.seconds += 2 * LEASE_S
    by = known(hub, worker(lease_s=LEASE_S))
    claim = hub.claim(by)
    if claim is None:  # it waits a while first
        clock.seconds += 3600
        claim = hub.claim(by)
    assert claim is not None
    return Target(target.run_id, claim.lease)


def test_a_stale_lease_writes_nothing(hub: Hub, clock: Ticker, target: Target) -> None:
    hub.inbox.append(target, "output.log", 0, b"first")
    after = lose(hub, clock, target)
    hub.inbox.append(after, "output.log", 0, b"second")
    for write in (
        lambda: hub.inbox.begin(target),
        lambda: hub.inbox.append(target, "output.log", 5, b"!"),
        lambda: hub.inbox.replace(target, "meta.json", b"{}"),
        lambda: send(hub, target, "artifacts/x", b"x"),
        lambda: hub.inbox.seal(target, {}),
    ):
        with pytest.raises(LeaseLost):
            write()
    assert at_hub(hub, target, "output.log") == b"second"
    assert at_hub(hub, target, "attempts/1/output.log") == b"first"


def test_late_files_are_kept_as_those_of_their_attempt(hub: Hub, clock: Ticker, target: Target) -> None:
    hub.inbox.append(target, "output.log", 0, b"first")
    after = lose(hub, clock, target)
    late = target._replace(late=True)
    assert hub.inbox.begin(late)["output.log"] == 5
    ended = at_hub(hub, after, "attempts/1/meta.json")
    hub.inbox.append(late, "output.log", 5, b", to its end")
    hub.inbox.replace(late, "meta.json", b'{"status": "running"}')  # it does not know how it ended
    hub.inbox.replace(late, "result.1.json", b"{}")
    send(hub, late, "artifacts/x", b"x")
    assert hub.inbox.seal(late, {"output.log": (17, sum_of(b"first, to its end")), "meta.json": (9, "0" * 64)}) == []
    assert at_hub(hub, after, "attempts/1/output.log") == b"first, to its end"
    assert at_hub(hub, after, "attempts/1/artifacts/x") == b"x"
    assert at_hub(hub, after, "attempts/1/result.json") == b"{}"
    assert at_hub(hub, after, "attempts/1/meta.json") == ended
    assert not (hub.root / "runs" / after.run_id / "artifacts").exists()


def test_what_a_program_said_follows_and_the_ending_stays_the_queues(hub: Hub, target: Target) -> None:
    assert target.lease is not None
    hub.finish(target.lease, outcome(Verdict.FAILED, exit_code=3))
    said = {**json.loads(at_hub(hub, target, "meta.json")), "status": "running", "summary": {"loss": 0.5}}
    late = target._replace(late=True)
    for data in (dumps(said), b"[]", b"{"):
        hub.inbox.replace(late, "meta.json", data)
    meta = json.loads(at_hub(hub, target, "meta.json"))
    assert (meta["status"], meta["cause"]["exit_code"], meta["summary"]) == ("failed", 3, {"loss": 0.5})
    assert meta["finished_at"] == hub.job(target.lease.job_id).finished_at


def test_nobody_else_may_send_late_files(hub: Hub, clock: Ticker, target: Target) -> None:
    lease = target.lease
    assert lease is not None
    lose(hub, clock, target)
    for other in (lease._replace(worker="another"), Lease(lease.job_id, 7, lease.worker)):
        with pytest.raises(LeaseLost):
            hub.inbox.append(Target(target.run_id, other, late=True), "output.log", 0, b"x")


def test_the_files_of_a_job_that_has_ended_are_not_changed(hub: Hub, target: Target) -> None:
    assert target.lease is not None
    hub.finish(target.lease, outcome(Verdict.COMPLETED))
    with pytest.raises(LeaseLost):
        hub.inbox.append(target, "output.log", 0, b"x")


def test_a_lease_is_good_for_its_own_run_only(hub: Hub, target: Target) -> None:
    hub.submit(spec("true"))
    other = claimed(hub)
    with pytest.raises(NotFound):
        hub.inbox.append(Target(other.run_id, target.lease), "output.log", 0, b"x")
    with pytest.raises(NotFound):
        hub.inbox.append(Target("job-77", Lease(77, 1, "w")), "output.log", 0, b"x")


def test_a_run_without_a_job_needs_no_lease(hub: Hub) -> None:
    target = Target(DIRECT)
    assert hub.inbox.begin(target) == {}
    hub.inbox.append(target, "output.log", 0, b"abc")
    send(hub, target, "artifacts/x", b"x")
    assert hub.inbox.begin(target) == {"output.log": 3, "artifacts/x": 1}


def test_without_a_lease_no_jobs_run_and_no_odd_name_is_taken(hub: Hub) -> None:
    for run_id in ("job-1", "..", ".hidden", "a b", "job-9/x", "x" * 200):
        with pytest.raises((UsageError, NotFound)):
            hub.inbox.begin(Target(run_id))
    assert list((hub.root / "runs").iterdir()) == []


def test_contents_that_no_run_has_are_swept_after_a_day(tmp_path: Path) -> None:
    hub = open_hub(tmp_path / ".whirr")
    send(hub, Target(DIRECT), "artifacts/kept", b"kept")
    send(hub, Target(DIRECT), "artifacts/gone", b"gone")
    hub.inbox.send(sum_of(b"half"), 0, b"ha")
    (hub.root / "runs" / DIRECT / "artifacts/gone").unlink()
    assert hub.inbox.sweep() == 0
    assert hub.inbox.sweep(now=time.time() + 1.5 * 86400) == 2
    assert hub.inbox.offer(Target(DIRECT), "artifacts/again", sum_of(b"kept"), 4) == 4
    hub.close()


def test_a_folder_of_the_hubs_own_disk_is_told_from_another(hub: Hub, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    link = tmp_path / "link"
    link.symlink_to(hub.root)
    assert [hub.inbox.shares(folder) for folder in (hub.root, link, other, tmp_path / "none")] == [
        True,
        True,
        False,
        False,
    ]
    assert not [path for path in hub.root.iterdir() if path.name.startswith(".probe")]


ROLES = [(Role.READ, False, False), (Role.SUBMIT, False, True), (Role.WORKER, True, False), (Role.ADMIN, True, True)]


@pytest.mark.parametrize(("role", "jobs", "directs"), ROLES)
def test_who_may_send_what(tmp_path: Path, role: Role, *, jobs: bool, directs: bool) -> None:
    local = open_hub(tmp_path / ".whirr")
    local.submit(spec("true"))
    target = claimed(local)
    with served(local, role) as hub:
        for asked, allowed in ((target, jobs), (Target(DIRECT), directs)):
            if allowed:
                hub.inbox.begin(asked)
                assert hub.inbox.append(asked, "output.log", 0, b"abc") == 3
            else:
                for write in (
                    lambda asked=asked: hub.inbox.begin(asked),
                    lambda asked=asked: hub.inbox.append(asked, "output.log", 0, b"abc"),
                    lambda asked=asked: hub.inbox.replace(asked, "meta.json", b"{}"),
                    lambda asked=asked: hub.inbox.offer(asked, "x", sum_of(b""), 0),
                    lambda asked=asked: hub.inbox.seal(asked, {}),
                ):
                    with pytest.raises(AccessDenied):
                        write()
    local.close()
