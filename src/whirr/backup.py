"""A copy of a whole ``.whirr`` folder with its queue, made while jobs run, and a folder made from such a copy.

The database is copied first, as it is at one moment. Run folders only grow, so what is copied of them later holds all
that the database knows of; where it holds more, the folder made from it counts on from there.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import whirr
from whirr import clock
from whirr.codestore import FOLDERS as CODE_STORES
from whirr.connect import DATABASE, open_hub
from whirr.copying import Copying, names_below
from whirr.errors import FolderError, UsageError
from whirr.folder import ATTEMPTS, META, QUEUE, RUNS, attempt_folder, make_root
from whirr.intake import BLOBS, PARTIAL
from whirr.jobrun import JOB_FOLDER, mark
from whirr.jsonio import dumps, read_document, write_atomic
from whirr.local import LocalHub
from whirr.model import Cause, CauseKind, Job, JobStatus, Lease, Outcome, Verdict
from whirr.store import open_database
from whirr.store.rows import cause_text, list_text, usage_text
from whirr.store.transfer import copy_file, copy_rows

MANIFEST = "backup.json"
AUDIT = "audit.jsonl"
SAY_EVERY_S = 5.0
TRIES = 5
WHY = "it ran when the backup was made from which the queue was restored"
LATER = "it was begun after the queue had been copied into the backup, which does not know how it ended"
UNDER_WAY = ("queued", "running", "cancelling")
NUMBER = re.compile(r"[1-9][0-9]{0,8}")


class Done(NamedTuple):
    """What a backup or a restored folder holds.

    Attributes:
        begun_at: the UTC stamp from before which everything is in it.
        requeued: of a restored folder: jobs that ran when the backup was made.
    """

    folder: str
    begun_at: str
    jobs: int
    runs: int
    files: int
    copied_bytes: int
    requeued: tuple[int, ...] = ()


def back_up(hub: LocalHub, target: Path, said: Callable[[str], None], *, previous: Path | None = None) -> Done:
    """Copy a folder and its queue into a new folder, while others use them.

    Args:
        previous: an earlier backup on the same disk: files that have not changed are linked to it, not copied.

    Raises:
        UsageError: ``target`` is in use, or ``previous`` is no backup.
        FolderError: something cannot be read or written.
        StoreError: the database cannot be read.
    """
    begun = clock.stamp()
    if previous is not None:
        manifest_of(previous)
    _make_empty(target)
    copying = Copying(previous)
    try:
        jobs = _copy_queue(hub, target / DATABASE)
        said(f"queue: {jobs} job{'s' * (jobs != 1)}")
        for name in CODE_STORES.values():
            _copy_code(hub.root, target, name, copying)
        runs = _copy_runs(hub.root, target, copying, jobs, said)
        _copy_rest(hub.root, target, copying)
    except OSError as error:
        raise _cannot(target, error) from None
    done = Done(os.fspath(target), begun, jobs, runs, copying.files, copying.copied_bytes)
    os.sync()  # a backup that says it is whole is on the disk
    about = {"whirr": whirr.__version__, **done._asdict(), "holds": _content(target)}
    write_atomic(target / MANIFEST, dumps(about), durable=True)
    return done


def restore(source: Path, root: Path, database_url: str | None, said: Callable[[str], None]) -> Done:
    """Make a new ``.whirr`` folder and its queue from a backup; what ran when it was made is queued again.

    Args:
        database_url: an empty PostgreSQL database; None: SQLite in ``root``. It need not be of the kind that was.

    Raises:
        UsageError: ``root`` is in use, or ``source`` is no whole backup.
        FolderError: something cannot be read or written.
        StoreError: the database cannot be written, or is in use.
    """
    manifest = manifest_of(source)
    _see_whole(source, manifest)
    _make_empty(root)
    copying = Copying()
    try:
        make_root(root)
        for name in (RUNS, BLOBS, *CODE_STORES.values()):
            if (source / name).is_dir():
                copying.folder(source / name, root, name)
        copying.file(source / AUDIT, root, AUDIT)
        (root / QUEUE).mkdir(mode=0o700)
        place = root / QUEUE / (f".{DATABASE}" if database_url else DATABASE)
        shutil.copyfile(source / DATABASE, place)
        os.chmod(place, 0o600)
    except OSError as error:
        raise _cannot(root, error) from None
    if database_url:
        _into(place, database_url)
    said(f"copied {copying.files} files")
    hub = open_hub(root, database_url, adopt=True)
    try:
        requeued = _settle(hub)
    finally:
        hub.close()
    jobs, runs = manifest["jobs"], manifest["runs"]
    return Done(os.fspath(root), manifest["begun_at"], jobs, runs, copying.files, copying.copied_bytes, requeued)


def manifest_of(folder: Path) -> dict[str, Any]:
    """What a backup says of itself.

    Raises:
        UsageError: it is none, or was not finished.
    """
    try:
        found = read_document(folder / MANIFEST)
    except (OSError, ValueError):
        found = None
    if not isinstance(found, dict) or not {"jobs", "runs", "begun_at"} <= found.keys():
        raise UsageError(f"{folder} is no whole backup", hint=f"one that was finished holds {MANIFEST}")
    return found


def _see_whole(folder: Path, manifest: dict[str, Any]) -> None:
    """A copy of a backup that was broken off may hold its manifest all the same."""
    made, found = manifest.get("holds", {}), _content(folder)
    lacking = [f"{found[what]} of {made[what]} {what}" for what in made if found[what] < made[what]]
    if lacking:
        raise UsageError(
            f"{folder} is no whole backup: of what was made there are {', '.join(lacking)}",
            hint="copy it again from where it was made, or restore an earlier one",
        )


def _content(folder: Path) -> dict[str, int]:
    """How many files a backup holds, without its manifest, and their bytes."""
    sizes = [os.lstat(path).st_size for path in names_below(folder) if path != os.fspath(folder / MANIFEST)]
    return {"files": len(sizes), "bytes": sum(sizes)}


def _make_empty(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # tokens' hashes, environments of jobs
        if any(folder.iterdir()):
            raise UsageError(f"{folder} is not empty", hint="give a new folder")
    except OSError as error:
        raise _cannot(folder, error) from None


def _cannot(folder: Path, error: OSError) -> FolderError:
    return FolderError(
        f"cannot copy into {folder}: {error}", hint="make room, or mend permissions, and give a new folder"
    )


# Making a backup


def _copy_queue(hub: LocalHub, place: Path) -> int:
    """The queue as a SQLite file, whatever it is now; the highest number of a job in it."""
    if hub.database.kind == "sqlite":
        copy_file(hub.database, os.fspath(place))
    copy = open_database(place)
    try:
        if hub.database.kind != "sqlite":
            copy_rows(hub.database, copy)
        with copy.snapshot() as tx:
            row = tx.one("last_job")
    finally:
        copy.close()
    os.chmod(place, 0o600)
    return int(row["id"]) if row else 0


def _copy_code(root: Path, target: Path, name: str, copying: Copying) -> None:
    """The names of trees first: what they need was there before them."""
    if not (root / name).is_dir():
        return
    for _ in range(TRIES):
        shutil.rmtree(target / name, ignore_errors=True)
        copying.folder(root / name / "refs", target, f"{name}/refs")
        whole = copying.folder(root / name / "objects", target, f"{name}/objects")
        for file in ("HEAD", "config", "packed-refs"):
            copying.file(root / name / file, target, f"{name}/{file}")
        if whole:  # else git has packed anew meanwhile
            return
    raise FolderError(f"{root / name} changes too fast to be copied", hint="try again when less is submitted")


def _copy_runs(root: Path, target: Path, copying: Copying, last_job: int, said: Callable[[str], None]) -> int:
    (target / RUNS).mkdir(mode=0o700)
    names = sorted(name for name in os.listdir(root / RUNS) if _is_known(name, last_job))
    count, spoken = 0, time.monotonic()
    for name in names:
        if (root / RUNS / name).is_dir() and not (root / RUNS / name).is_symlink():
            _copy_run(root / RUNS / name, target, f"{RUNS}/{name}", copying)
            count += 1
        if time.monotonic() - spoken > SAY_EVERY_S:
            spoken = time.monotonic()
            said(f"runs: {count} of {len(names)}, {copying.copied_bytes / 1e9:.1f} GB")
    return count


def _is_known(name: str, last_job: int) -> bool:
    """Not what is just being submitted, nor a job that came after the copy of the database."""
    match = JOB_FOLDER.fullmatch(name)
    return not name.startswith(".") and (match is None or int(match[1]) <= last_job)


def _copy_run(folder: Path, target: Path, below: str, copying: Copying) -> None:
    """A new attempt renames the files of the one before: then what was copied may hold a file twice or not at all."""
    for _ in range(TRIES):
        before = set(names_below(folder / ATTEMPTS))
        copying.folder(folder, target, below)
        if set(names_below(folder / ATTEMPTS)) == before:
            return
        shutil.rmtree(target / below)
    copying.folder(folder, target, below)  # files of an earlier attempt come in at this moment


def _copy_rest(root: Path, target: Path, copying: Copying) -> None:
    copying.file(root / AUDIT, target, AUDIT)
    if (root / BLOBS).is_dir():
        copying.folder(root / BLOBS, target, BLOBS)
        shutil.rmtree(target / BLOBS / PARTIAL, ignore_errors=True)  # who sends them begins again


# Restoring


def _into(place: Path, url: str) -> None:
    copy, target = open_database(place), open_database(url)
    try:
        copy_rows(copy, target)
    finally:
        copy.close()
        target.close()
    place.unlink()


def _settle(hub: LocalHub) -> tuple[int, ...]:
    """Nobody holds a job any more, and no attempt is counted twice."""
    ran = hub.jobs([JobStatus.RUNNING, JobStatus.CANCELLING])
    for job in ran:
        cause = Cause(CauseKind.WORKER_LOST, WHY)
        lease = Lease(job.id, job.attempt, job.worker or "")
        hub.finish(lease, Outcome(Verdict.REQUEUE, cause, 0.0, clock.stamp()))
    for worker in hub.workers():
        hub.leave(worker.id)
    for job in hub.jobs():
        _agree(hub, job)
    return tuple(sorted(job.id for job in ran if hub.job(job.id).status is JobStatus.QUEUED))


def _agree(hub: LocalHub, job: Job) -> None:
    """A folder that was copied after the database may know more of its job; the database is right, and counts on."""
    folder = hub.run_dir(job.id)
    meta = _meta(folder)
    newest = _newest(folder, meta)
    if newest > job.attempt:
        _adopt(hub, job, newest)
    stated = meta.get("status")
    if newest > job.attempt or (stated != job.status and (job.status is JobStatus.QUEUED or stated in UNDER_WAY)):
        mark(folder, hub.job(job.id))


def _adopt(hub: LocalHub, job: Job, newest: int) -> None:
    """Count the attempts of which only the folder knows, so that their files are kept apart like any others."""
    folder = hub.run_dir(job.id)
    with hub.database.transaction() as tx:
        for number in range(job.attempt + 1, newest + 1):
            meta = _meta(folder if number == newest else attempt_folder(folder, number))
            about = meta.get("job")
            known = isinstance(about, dict) and about.get("worker")
            which = {"job_id": job.id, "number": number}
            tx.run(
                "insert_attempt",
                **which,
                worker=f"{about['worker']}@{about.get('host')}" if about and known else "",
                worker_id="",
                gpus=list_text(()),
                started_at=str(meta.get("started_at") or job.submitted_at),
            )
            cause = cause_text(Cause(CauseKind.WORKER_LOST, LATER))
            ended = {"finished_at": clock.stamp(), "outcome": "lost", "cause": cause, "usage": usage_text({})}
            tx.run("end_attempt", **which, **ended, reported=0)
        tx.run("adopt_attempts", id=job.id, attempt=newest)


def _newest(folder: Path, meta: dict[str, Any]) -> int:
    """The number of the last attempt of which there are files."""
    about = meta.get("job")
    stated = about.get("attempt") if isinstance(about, dict) else 0
    try:
        kept = [int(name) for name in os.listdir(folder / ATTEMPTS) if NUMBER.fullmatch(name)]
    except OSError:
        kept = []
    return max([stated if isinstance(stated, int) else 0, *kept])


def _meta(folder: Path) -> dict[str, Any]:
    try:
        found = read_document(folder / META)
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
