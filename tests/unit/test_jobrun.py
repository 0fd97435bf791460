"""The run folder of a job, as the queue writes it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers import stored_meta
from hubs import STAMP, outcome, spec, worker

from whirr import jobrun
from whirr.errors import FolderError
from whirr.folder import PATCH, REQUIREMENTS
from whirr.jsonio import dumps, write_atomic
from whirr.model import Cause, CauseKind, Decision, Job, JobStatus, Outcome, Verdict, decide

COMPLETED, FAILED, REQUEUE, CRASHED = Verdict
OWN_END = "2026-01-01T00:00:00.000000Z"
EXCEPTION = {"kind": "exception", "type": "ValueError", "message": "bad"}


def job_at(attempt: int = 1, status: JobStatus = JobStatus.RUNNING, **about: Any) -> Job:
    job = Job(
        id=7, spec=spec("python", "train.py", name="first", config={"lr": 0.1}, tags=("a",), submitted_by="ada@lab"),
        status=status, attempt=attempt, failures=0, crashes=0, blocked=0, worker="w", not_before=None,
        submitted_at=STAMP, started_at=STAMP, finished_at=None, cause=None, exit_code=None, cancelled_by=None,
    )  # fmt: skip
    return job._replace(**about)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "job-7"


def begun(folder: Path, attempt: int = 1) -> Job:
    job = job_at(attempt)
    jobrun.begin(folder, job, worker("w", gpus=("A",)), ("A",))
    return job


def end(folder: Path, job: Job, ended: Outcome) -> dict[str, Any]:
    jobrun.end(folder, job, decide(job, ended), ended)
    return stored_meta(folder)


def say(folder: Path, **own: Any) -> None:
    """The program itself writes into its ``meta.json``."""
    write_atomic(folder / "meta.json", dumps(stored_meta(folder) | own))


def tree(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_a_queued_job(folder: Path) -> None:
    folder.mkdir()
    job = job_at(0, JobStatus.QUEUED)
    submitted = {"git_info": {"commit": "abc"}, "packages": 3}
    jobrun.write_queued(folder, job._replace(spec=job.spec._replace(submitted=submitted)))
    meta = stored_meta(folder)
    assert (meta["run_id"], meta["job_id"], meta["status"], meta["name"]) == ("job-7", 7, "queued", "first")
    assert meta["git_info"] == {"commit": "abc"}
    assert meta["job"] == {
        "command": ["python", "train.py"], "workdir": "/", "submitted_at": STAMP, "submitted_by": "ada@lab",
        "attempt": 0, "packages": 3,
    }  # fmt: skip
    assert (folder / "config.json").read_text().strip().replace(" ", "").replace("\n", "") == '{"lr":0.1}'


def test_without_git_nothing_is_said_of_it(folder: Path) -> None:
    folder.mkdir()
    jobrun.write_queued(folder, job_at(0, JobStatus.QUEUED))
    assert "git_info" not in stored_meta(folder)


def test_an_attempt_begins_with_worker_and_gpus(folder: Path) -> None:
    begun(folder)
    meta = stored_meta(folder)
    assert (meta["status"], meta["started_at"], meta["process"]["pid"]) == ("running", STAMP, os.getpid())
    assert (meta["job"]["worker"], meta["job"]["gpus"], meta["job"]["attempt"]) == ("w", ["A"], 1)
    assert tree(folder) == ["config.json", "meta.json"]


def test_the_first_attempt_keeps_what_the_submission_left(folder: Path) -> None:
    folder.mkdir()
    (folder / "config.json").write_text('{"lr": 5}')
    (folder / "requirements.txt").write_text("numpy")
    begun(folder)
    assert tree(folder) == ["config.json", "meta.json", "requirements.txt"]
    assert (folder / "config.json").read_text() == '{"lr": 5}'


def test_a_later_attempt_sets_the_files_of_the_last_aside(folder: Path) -> None:
    begun(folder)
    for name in ("output.log", "result.1.json", PATCH, REQUIREMENTS, "notes", "annotations.json"):
        (folder / name).write_text(name)
    begun(folder, 2)
    assert (folder / "annotations.json").read_text() == "annotations.json"  # they are on the run, not on an attempt
    assert tree(folder / "attempts") == [
        "1", "1/meta.json", "1/notes", "1/output.log", "1/result.json",
    ]  # fmt: skip
    assert stored_meta(folder / "attempts" / "1")["job"]["attempt"] == 1
    assert stored_meta(folder)["job"]["attempt"] == 2
    begun(folder, 3)
    assert stored_meta(folder / "attempts" / "2")["job"]["attempt"] == 2


def test_a_result_goes_to_the_attempt_that_it_names(folder: Path) -> None:
    """A supervisor that comes back late leaves its result while another attempt runs."""
    begun(folder)
    begun(folder, 2)
    (folder / "result.1.json").write_text("1")
    (folder / "result.2.json").write_text("2")
    begun(folder, 3)
    for number in ("1", "2"):
        kept = folder / "attempts" / number
        assert (kept / "result.json").read_text() == number
        assert not list(kept.glob("result.*.json"))


def test_a_claim_that_was_undone_leaves_the_last_attempts_record_alone(folder: Path) -> None:
    """The worker died after the folder was made ready and before the claim was committed: it is made ready again."""
    begun(folder)
    say(folder, summary={"best": 1})
    begun(folder, 2)
    begun(folder, 2)
    assert stored_meta(folder / "attempts" / "1")["summary"] == {"best": 1}
    assert stored_meta(folder / "attempts" / "1")["job"]["attempt"] == 1
    assert stored_meta(folder)["job"]["attempt"] == 2


def test_a_folder_that_was_deleted_is_made_again(folder: Path) -> None:
    job = begun(folder, 2)
    assert tree(folder) == ["attempts", "attempts/1", "config.json", "meta.json"]
    for path in folder.rglob("*.json"):
        path.unlink()
    assert end(folder, job, outcome(COMPLETED))["status"] == "completed"


def test_a_stale_result_is_kept_with_its_attempt(folder: Path) -> None:
    begun(folder, 2)
    jobrun.keep_stale(folder, 1)
    assert not (folder / "attempts" / "1" / "result.json").exists()
    (folder / "result.1.json").write_text("one")
    jobrun.keep_stale(folder, 1)
    assert (folder / "attempts" / "1" / "result.json").read_text() == "one"
    assert not (folder / "result.1.json").exists()


@pytest.mark.parametrize(
    ("verdict", "status", "cause"),
    [(COMPLETED, "completed", None), (FAILED, "failed", {"kind": "exit", "message": "exit", "exit_code": 3})],
)
def test_what_a_program_that_knows_no_whirr_came_to(folder: Path, verdict: Verdict, status: str, cause: object) -> None:
    meta = end(folder, begun(folder), outcome(verdict, exit_code=3))
    assert (meta["status"], meta["cause"], meta["finished_at"], meta["duration_seconds"]) == (status, cause, STAMP, 2.0)


def test_the_programs_own_times_are_kept(folder: Path) -> None:
    job = begun(folder)
    say(folder, status="completed", finished_at=OWN_END, duration_seconds=1.5, summary={"best": 1})
    meta = end(folder, job, outcome(COMPLETED))
    assert (meta["status"], meta["finished_at"], meta["duration_seconds"]) == ("completed", OWN_END, 1.5)
    assert meta["summary"] == {"best": 1}


def test_a_program_that_failed_after_it_called_its_run_complete(folder: Path) -> None:
    job = begun(folder)
    say(folder, status="completed", finished_at=OWN_END, duration_seconds=1.5)
    meta = end(folder, job, outcome(FAILED, exit_code=1))
    assert (meta["status"], meta["cause"]["kind"], meta["finished_at"]) == ("failed", "exit", OWN_END)


def test_a_program_that_called_its_run_a_failure_is_believed(folder: Path) -> None:
    job = begun(folder)
    say(folder, status="failed", finished_at=OWN_END, cause=EXCEPTION)
    meta = end(folder, job, outcome(COMPLETED))
    assert (meta["status"], meta["cause"]) == ("failed", EXCEPTION)


def test_a_status_without_an_end_is_not_the_programs_word(folder: Path) -> None:
    job = begun(folder)
    say(folder, status="failed", cause=EXCEPTION)
    meta = end(folder, job, outcome(COMPLETED))
    assert (meta["status"], meta["cause"], meta["finished_at"]) == ("completed", None, STAMP)


@pytest.mark.parametrize(
    ("kind", "cause"),
    [
        (CauseKind.EXIT, EXCEPTION),
        (CauseKind.GPU_OUT_OF_MEMORY, EXCEPTION | {"queue": "gpu-out-of-memory"}),
        (CauseKind.SIGNAL, {"kind": "signal", "message": "signal", "exit_code": 1}),
    ],
)
def test_an_exception_says_more_than_an_exit_code(folder: Path, kind: CauseKind, cause: object) -> None:
    job = begun(folder)
    say(folder, status="failed", finished_at=OWN_END, cause=EXCEPTION)
    assert end(folder, job, outcome(FAILED, kind=kind, exit_code=1))["cause"] == cause


@pytest.mark.parametrize("own", [None, "text", {"kind": "interrupted"}])
def test_any_other_cause_gives_way_to_the_queues(folder: Path, own: object) -> None:
    job = begun(folder)
    say(folder, status="failed", finished_at=OWN_END, cause=own)
    assert end(folder, job, outcome(FAILED, exit_code=1))["cause"]["kind"] == "exit"


def test_a_cancelled_job_says_who_did_it(folder: Path) -> None:
    begun(folder)
    job = job_at(status=JobStatus.CANCELLING, cancelled_by="ada@lab")
    say(folder, status="failed", finished_at=OWN_END, cause=EXCEPTION)
    meta = end(folder, job, outcome(FAILED, exit_code=1))
    assert (meta["status"], meta["cause"]) == ("cancelled", {"kind": "cancelled", "message": "cancelled by ada@lab"})


@pytest.mark.parametrize("cause", [Cause(CauseKind.WORKER_STOPPED, "stopped"), None])
def test_a_job_that_is_queued_again_is_not_over(folder: Path, cause: Cause | None) -> None:
    job = begun(folder)
    say(folder, status="failed", finished_at=OWN_END, duration_seconds=1.0)
    jobrun.end(folder, job, Decision(JobStatus.QUEUED, "requeued", cause, 0, 0), outcome(REQUEUE))
    meta = stored_meta(folder)
    assert (meta["status"], meta["finished_at"], meta["duration_seconds"]) == ("queued", None, None)
    assert meta["cause"] == (cause.as_dict() if cause else None)


def test_a_mark_changes_the_state_only(folder: Path) -> None:
    job = begun(folder)
    end(folder, job, outcome(FAILED))
    say(folder, summary={"best": 1})
    jobrun.mark(folder, job_at(status=JobStatus.QUEUED))
    meta = stored_meta(folder)
    assert (meta["status"], meta["cause"], meta["finished_at"], meta["duration_seconds"]) == (
        "queued",
        None,
        None,
        None,
    )
    assert meta["summary"] == {"best": 1}
    cause = Cause(CauseKind.CANCELLED, "cancelled")
    jobrun.mark(folder, job_at(status=JobStatus.CANCELLED, cause=cause, finished_at=STAMP))
    meta = stored_meta(folder)
    assert (meta["status"], meta["cause"], meta["finished_at"]) == ("cancelled", cause.as_dict(), STAMP)


@pytest.mark.parametrize("damage", ["", "{", "[]", None])
def test_a_damaged_record_is_written_anew(folder: Path, damage: str | None) -> None:
    job = begun(folder)
    (folder / "meta.json").unlink()
    if damage is not None:
        (folder / "meta.json").write_text(damage)
    meta = end(folder, job, outcome(COMPLETED))
    assert (meta["run_id"], meta["status"], meta["job"]["attempt"]) == ("job-7", "completed", 1)


def test_a_note_adds_to_what_is_said_of_the_job(folder: Path) -> None:
    begun(folder)
    jobrun.note(folder, {"code_changed": ["a.py"]})
    jobrun.note(folder, {"attempt": 1})
    assert stored_meta(folder)["job"]["code_changed"] == ["a.py"]
    assert stored_meta(folder)["job"]["worker"] == "w"
    (folder / "meta.json").unlink()
    jobrun.note(folder, {"x": 1})
    assert stored_meta(folder) == {"job": {"x": 1}}


def test_the_highest_number_of_a_folder(tmp_path: Path) -> None:
    assert jobrun.highest(tmp_path / "nowhere") == 0
    assert jobrun.highest(tmp_path) == 0
    for name in ("job-9", "job-10", "job-11x", "xjob-12", "job--13", "job-", "run-99"):
        (tmp_path / name).mkdir()
    assert jobrun.highest(tmp_path) == 10


def test_a_folder_that_never_was_can_be_removed(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    jobrun.remove(tmp_path / "a")
    jobrun.remove(tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def in_the_way(tmp_path: Path) -> Iterator[Path]:
    """A file where the folder should be: nobody can write below it, not even root."""
    path = tmp_path / "job-7"
    path.write_text("a file")
    yield path
    assert path.read_text() == "a file"


def test_what_cannot_be_written_is_told(in_the_way: Path) -> None:
    job, ended = job_at(), outcome(FAILED)
    for write in (
        lambda: jobrun.write_queued(in_the_way, job),
        lambda: jobrun.begin(in_the_way, job, worker(), ()),
        lambda: jobrun.end(in_the_way, job, decide(job, ended), ended),
        lambda: jobrun.mark(in_the_way, job),
        lambda: jobrun.note(in_the_way, {}),
    ):
        with pytest.raises(FolderError, match=f"cannot write into {in_the_way}") as caught:
            write()
        assert caught.value.hint


def test_a_stale_result_that_cannot_be_moved_is_told(folder: Path) -> None:
    folder.mkdir()
    (folder / "result.1.json").write_text("one")
    (folder / "attempts").write_text("a file")
    with pytest.raises(FolderError):
        jobrun.keep_stale(folder, 1)


def test_secrets_of_the_command_stay_out_of_the_run(folder: Path) -> None:
    folder.mkdir()
    jobrun.write_queued(folder, job_at(spec=spec("train", "--api-key", "hunter2", "--lr", "1")))
    assert stored_meta(folder)["job"]["command"] == ["train", "--api-key", "***", "--lr", "1"]
