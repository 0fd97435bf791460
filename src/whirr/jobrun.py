"""The run folder of a job as the hub writes it: queued, begun, set aside, ended.

A folder changes only inside the transaction that changes the job, so the lease that guards the one guards the other.
The files of an ended attempt are *renamed* into ``attempts/<n>/``: what still writes to them through an open
descriptor follows them there, and the records of two attempts never mix.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from whirr import clock
from whirr.annotations import ANNOTATIONS
from whirr.capture.redact import hide_arguments
from whirr.errors import FolderError, not_written
from whirr.folder import ATTEMPTS, CONFIG, META, PATCH, REQUIREMENTS, attempt_folder, result_name
from whirr.jsonio import dumps, read_document, write_atomic, write_plain
from whirr.model import Attempt, Cause, CauseKind, Decision, Job, JobStatus, Outcome, WorkerInfo

ABOUT_SUBMISSION = (CONFIG, REQUIREMENTS, PATCH, ATTEMPTS, ANNOTATIONS)
"""What belongs to the job, not to one attempt: it stays where it is."""

RESULT = re.compile(r"result\.(\d+)\.json")
OWN_WORD = ("failed", "completed")
JOB_FOLDER = re.compile(r"job-(\d+)")


def write_queued(folder: Path, job: Job) -> None:
    """Write ``meta.json`` and ``config.json`` of a job that was submitted, into a folder that nobody looks into yet.

    Raises:
        FolderError: they cannot be written.
    """
    with _told(folder):
        write_plain(folder / CONFIG, dumps(dict(job.spec.config)))
        write_plain(folder / META, dumps(_queued(job)))


def _queued(job: Job) -> dict[str, Any]:
    spec = job.spec
    submitted = dict(spec.submitted)
    git_info = submitted.pop("git_info", None)
    return {
        "run_id": job.run_id,
        "name": spec.name,
        "status": str(JobStatus.QUEUED),
        "started_at": None,
        "finished_at": None,
        "duration_seconds": None,
        "tags": list(spec.tags),
        "config_file": CONFIG,
        "summary": {},
        "cause": None,
        "job_id": job.id,
        **({"git_info": git_info} if git_info else {}),
        "job": {
            "command": hide_arguments(spec.argv),
            "workdir": spec.workdir,
            "submitted_at": job.submitted_at,
            "submitted_by": spec.submitted_by,
            "attempt": job.attempt,
            **submitted,
        },
    }


def copy_recorded(folder: Path, staging: Path) -> None:
    """Copy what was recorded at a submission from the folder of its job into that of another submission.

    Raises:
        FolderError: it cannot be read or written.
    """
    with _told(staging):
        for name in (REQUIREMENTS, PATCH):
            with suppress(FileNotFoundError):
                shutil.copyfile(folder / name, staging / name, follow_symlinks=False)


def begin(folder: Path, job: Job, worker: WorkerInfo, gpus: tuple[str, ...]) -> None:
    """Make the folder ready for an attempt that a worker has just claimed.

    Raises:
        FolderError: it cannot be written.
    """
    with _told(folder):
        folder.mkdir(parents=True, exist_ok=True)
        if job.attempt > 1:
            set_aside(folder, job.attempt - 1)
        if not (folder / CONFIG).exists():
            write_atomic(folder / CONFIG, dumps(dict(job.spec.config)))
        meta = _queued(job)
        meta["job"] |= {"worker": worker.name, "host": worker.host, "gpus": list(gpus)}
        meta |= {"status": "running", "started_at": job.started_at, "process": dict(worker.process)}
        write_atomic(folder / META, dumps(meta))


def set_aside(folder: Path, number: int) -> None:
    """Rename the files of attempt ``number`` into a folder of their own.

    Where its ``meta.json`` lies there already, the one here is of a claim that was undone: it is left to be replaced.
    """
    target = attempt_folder(folder, number)
    target.mkdir(parents=True, exist_ok=True)
    for name in os.listdir(folder):
        if match := RESULT.fullmatch(name):
            _keep_result(folder, int(match[1]))
        elif name not in ABOUT_SUBMISSION and not (name == META and (target / META).exists()):
            os.replace(folder / name, target / name)


def _keep_result(folder: Path, number: int) -> None:
    target = attempt_folder(folder, number)
    target.mkdir(parents=True, exist_ok=True)
    os.replace(folder / result_name(number), target / "result.json")


def keep_stale(folder: Path, number: int) -> None:
    """Put the result of an attempt that lost its lease beside its other files.

    Raises:
        FolderError: the folder cannot be written.
    """
    with _told(folder):
        if (folder / result_name(number)).exists():
            _keep_result(folder, number)


def end(folder: Path, job: Job, decision: Decision, outcome: Outcome) -> None:
    """Write how an attempt ended; what the program itself recorded of its ending is kept where it says more.

    Args:
        job: as it was while the attempt ran.

    Raises:
        FolderError: the folder cannot be written.
    """
    with _told(folder):
        folder.mkdir(parents=True, exist_ok=True)
        meta = {**_queued(job), **_read(folder / META)}
        if decision.status.terminal:
            meta |= _ended(meta, decision.status, decision.cause, outcome.finished_at, outcome.duration_s)
        else:
            meta |= _waiting(decision)
        write_atomic(folder / META, dumps(meta), durable=True)


def _ended(
    meta: Mapping[str, Any], status: JobStatus, cause: Cause | None, finished_at: str, duration_s: float
) -> dict[str, Any]:
    own = meta["status"] if meta["status"] in OWN_WORD and meta.get("finished_at") else None
    ending: dict[str, Any] = {"status": str(status), "cause": _cause(meta, cause)}
    if own == "failed" and status is JobStatus.COMPLETED:  # the program called its run a failure
        ending = {"status": "failed", "cause": meta.get("cause")}
    if own is None:
        ending |= {"finished_at": finished_at, "duration_seconds": round(duration_s, 6)}
    return ending


def _cause(meta: Mapping[str, Any], cause: Cause | None) -> dict[str, Any] | None:
    """The queue's cause; an exception that the program recorded says more than the exit code it led to."""
    if cause is None:
        return None
    own = meta.get("cause")
    plain = cause.kind in (CauseKind.EXIT, CauseKind.GPU_OUT_OF_MEMORY)
    if plain and isinstance(own, dict) and own.get("kind") == "exception":
        return {**own, **({"queue": str(cause.kind)} if cause.kind is not CauseKind.EXIT else {})}
    return cause.as_dict()


