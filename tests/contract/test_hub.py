"""What every hub must do, over every database: the rules of `hub.py` held to the letter."""

from __future__ import annotations

import select
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers import wait_until
from hubs import Ticker, by_whom, known, outcome, spec, worker
from servers import hub_of_kind

from whirr import process
from whirr.errors import IllegalTransition, LeaseLost, NotFound, UsageError
from whirr.folder import read_meta
from whirr.hub import Bell, Hub
from whirr.model import CRASHES_ALLOWED, Cause, CauseKind, Claim, Job, JobSpec, JobStatus, Verdict, WorkerInfo
from whirr.resubmission import Changes, shown

COMPLETED, FAILED, REQUEUE, CRASHED = Verdict


@pytest.fixture
def clock() -> Ticker:
    return Ticker()


@pytest.fixture(params=["sqlite", "postgresql", "http+sqlite", "http+postgresql"])
def hub(request: pytest.FixtureRequest, tmp_path: Path, clock: Ticker) -> Iterator[Hub]:
    with hub_of_kind(request.param, tmp_path / ".whirr", request, clock) as made:
        yield made


def as_given(job: Job, given: JobSpec) -> JobSpec:
    """What came back; a server adds the name of the token to who submitted it."""
    assert by_whom(job.spec.submitted_by).removeprefix("token ").startswith(given.submitted_by)
    return job.spec._replace(submitted_by=given.submitted_by)


def registered(hub: Hub, **about: object) -> WorkerInfo:
    """A worker; one of a server always has a lease with an end."""
    if hub.locks is None and about.get("lease_s") is None:
        about["lease_s"] = 1e6
    return known(hub, worker(**about))


def claimed(hub: Hub, by: WorkerInfo) -> Claim:
    # A server takes back leases by itself, too: what it is just taking back, a claim of this moment passes over.
    claim = hub.claim(by) if hub.locks is not None else wait_until(lambda: hub.claim(by))
    assert claim is not None
    return claim


def run_to(hub: Hub, by: WorkerInfo, verdict: Verdict, **about: object) -> Job:
    return hub.finish(claimed(hub, by).lease, outcome(verdict, **about))


def test_a_submitted_job_is_queued_and_has_its_run_folder(hub: Hub) -> None:
    job = hub.submit(spec("python", "train.py", name="first", config={"lr": 0.1}, tags=("a", "b")))
    assert (job.id, job.run_id, job.status, job.attempt) == (1, "job-1", JobStatus.QUEUED, 0)
    meta = read_meta(hub.run_dir(1))
    assert (meta["run_id"], meta["status"], meta["name"]) == ("job-1", "queued", "first")
    assert (meta["config"], meta["tags"], meta["job_id"]) == ({"lr": 0.1}, ["a", "b"], 1)
    assert hub.job(1) == job


def test_what_was_staged_becomes_the_runs_folder(hub: Hub) -> None:
    staging = hub.staging_folder()
    (staging / "requirements.txt").write_text("torch==2.1.0\n")
    hub.submit(spec("true"), staging)
    assert (hub.run_dir(1) / "requirements.txt").read_text() == "torch==2.1.0\n"
    assert not staging.exists()


def test_a_submission_that_fails_leaves_nothing(hub: Hub) -> None:
    staging = hub.staging_folder()
    with pytest.raises(NotFound):
        hub.submit(spec("true", after=(77,)), staging)
    assert not staging.exists()
    assert list((hub.root / "runs").iterdir()) == []
    assert hub.jobs() == []


def test_ids_go_on_after_the_folders_that_are_there(hub: Hub) -> None:
    for number in (1, 2, 41):
        (hub.root / "runs" / f"job-{number}").mkdir(parents=True)
    assert [hub.submit(spec("true")).id for _ in range(2)] == [42, 43]


def test_every_part_of_a_submission_comes_back(hub: Hub) -> None:
    given = spec(
        "a b", "--x=1;'$HOME'", "\n", workdir="/tmp/été", name="n", config={"a": [1, {"b": None}]}, tags=("x",),
        priority=3, gpus=2, timeout_s=1.5, grace_s=0.5, retries=4, env={"K": "V=1"}, executable="/bin/x",
        snapshot=True, submitted={"packages": 3}, submitted_by="ada@lab",
    )  # fmt: skip
    hub.submit(given)
    assert as_given(hub.job(1), given) == given


def test_an_unknown_job_is_not_found(hub: Hub) -> None:
    for ask in (
        hub.job,
        hub.retry,
        lambda number: hub.cancel(number, "me"),
        lambda number: hub.reprioritise(number, 1),
        lambda number: hub.again(number, Changes(), "me"),
    ):
        with pytest.raises(NotFound, match="no job 7"):
            ask(7)


