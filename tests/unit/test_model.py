"""The rules of a job's states: what becomes of it when an attempt has ended."""

from __future__ import annotations

import pytest
from hubs import outcome, spec, worker

from whirr.model import (
    BACKOFF_FIRST_S,
    BACKOFF_MOST_S,
    CRASHES_ALLOWED,
    SHORT_ATTEMPT_S,
    TRANSITIONS,
    Cause,
    CauseKind,
    Decision,
    Job,
    JobStatus,
    Outcome,
    Verdict,
    backoff_s,
    cancelled_cause,
    decide,
)

COMPLETED, FAILED, REQUEUE, CRASHED = Verdict


def running(retries: int = 0, **about: object) -> Job:
    job = Job(
        id=1, spec=spec("run", retries=retries), status=JobStatus.RUNNING, attempt=1, failures=0, crashes=0, blocked=0,
        worker="w", not_before=None, submitted_at="then", started_at="then", finished_at=None, cause=None,
        exit_code=None, cancelled_by=None,
    )  # fmt: skip
    return job._replace(**about)


def what_becomes(job: Job, ended: Outcome) -> tuple[JobStatus, str, int, int, float]:
    """Without the cause."""
    found = decide(job, ended)
    assert found.status in TRANSITIONS[job.status]
    return found.status, found.outcome, found.failures, found.crashes, found.wait_s


def test_every_state_is_active_or_terminal_or_queued() -> None:
    for status in JobStatus:
        assert status.active + status.terminal + (status is JobStatus.QUEUED) == 1
        assert status in TRANSITIONS
    assert {status for status in JobStatus if status.active} == {JobStatus.RUNNING, JobStatus.CANCELLING}


def test_a_success() -> None:
    assert what_becomes(running(failures=1), outcome(COMPLETED)) == (JobStatus.COMPLETED, "completed", 1, 0, 0)
    assert decide(running(), outcome(COMPLETED)).cause is None


@pytest.mark.parametrize(("failures", "wait"), [(0, 5), (1, 10), (2, 20)])
def test_a_failure_with_retries_left_is_tried_again_later(failures: int, wait: float) -> None:
    job = running(retries=3, failures=failures)
    assert what_becomes(job, outcome(FAILED)) == (JobStatus.QUEUED, "failed", failures + 1, 0, wait)


@pytest.mark.parametrize(("retries", "failures"), [(0, 0), (3, 3)])
def test_the_last_failure_is_the_end(retries: int, failures: int) -> None:
    ended = outcome(FAILED, exit_code=3)
    job = running(retries=retries, failures=failures)
    assert what_becomes(job, ended) == (JobStatus.FAILED, "failed", failures + 1, 0, 0)
    assert decide(job, ended).cause == ended.cause


@pytest.mark.parametrize("kind", [CauseKind.COMMAND_NOT_FOUND, CauseKind.WORKDIR_MISSING])
def test_what_trying_again_does_not_mend_is_not_tried_again(kind: CauseKind) -> None:
    assert decide(running(retries=9), outcome(FAILED, kind=kind)).status is JobStatus.FAILED


@pytest.mark.parametrize("kind", [each for each in CauseKind if each not in ("command-not-found", "workdir-missing")])
def test_any_other_failure_is_tried_again(kind: CauseKind) -> None:
    assert decide(running(retries=9), outcome(FAILED, kind=kind)).status is JobStatus.QUEUED


def test_a_failure_without_a_known_cause_is_a_failure() -> None:
    assert decide(running(retries=1), outcome(FAILED)._replace(cause=None)).status is JobStatus.QUEUED
    assert decide(running(), outcome(FAILED)._replace(cause=None)).status is JobStatus.FAILED


@pytest.mark.parametrize(
    ("kind", "seconds", "wait"),
    [
        (CauseKind.REQUEUED, 0.0, BACKOFF_FIRST_S),
        (CauseKind.REQUEUED, SHORT_ATTEMPT_S - 0.1, BACKOFF_FIRST_S),
        (CauseKind.REQUEUED, SHORT_ATTEMPT_S, 0),
        (CauseKind.WORKER_STOPPED, 0.0, 0),
        (CauseKind.START_FAILED, 0.0, BACKOFF_FIRST_S),
    ],
)
def test_only_a_job_that_would_spin_has_to_wait(kind: CauseKind, seconds: float, wait: float) -> None:
    ended = outcome(REQUEUE, kind=kind, seconds=seconds)
    assert what_becomes(running(failures=1, crashes=1), ended) == (JobStatus.QUEUED, "requeued", 1, 1, wait)


def test_to_be_queued_again_needs_no_cause() -> None:
    assert decide(running(), outcome(REQUEUE)._replace(cause=None)).status is JobStatus.QUEUED


def test_lost_workers_are_counted_apart_from_failures() -> None:
    ended = outcome(CRASHED, kind=CauseKind.WORKER_LOST)
    for crashes in range(CRASHES_ALLOWED - 1):
        job = running(failures=2, crashes=crashes)
        assert what_becomes(job, ended) == (JobStatus.QUEUED, "lost", 2, crashes + 1, 0)
        assert decide(job, ended).cause == ended.cause
    last = running(failures=2, retries=9, crashes=CRASHES_ALLOWED - 1)
    assert what_becomes(last, ended) == (JobStatus.FAILED, "lost", 2, CRASHES_ALLOWED, 0)
    assert decide(last, ended).cause == Cause(
        CauseKind.WORKER_LOST, f"set aside: {CRASHES_ALLOWED} attempts were lost with their worker or supervisor"
    )


@pytest.mark.parametrize("verdict", Verdict)
def test_a_cancelled_job_is_cancelled_whatever_came_of_it(verdict: Verdict) -> None:
    job = running(retries=9, failures=1, crashes=1, status=JobStatus.CANCELLING, cancelled_by="ada@lab")
    assert decide(job, outcome(verdict)) == Decision(
        JobStatus.CANCELLED, "cancelled", Cause(CauseKind.CANCELLED, "cancelled by ada@lab"), 1, 1
    )


def test_the_wait_doubles_up_to_a_bound() -> None:
    waits = [backoff_s(failures) for failures in range(1, 2000)]
    assert waits[:4] == [5, 10, 20, 40]
    assert waits == sorted(waits)
    assert set(waits[6:]) == {BACKOFF_MOST_S}


def test_nobody_is_named_where_nobody_is_known() -> None:
    assert cancelled_cause(None).message == cancelled_cause("").message == "cancelled"


@pytest.mark.parametrize(
    "cause",
    [
        Cause(CauseKind.SIGNAL, "killed", signal="SIGKILL"),
        Cause(CauseKind.EXIT, "it failed", exit_code=3),
        Cause(CauseKind.EXIT, "it exited with 0", exit_code=0),
    ],
)
def test_a_cause_comes_back_from_its_plain_form(cause: Cause) -> None:
    assert Cause.from_dict(cause.as_dict()) == cause
    assert None not in cause.as_dict().values()


def test_machines_are_told_apart_by_more_than_their_names() -> None:
    here = worker(host="node")
    other = here._replace(process={**here.process, "machine_id": "another"})
    assert here.host == other.host == "node"
    assert here.machine != other.machine
    assert here._replace(process={}).host == ""