def _waiting(decision: Decision) -> dict[str, Any]:
    cause = decision.cause.as_dict() if decision.cause else None
    return {"status": str(JobStatus.QUEUED), "finished_at": None, "duration_seconds": None, "cause": cause}


def mark(folder: Path, job: Job) -> None:
    """Write the state of a job that no worker holds: cancelled, failed by a dependency, or queued again.

    Raises:
        FolderError: the folder cannot be written.
    """
    with _told(folder):
        folder.mkdir(parents=True, exist_ok=True)
        meta = {**_queued(job), **_read(folder / META)}
        meta |= _unheld(job)
        write_atomic(folder / META, dumps(meta))


def _unheld(job: Job) -> dict[str, Any]:
    cause = job.cause.as_dict() if job.cause else None
    return {"status": str(job.status), "cause": cause, "finished_at": job.finished_at, "duration_seconds": None}


def is_behind(folder: Path, job: Job) -> bool:
    """Whether ``meta.json`` says something else of a job that no worker holds than the queue.

    One that is deleted or damaged says nothing; a file in place of the folder counts as something else.

    Raises:
        FolderError: the folder cannot be read.
    """
    if job.status.active:
        return False
    with _told(folder):
        try:
            if not stat.S_ISDIR(os.stat(folder).st_mode):
                return True
        except FileNotFoundError:
            return False
        stated = _read(folder / META).get("status")
    own_word = job.status is JobStatus.COMPLETED and stated == "failed"
    return stated not in (None, job.status) and not own_word


def catch_up(folder: Path, job: Job, last: Attempt | None, said: Mapping[str, Any] | None = None) -> None:
    """Write the state of a job into a folder that could not be written when the job got into it.

    Args:
        last: its last attempt.
        said: the ``meta.json`` of its program, which could not be put there either (default: that which is there).

    Raises:
        FolderError: the folder still cannot be written.
    """
    with _told(folder):
        folder.mkdir(parents=True, exist_ok=True)
        meta = {**_queued(job), **(_read(folder / META) if said is None else said)}
        if last is not None and job.finished_at is not None and last.finished_at == job.finished_at:  # it ended so
            ran = clock.epoch(last.finished_at) - clock.epoch(last.started_at)
            meta |= _ended(meta, job.status, job.cause, last.finished_at, max(ran, 0.0))
        else:
            meta |= _unheld(job)
        write_atomic(folder / META, dumps(meta), durable=True)


def note(folder: Path, about: Mapping[str, Any]) -> None:
    """Add to what ``meta.json`` says of the job.

    Raises:
        FolderError: the folder cannot be written.
    """
    with _told(folder):
        meta = _read(folder / META)
        meta["job"] = {**(meta.get("job") or {}), **about}
        write_atomic(folder / META, dumps(meta))


def _read(path: Path) -> dict[str, Any]:
    """What stands in a document; a missing or damaged one is written anew, not one that may not be read."""
    try:
        found = read_document(path)
    except PermissionError:
        raise
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def highest(runs: Path) -> int:
    """The highest number of a job's folder below ``runs``; 0 where there is none."""
    try:
        names = os.listdir(runs)
    except FileNotFoundError:
        return 0
    return max((int(match[1]) for name in names if (match := JOB_FOLDER.fullmatch(name))), default=0)


def remove(folder: Path) -> None:
    """Delete a folder that never became a job's."""
    shutil.rmtree(folder, ignore_errors=True)


class _told:
    """Turns an OSError into the one clear error about a job's folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, OSError) and not isinstance(error, FolderError):
            raise not_written(self._folder, error) from error