def test_a_claim_runs_the_job_under_a_new_attempt(hub: Hub) -> None:
    by = registered(hub, name="w1")
    hub.submit(spec("true"))
    claim = claimed(hub, by)
    assert (claim.job.status, claim.job.attempt, claim.lease.attempt) == (JobStatus.RUNNING, 1, 1)
    assert claim.job.worker == by.id
    assert hub.claim(by) is None
    meta = read_meta(hub.run_dir(1))
    assert meta["status"] == "running"
    assert meta["process"]["pid"] == process.identity()["pid"]
    [attempt] = hub.attempts(1)
    assert (attempt.number, attempt.outcome) == (1, None)


def test_order_is_priority_then_age(hub: Hub) -> None:
    by = registered(hub)
    for priority in (0, 5, 0, 5, -1):
        hub.submit(spec("true", priority=priority))
    assert [claimed(hub, by).job.id for _ in range(5)] == [2, 4, 1, 3, 5]


def test_a_worker_says_that_it_takes_no_more_jobs(hub: Hub) -> None:
    by = registered(hub)
    assert [one.finishing for one in hub.workers()] == [False]
    hub.register(by._replace(finishing=True))
    assert [(one.id, one.finishing) for one in hub.workers()] == [(by.id, True)]


def test_what_ended_last_comes_first(hub: Hub) -> None:
    by = registered(hub)
    for _ in range(4):
        hub.submit(spec("true"))
    leases = [claimed(hub, by).lease for _ in range(4)]
    for number, second, verdict in ((1, 3, "completed"), (2, 1, "failed"), (3, 4, "failed"), (4, 2, "completed")):
        ended = outcome(Verdict(verdict))._replace(finished_at=f"2026-11-25T12:00:0{second}.000000Z")
        hub.finish(leases[number - 1], ended)
    both = (JobStatus.COMPLETED, JobStatus.FAILED)
    assert [job.id for job in hub.ended(both)] == [3, 1, 4, 2]
    assert [job.id for job in hub.ended(both, 3)] == [3, 1, 4]
    assert [job.id for job in hub.ended((JobStatus.FAILED,), 1)] == [3]
    assert hub.ended((JobStatus.CANCELLED,)) == []


def test_a_new_priority_changes_the_order(hub: Hub) -> None:
    by = registered(hub)
    for _ in range(3):
        hub.submit(spec("true"))
    assert hub.reprioritise(3, 7).spec.priority == 7
    assert hub.reprioritise(1, -2).spec.priority == -2
    assert [job.id for job in hub.upcoming()] == [3, 2, 1]
    assert hub.ahead(hub.job(1)) == 2
    assert [claimed(hub, by).job.id for _ in range(3)] == [3, 2, 1]
    assert [hub.job(number).spec.priority for number in (1, 2, 3)] == [-2, 0, 7]


def test_a_priority_can_be_given_before_a_need_is_met(hub: Hub) -> None:
    by = registered(hub)
    hub.submit(spec("true"))
    for _ in range(2):
        hub.submit(spec("true", after=(1,)))
    assert hub.reprioritise(3, 1).blocked == 1
    run_to(hub, by, COMPLETED)
    assert [claimed(hub, by).job.id for _ in range(2)] == [3, 2]


def test_only_a_queued_job_is_given_another_priority(hub: Hub) -> None:
    by = registered(hub)
    hub.submit(spec("true", priority=1))
    lease = claimed(hub, by).lease
    with pytest.raises(IllegalTransition, match="job 1 is running"):
        hub.reprioritise(1, 5)
    hub.finish(lease, outcome(COMPLETED))
    with pytest.raises(IllegalTransition, match="job 1 is completed"):
        hub.reprioritise(1, 5)
    assert hub.job(1).spec.priority == 1


def test_a_lower_priority_frees_the_way_for_who_was_held_back(hub: Hub) -> None:
    by = registered(hub, gpus=("A", "B"))
    hub.submit(spec("true", gpus=1))
    claimed(hub, by)
    hub.submit(spec("wide", gpus=2))
    hub.submit(spec("narrow", gpus=1))
    assert hub.claim(by) is None
    bell = hub.listen(by.id)
    try:
        if hub.locks is None:
            rings(bell)
        hub.reprioritise(2, -1)
        rings(bell)
    finally:
        bell.close()
    assert claimed(hub, by).job.id == 3


def test_a_job_submitted_again_is_a_new_one_with_all_that_the_first_had(hub: Hub) -> None:
    by = registered(hub)
    given = spec(
        "train", "--lr=1", name="n", config={"a": [1]}, tags=("x",), priority=3, timeout_s=1.5, grace_s=0.5, retries=4,
        env={"K": "V"}, executable="/bin/train", submitted={"requirements": "requirements.txt"}, submitted_by="ada",
    )  # fmt: skip
    staging = hub.staging_folder()
    (staging / "requirements.txt").write_text("torch==2.1.0\n")
    hub.submit(given, staging)
    run_to(hub, by, COMPLETED)
    job = hub.again(1, Changes(), "bob")
    assert (job.id, job.status, job.attempt, by_whom(job.spec.submitted_by)) == (2, JobStatus.QUEUED, 0, "bob")
    assert hub.job(2).spec == given._replace(
        submitted={**given.submitted, "again_of": 1}, submitted_by=job.spec.submitted_by
    )
    assert (hub.run_dir(2) / "requirements.txt").read_text() == "torch==2.1.0\n"
    assert read_meta(hub.run_dir(2))["config"] == {"a": [1]}
    assert read_meta(hub.run_dir(2))["job"]["again_of"] == 1
    assert hub.job(1).status is JobStatus.COMPLETED


def test_a_job_submitted_again_is_changed_as_wished(hub: Hub) -> None:
    hub.submit(
        spec(
            "train", "--lr=1", name="n", tags=("x",), gpus=2, timeout_s=5.0, env={"A": "1", "B": "2"},
            executable="/bin/train",
        )
    )  # fmt: skip
    changes = Changes(
        argv=("train", "--lr=2"), tags=("y", "z"), priority=4, retries=1, grace_s=0.0,
        env={"A": "3", "C": "4"}, without_env=("B",), reset=("name", "gpus", "timeout_s"),
    )  # fmt: skip
    made = hub.again(1, changes, "bob").spec
    assert (made.argv, made.executable) == (("train", "--lr=2"), "/bin/train")
    assert (made.name, made.gpus, made.timeout_s) == (None, None, None)
    assert (made.tags, made.priority, made.retries, made.grace_s) == (("y", "z"), 4, 1, 0.0)
    assert dict(made.env) == {"A": "3", "C": "4"}
    assert [job.id for job in hub.jobs(tag="z")] == [2]
    assert hub.again(1, Changes(argv=("other",)), "bob").spec.executable is None


def test_secrets_stay_when_a_job_is_submitted_again(hub: Hub) -> None:
    by = registered(hub)
    hub.submit(spec("run", "--api-key", "hush", "--lr=1", env={"API_TOKEN": "secret", "SEED": "1"}))
    seen = shown(hub.job(1).spec)
    assert (seen.argv[2], seen.env["API_TOKEN"]) == ("***", "***")
    hub.again(1, Changes(argv=(*seen.argv[:3], "--lr=2"), env={**seen.env, "SEED": "2"}), "bob")
    claimed(hub, by)
    made = claimed(hub, by).job.spec
    assert made.argv == ("run", "--api-key", "hush", "--lr=2")
    assert dict(made.env) == {"API_TOKEN": "secret", "SEED": "2"}


def test_changes_that_make_no_sense_are_refused(hub: Hub) -> None:
    hub.submit(spec("run"))
    for changes in (Changes(reset=("argv",)), Changes(without_env=("A",)), Changes(argv=("run", "--token", "***"))):
        with pytest.raises(UsageError):
            hub.again(1, changes, "bob")
    with pytest.raises(NotFound):
        hub.again(1, Changes(after=(77,)), "bob")
    assert [path.name for path in (hub.root / "runs").iterdir()] == ["job-1"]


def test_a_job_submitted_again_under_one_key_is_one_job(hub: Hub) -> None:
    hub.submit(spec("run"))
    first = hub.again(1, Changes(), "bob", key="this very wish")
    assert hub.again(1, Changes(), "bob", key="this very wish").id == first.id == 2


def test_ahead_counts_what_comes_first(hub: Hub) -> None:
    for priority in (0, 5, 0):
        hub.submit(spec("true", priority=priority))
    assert [hub.ahead(hub.job(number)) for number in (1, 2, 3)] == [1, 0, 2]


@pytest.mark.parametrize(
    ("verdict", "status", "exit_code"), [(COMPLETED, JobStatus.COMPLETED, 0), (FAILED, JobStatus.FAILED, 3)]
)
def test_a_finished_job_says_how_it_ended(hub: Hub, verdict: Verdict, status: JobStatus, exit_code: int) -> None:
    by = registered(hub)
    hub.submit(spec("true"))
    job = run_to(hub, by, verdict, exit_code=3)
    assert (job.status, job.exit_code, job.worker) == (status, exit_code, None)
    assert job.finished_at is not None
    meta = read_meta(hub.run_dir(1))
    assert meta["status"] == status
    assert meta["duration_seconds"] == 2.0
    assert (meta["cause"] or {}).get("exit_code") == (None if verdict is COMPLETED else 3)


def test_a_stale_token_is_refused_everywhere(hub: Hub, clock: Ticker) -> None:
    old, new = registered(hub, name="old", lease_s=10.0), registered(hub, name="new", lease_s=10.0)
    hub.submit(spec("true"))
    stale = claimed(hub, old).lease
    clock.seconds += 11
    fresh = claimed(hub, new).lease
    assert (stale.attempt, fresh.attempt) == (1, 2)
    assert hub.renew(old) == []
    with pytest.raises(LeaseLost):
        hub.finish(stale, outcome(COMPLETED))
    assert hub.job(1).status is JobStatus.RUNNING
    assert hub.finish(fresh, outcome(FAILED)).status is JobStatus.FAILED
    with pytest.raises(LeaseLost):
        hub.finish(stale, outcome(COMPLETED))


def test_a_report_whose_answer_was_lost_may_be_sent_again(hub: Hub) -> None:
    by = registered(hub)
    hub.submit(spec("true", retries=1))
    lease = claimed(hub, by).lease
    job = hub.finish(lease, outcome(FAILED))
    assert hub.finish(lease, outcome(FAILED)) == job
    assert (job.status, job.failures) == (JobStatus.QUEUED, 1)
    assert len(hub.attempts(1)) == 1


def test_a_submission_whose_answer_was_lost_may_be_sent_again(hub: Hub) -> None:
    first = hub.submit(spec("true"), key="this very job")
    staging = hub.staging_folder()
    assert hub.submit(spec("true"), staging, key="this very job") == first
    assert not staging.exists()
    assert hub.submit(spec("true"), key="another job").id == 2
    assert sorted(path.name for path in (hub.root / "runs").iterdir()) == ["job-1", "job-2"]


def test_a_worker_with_a_lease_gets_only_jobs_whose_folder_it_has(hub: Hub) -> None:
    by, other = registered(hub, lease_s=10.0), registered(hub, lease_s=10.0)
    for workdir in ("/there", "/missing", "/there"):
        hub.submit(spec("true", workdir=workdir))
    assert hub.claim(by) is None
    assert sorted(hub.unknown_folders(by.id)) == ["/missing", "/there"]
    hub.tell_folders(by.id, {"/there": True, "/missing": False})
    assert hub.unknown_folders(by.id) == []
    assert hub.lacked_folders(by.id) == ["/missing"]
    assert [claimed(hub, by).job.id for _ in range(2)] == [1, 3]
    assert hub.claim(by) is None
    assert hub.left_for(by) == 0
    assert hub.lacking("/missing") == [by.id]
    assert sorted(hub.unknown_folders(other.id)) == ["/missing"]
    hub.submit(spec("true", workdir="/missing", snapshot=True))
    assert claimed(hub, other).job.id == 4
    hub.tell_folders(by.id, {"/missing": True})
    assert hub.lacked_folders(by.id) == []
    assert claimed(hub, by).job.id == 2


def test_jobs_are_paged_by_their_ids(hub: Hub) -> None:
    for number in range(5):
        hub.submit(spec("true", tags=("odd",) if number % 2 else ("even",)))
    assert [job.id for job in hub.jobs(before=4, limit=2)] == [3, 2]
    assert [job.id for job in hub.jobs([JobStatus.QUEUED], before=3)] == [2, 1]
    assert [job.id for job in hub.jobs(tag="even", before=5, limit=1)] == [3]
    assert hub.jobs(before=1) == []


def test_who_was_seen_is_told_by_the_hubs_clock(hub: Hub) -> None:
    by = registered(hub)
    [seen] = hub.sightings()
    assert (seen.worker.id, seen.gone) == (by.id, hub.locks is not None)  # nobody holds the lock of this one
    assert 0 <= seen.silent_s < 3600
    assert abs(hub.now() - time.time()) < 3600


@pytest.mark.parametrize("wrong", [{"attempt": 2}, {"worker": "other-1234"}])
def test_a_finish_must_name_attempt_and_worker(hub: Hub, wrong: dict[str, object]) -> None:
    by = registered(hub)
    hub.submit(spec("true"))
    lease = claimed(hub, by).lease
    with pytest.raises(LeaseLost):
        hub.finish(lease._replace(**wrong), outcome(COMPLETED))
    assert hub.finish(lease, outcome(COMPLETED)).status is JobStatus.COMPLETED


def test_a_stale_result_is_kept_as_that_attempts_own(hub: Hub, clock: Ticker) -> None:
    old, new = registered(hub, name="old", lease_s=10.0), registered(hub, name="new", lease_s=10.0)
    hub.submit(spec("true"))
    stale = claimed(hub, old).lease
    clock.seconds += 11
    claimed(hub, new)
    (hub.run_dir(1) / "result.1.json").write_text('{"exit_code": 0}')
    with pytest.raises(LeaseLost):
        hub.finish(stale, outcome(COMPLETED))
    assert (hub.run_dir(1) / "attempts" / "1" / "result.json").read_text() == '{"exit_code": 0}'


def test_renewed_leases_last(hub: Hub, clock: Ticker) -> None:
    by, other = registered(hub, lease_s=10.0), registered(hub, lease_s=10.0)
    hub.submit(spec("true"))
    lease = claimed(hub, by).lease
    for _ in range(5):
        clock.seconds += 9
        assert hub.renew(by) == [lease]
        assert hub.claim(other) is None
    assert hub.finish(lease, outcome(COMPLETED)).status is JobStatus.COMPLETED


def test_a_lease_that_ran_out_cannot_be_renewed(hub: Hub, clock: Ticker) -> None:
    by, other = registered(hub, lease_s=10.0), registered(hub, lease_s=10.0)
    hub.submit(spec("true"))
    claimed(hub, by)
    clock.seconds += 11
    hub.renew(by)
    assert claimed(hub, other).job.attempt == 2


def test_a_lease_without_a_time_never_runs_out(hub: Hub, clock: Ticker) -> None:
    if hub.locks is None:
        with pytest.raises(UsageError, match="needs a lease"):  # a server could not see its lock
            hub.register(worker())
        return
    by, other = registered(hub), registered(hub)
    hub.submit(spec("true"))
    lease = claimed(hub, by).lease
    clock.seconds += 1e9
    assert hub.claim(other) is None
    assert hub.leases(by.id) == [lease]


def test_a_reboot_expires_every_timed_lease(hub: Hub, clock: Ticker) -> None:
    by, other = registered(hub, lease_s=1e6), registered(hub, lease_s=1e6)
    hub.submit(spec("true"))
    claimed(hub, by)
    clock.era, clock.seconds = "another boot", 5.0
    assert claimed(hub, other).job.attempt == 2


def test_a_job_that_loses_its_workers_is_set_aside(hub: Hub) -> None:
    by = registered(hub)
    hub.submit(spec("true", retries=10))
    for _ in range(CRASHES_ALLOWED - 1):
        assert run_to(hub, by, CRASHED).status is JobStatus.QUEUED
    job = run_to(hub, by, CRASHED)
    assert job.status is JobStatus.FAILED
    assert job.cause is not None
    assert job.cause.kind is CauseKind.WORKER_LOST
    assert "3 attempts" in job.cause.message
    assert [attempt.outcome for attempt in hub.attempts(1)] == ["lost"] * CRASHES_ALLOWED


def test_retries_wait_longer_each_time(hub: Hub, clock: Ticker) -> None:
    by = registered(hub)
    hub.submit(spec("false", retries=2))
    for wait in (5, 10):
        assert run_to(hub, by, FAILED).status is JobStatus.QUEUED
        clock.seconds += wait - 1
        assert hub.claim(by) is None
        clock.seconds += 1
    job = run_to(hub, by, FAILED)
    assert (job.status, job.failures, job.attempt) == (JobStatus.FAILED, 3, 3)


def test_a_wait_ends_with_a_reboot(hub: Hub, clock: Ticker) -> None:
    by = registered(hub)
    hub.submit(spec("false", retries=1))
    run_to(hub, by, FAILED)
    assert hub.claim(by) is None
    clock.era, clock.seconds = "another boot", 0.0
    assert claimed(hub, by).job.attempt == 2


def test_a_command_that_is_not_there_is_not_tried_again(hub: Hub) -> None:
    by = registered(hub)
    hub.submit(spec("nonsense", retries=5))
    assert run_to(hub, by, FAILED, kind=CauseKind.COMMAND_NOT_FOUND).status is JobStatus.FAILED


def test_to_be_queued_again_costs_no_retry(hub: Hub) -> None:
    by = registered(hub)
    hub.submit(spec("true"))
    for attempt in (1, 2, 3, 4):
        job = run_to(hub, by, REQUEUE, kind=CauseKind.WORKER_STOPPED)
        assert (job.status, job.attempt, job.failures, job.crashes) == (JobStatus.QUEUED, attempt, 0, 0)


def test_a_job_that_asks_again_at_once_has_to_wait(hub: Hub, clock: Ticker) -> None:
    by = registered(hub)
    hub.submit(spec("true"))
    run_to(hub, by, REQUEUE, kind=CauseKind.REQUEUED)
    assert hub.claim(by) is None
    clock.seconds += 5
    assert claimed(hub, by).job.attempt == 2


def test_a_new_attempt_sets_the_files_of_the_old_one_aside(hub: Hub) -> None:
    by = registered(hub)
    staging = hub.staging_folder()
    (staging / "requirements.txt").write_text("numpy==2\n")
    hub.submit(spec("true", config={"lr": 1}), staging)
    claim = claimed(hub, by)
    folder = hub.run_dir(1)
    for name in ("output.log", "metrics.jsonl", "result.1.json"):
        (folder / name).write_text(name)
    (folder / "artifacts").mkdir()
    (folder / "artifacts" / "model.pt").write_text("weights")
    kept_open = (folder / "output.log").open("a")
    hub.finish(claim.lease, outcome(REQUEUE))
    assert claimed(hub, by).job.attempt == 2
    with kept_open:
        kept_open.write(", late")
    first = folder / "attempts" / "1"
    assert (first / "output.log").read_text() == "output.log, late"
    assert sorted(path.name for path in first.iterdir()) == [
        "artifacts", "meta.json", "metrics.jsonl", "output.log", "result.json",
    ]  # fmt: skip
    assert sorted(path.name for path in folder.iterdir()) == [
        "attempts", "config.json", "meta.json", "requirements.txt",
    ]  # fmt: skip
    assert read_meta(folder)["config"] == {"lr": 1}
    assert read_meta(folder)["job"]["attempt"] == 2
    assert read_meta(first)["job"]["attempt"] == 1


def test_a_queued_job_is_cancelled_at_once(hub: Hub) -> None:
    hub.submit(spec("true"))
    job = hub.cancel(1, "ada@lab")
    assert (job.status, by_whom(job.cancelled_by)) == (JobStatus.CANCELLED, "ada@lab")
    assert by_whom(read_meta(hub.run_dir(1))["cause"]["message"]) == "cancelled by ada@lab"
    assert hub.claim(registered(hub)) is None
    assert hub.cancel(1, "bob@lab") == job


@pytest.mark.parametrize("verdict", list(Verdict))
def test_a_cancelled_job_is_cancelled_however_its_process_ended(hub: Hub, verdict: Verdict) -> None:
    by = registered(hub)
    hub.submit(spec("true", retries=3))
    lease = claimed(hub, by).lease
    assert hub.cancelling(by.id) == []
    assert hub.cancel(1, "ada@lab").status is JobStatus.CANCELLING
    assert hub.cancelling(by.id) == [lease]
    assert by_whom(hub.cancel(1, "bob@lab").cancelled_by) == "ada@lab"
    job = hub.finish(lease, outcome(verdict))
    assert job.status is JobStatus.CANCELLED
    assert read_meta(hub.run_dir(1))["status"] == "cancelled"


def test_a_job_being_cancelled_whose_worker_is_lost_is_cancelled(hub: Hub, clock: Ticker) -> None:
    by, other = registered(hub, lease_s=10.0), registered(hub, lease_s=10.0)
    hub.submit(spec("true"))
    claimed(hub, by)
    hub.cancel(1, "me")
    clock.seconds += 11
    assert hub.claim(other) is None
    if hub.locks is None:  # as in `claimed`: its server may be taking it back at this moment
        wait_until(lambda: hub.job(1).status is JobStatus.CANCELLED)
    assert hub.job(1).status is JobStatus.CANCELLED


def test_an_ended_job_cannot_be_cancelled(hub: Hub) -> None:
    by = registered(hub)
    hub.submit(spec("true"))
    run_to(hub, by, COMPLETED)
    with pytest.raises(IllegalTransition, match="completed"):
        hub.cancel(1, "me")


def test_a_failed_or_cancelled_job_is_queued_again_with_fresh_counters(hub: Hub) -> None:
    by = registered(hub)
    hub.submit(spec("true"))
    run_to(hub, by, FAILED)
    job = hub.retry(1)
    assert (job.status, job.failures, job.attempt, job.finished_at, job.cause) == (JobStatus.QUEUED, 0, 1, None, None)
    assert read_meta(hub.run_dir(1))["status"] == "queued"
    hub.cancel(1, "me")
    assert hub.retry(1).cancelled_by is None
    assert claimed(hub, by).job.attempt == 2


def test_only_a_failed_or_cancelled_job_is_queued_again(hub: Hub) -> None:
    by = registered(hub)
    hub.submit(spec("true"))
    with pytest.raises(IllegalTransition, match="queued"):
        hub.retry(1)
    lease = claimed(hub, by).lease
    with pytest.raises(IllegalTransition, match="running"):
        hub.retry(1)
    hub.finish(lease, outcome(COMPLETED))
    with pytest.raises(IllegalTransition, match="completed"):
        hub.retry(1)


def test_a_job_waits_for_what_it_needs(hub: Hub) -> None:
    by = registered(hub)
    for after in ((), (), (1, 2)):
        hub.submit(spec("true", after=after))
    assert hub.job(3).blocked == 2
    assert [need.id for need in hub.dependencies(3)] == [1, 2]
    first, second = claimed(hub, by), claimed(hub, by)
    assert hub.claim(by) is None
    hub.finish(first.lease, outcome(COMPLETED))
    assert hub.claim(by) is None
    hub.finish(second.lease, outcome(COMPLETED))
    assert claimed(hub, by).job.id == 3


@pytest.mark.parametrize("how", ["failed", "cancelled"])
def test_jobs_that_need_a_failed_one_fail_with_it(hub: Hub, how: str) -> None:
    by = registered(hub)
    hub.submit(spec("false"))
    hub.submit(spec("true", after=(1,)))
    hub.submit(spec("true", after=(2,)))
    hub.submit(spec("true", after_any=(1,)))
    if how == "failed":
        run_to(hub, by, FAILED)
    else:
        hub.cancel(1, "me")
    for number in (2, 3):
        job = hub.job(number)
        assert job.status is JobStatus.FAILED
        assert job.cause is not None
        assert job.cause.kind is CauseKind.DEPENDENCY_FAILED
        assert read_meta(hub.run_dir(number))["status"] == "failed"
    assert claimed(hub, by).job.id == 4


def test_a_need_that_will_be_tried_again_is_waited_for(hub: Hub) -> None:
    by = registered(hub)
    hub.submit(spec("true", retries=1))
    hub.submit(spec("true", after=(1,)))
    run_to(hub, by, FAILED)
    assert hub.job(2).status is JobStatus.QUEUED


def test_a_need_that_has_ended_already(hub: Hub) -> None:
    by = registered(hub)
    hub.submit(spec("true"))
    run_to(hub, by, COMPLETED)
    hub.submit(spec("false"))
    run_to(hub, by, FAILED)
    assert hub.submit(spec("true", after=(1,))).blocked == 0
    assert hub.submit(spec("true", after_any=(2,))).blocked == 0
    assert hub.submit(spec("true", after=(2,))).status is JobStatus.FAILED
    assert read_meta(hub.run_dir(5))["status"] == "failed"


def test_retried_in_order_a_chain_runs_after_all(hub: Hub) -> None:
    by = registered(hub)
    hub.submit(spec("true"))
    hub.submit(spec("true", after=(1,)))
    run_to(hub, by, FAILED)
    assert [hub.retry(number).status for number in (1, 2)] == [JobStatus.QUEUED] * 2
    run_to(hub, by, COMPLETED)
    assert run_to(hub, by, COMPLETED).id == 2


def test_each_job_gets_gpus_of_its_own(hub: Hub) -> None:
    by = registered(hub, slots=4, gpus=("A", "B", "C", "D"))
    for gpus in (2, None, 0, None):
        hub.submit(spec("true", gpus=gpus))
    claims = [claimed(hub, by) for _ in range(4)]
    assert [claim.gpus for claim in claims] == [("A", "B"), ("C",), (), ("D",)]
    hub.submit(spec("true"))
    assert hub.claim(by) is None
    hub.finish(claims[1].lease, outcome(COMPLETED))
    assert claimed(hub, by).gpus == ("C",)


def test_two_workers_of_a_machine_never_give_out_the_same_gpu(hub: Hub) -> None:
    one, two = registered(hub, gpus=("A", "B")), registered(hub, gpus=("B", "A"))
    for _ in range(3):
        hub.submit(spec("true", gpus=1))
    assert {claimed(hub, one).gpus, claimed(hub, two).gpus} == {("A",), ("B",)}
    assert hub.claim(one) is None


def test_gpus_of_another_machine_are_others(hub: Hub) -> None:
    here, there = registered(hub, gpus=("A",)), registered(hub, gpus=("A",), host="elsewhere")
    for _ in range(2):
        hub.submit(spec("true", gpus=1))
    assert claimed(hub, here).gpus == claimed(hub, there).gpus == ("A",)


def test_gpus_that_are_busy_are_left_out(hub: Hub) -> None:
    by = registered(hub, gpus=("A", "B"))
    hub.submit(spec("true", gpus=1))
    claim = hub.claim(by, usable_gpus=["B"])
    assert claim is not None
    assert claim.gpus == ("B",)


def test_a_wide_job_is_not_starved_by_narrow_ones(hub: Hub) -> None:
    by = registered(hub, slots=8, gpus=("A", "B", "C", "D"))
    hub.submit(spec("true", gpus=1))
    first = claimed(hub, by)
    hub.submit(spec("wide", gpus=4))
    for _ in range(5):
        hub.submit(spec("narrow", gpus=1))
    hub.submit(spec("none", gpus=0))
    assert claimed(hub, by).job.spec.argv == ("none",)  # it takes no GPU from the wide one
    assert hub.claim(by) is None
    hub.finish(first.lease, outcome(COMPLETED))
    assert claimed(hub, by).job.spec.argv == ("wide",)


def test_a_job_too_wide_for_a_worker_is_left_to_others(hub: Hub) -> None:
    small, none = registered(hub, gpus=("A",)), registered(hub)
    hub.submit(spec("true", gpus=4))
    hub.submit(spec("true", gpus=1))
    assert hub.claim(none) is None
    assert claimed(hub, small).job.id == 2
    assert (hub.left_for(small), hub.left_for(none)) == (0, 0)


def test_what_is_left_for_a_worker(hub: Hub) -> None:
    by = registered(hub)
    assert hub.left_for(by) == 0
    hub.submit(spec("true", retries=1))
    hub.submit(spec("true", after=(1,)))
    assert hub.left_for(by) == 2
    claim = claimed(hub, by)
    assert hub.left_for(by) == 1  # the running one may yet let it start
    hub.finish(claim.lease, outcome(FAILED))
    assert hub.left_for(by) == 2  # it waits to be tried again


def test_jobs_are_listed_newest_first(hub: Hub) -> None:
    by = registered(hub)
    for number in range(5):
        hub.submit(spec("true", tags=("odd",) if number % 2 else ("even", "even")))
    run_to(hub, by, COMPLETED)
    assert [job.id for job in hub.jobs()] == [5, 4, 3, 2, 1]
    assert [job.id for job in hub.jobs(limit=2)] == [5, 4]
    assert [job.id for job in hub.jobs([JobStatus.COMPLETED])] == [1]
    assert [job.id for job in hub.jobs(tag="odd")] == [4, 2]
    assert [job.id for job in hub.jobs([JobStatus.QUEUED], tag="even")] == [5, 3]
    assert hub.counts() == {JobStatus.COMPLETED: 1, JobStatus.QUEUED: 4}


def test_workers_come_and_go(hub: Hub) -> None:
    one, two = registered(hub, name="same"), registered(hub, name="same")
    assert {each.id for each in hub.workers()} == {one.id, two.id}
    hub.leave(one.id)
    assert [each.id for each in hub.workers()] == [two.id]
    assert hub.workers()[0].process == two.process
    hub.leave(one.id)


def test_a_program_that_called_its_run_a_failure_is_believed(hub: Hub) -> None:
    by = registered(hub)
    hub.submit(spec("true"))
    claim = claimed(hub, by)
    own = {"status": "failed", "finished_at": "2026-01-01T00:00:00Z", "cause": {"kind": "exception", "type": "E"}}
    write_own_word(hub.run_dir(1), own)
    assert hub.finish(claim.lease, outcome(COMPLETED)).status is JobStatus.COMPLETED
    meta = read_meta(hub.run_dir(1))
    assert (meta["status"], meta["cause"]["type"], meta["finished_at"]) == ("failed", "E", own["finished_at"])


def test_an_exception_says_more_than_the_exit_code_it_led_to(hub: Hub) -> None:
    by = registered(hub)
    hub.submit(spec("true"))
    claim = claimed(hub, by)
    cause = {"kind": "exception", "type": "ValueError", "message": "bad"}
    write_own_word(hub.run_dir(1), {"status": "failed", "finished_at": "2026-01-01T00:00:00Z", "cause": cause})
    job = hub.finish(claim.lease, outcome(FAILED, exit_code=1))
    assert job.exit_code == 1
    assert read_meta(hub.run_dir(1))["cause"] == cause


def write_own_word(folder: Path, own: dict[str, object]) -> None:
    from whirr.jsonio import dumps, read_document, write_atomic

    write_atomic(folder / "meta.json", dumps({**read_document(folder / "meta.json"), **own}))


def test_the_bell_rings(hub: Hub) -> None:
    by = registered(hub)
    bell = hub.listen(by.id)
    try:
        if hub.locks is None:  # it rings as soon as it is heard: something may have happened before
            rings(bell)
        hub.submit(spec("true"))
        rings(bell)
        hub.cancel(1, "me")
        hub.retry(1)
        rings(bell)
        claimed(hub, by)
        hub.cancel(1, "me")
        rings(bell)
    finally:
        bell.close()


def rings(bell: Bell) -> None:
    assert select.select([bell], [], [], 10)[0]
    bell.drain()


def test_arguments_and_paths_need_not_be_valid_text(hub: Hub) -> None:
    given = spec("cat", "caf\udce9", workdir="/tmp/\udcff", executable="/bin/\udcfe", env={"K": "\udcfd"})
    hub.submit(given)
    assert as_given(hub.job(1), given) == given
    assert read_meta(hub.run_dir(1))["status"] == "queued"
    assert hub.lacking("/tmp/\ud83d") == []
    by = registered(hub, lease_s=10.0)
    hub.tell_folders(by.id, dict.fromkeys(hub.unknown_folders(by.id), False))
    assert hub.lacking(given.workdir) == [by.id]


def test_a_cause_need_not_be_valid_text(hub: Hub) -> None:
    hub.submit(spec("true"))
    cause = Cause(CauseKind.COMMAND_NOT_FOUND, "there is no command no\udcff")
    ended = hub.finish(claimed(hub, registered(hub)).lease, outcome(FAILED)._replace(cause=cause))
    assert hub.job(1).cause == ended.cause == cause
