"""Submissions on their way into the queue: a row and a run folder each, several in one transaction."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from whirr import jobrun
from whirr.errors import CommitUnknown, StoreError, not_written
from whirr.model import Job, JobSpec, JobStatus
from whirr.needs import Needs, no_such_job, only
from whirr.store.database import Database, Row, Share, Transaction
from whirr.store.rows import folder_text, job_of, spec_text

STAGING = ".submit-"


class Submission(NamedTuple):
    """A job to queue: what ``hub.Hub.submit`` takes."""

    spec: JobSpec
    staging: Path | None = None
    key: str | None = None


class _Entry:
    """A submission on its way.

    Attributes:
        folder: what there is of its run folder.
        job_id: the number under which that lies in the open.
    """

    def __init__(self, spec: JobSpec, staging: Path | None, key: str | None) -> None:
        self.spec = spec
        self.folder = staging
        self.key = key
        self.job_id: int | None = None

    def remove(self) -> None:
        """Delete what there is of its folder."""
        if self.folder is not None:
            jobrun.remove(self.folder)


class Submitter:
    """See the module.

    Args:
        runs: the folder of all runs.
        run_dir: that of a job's run.
        stamp: the UTC stamp of this moment.
    """

    def __init__(
        self, runs: Path, database: Database, needs: Needs, run_dir: Callable[[int], Path], stamp: Callable[[], str]
    ) -> None:
        self._runs = runs
        self._database = database
        self._needs = needs
        self._run_dir = run_dir
        self._stamp = stamp

    def staging_folder(self) -> Path:
        """A new empty folder, which no listing shows."""
        folder = self._runs / f"{STAGING}{os.urandom(6).hex()}"
        try:
            os.mkdir(folder)
        except OSError as error:
            raise not_written(self._runs, error) from None
        return folder

    def submit(self, submissions: Sequence[Submission]) -> list[Job | Exception]:
        """What came of each: its job, or why there is none; then nothing is left of it."""
        entries = [_Entry(*submission) for submission in submissions]
        try:
            shares = self._database.together([partial(self._queue, entry) for entry in entries])
        except BaseException:
            for entry in entries:
                entry.remove()
            raise
        return [self._settled(entry, share) for entry, share in zip(entries, shares, strict=True)]

    def _queue(self, entry: _Entry, tx: Transaction) -> Job:
        if entry.key is not None and (row := self._row(tx, entry)) is not None:
            return job_of(row)
        job = self._insert(tx, entry.spec, entry.key)
        tx.notify("jobs")
        entry.folder = entry.folder or self.staging_folder()
        jobrun.write_queued(entry.folder, job)
        if job.status is not JobStatus.QUEUED:
            jobrun.mark(entry.folder, job)
        os.rename(entry.folder, self._run_dir(job.id))
        entry.folder, entry.job_id = self._run_dir(job.id), job.id
        return job

    def _insert(self, tx: Transaction, spec: JobSpec, key: str | None) -> Job:
        needs = {**dict.fromkeys(spec.after_any, "ended"), **dict.fromkeys(spec.after, "completed")}
        for need in sorted(needs):  # one that ends at this moment ends before or after this, never unseen
            if tx.one("lock_job", id=need) is None:
                raise no_such_job(need)
        columns = {
            "spec": spec_text(spec),
            "workdir": folder_text(spec.workdir),
            "snapshot": int(spec.snapshot),
            "submission": key,
            "priority": spec.priority,
            "gpus": spec.gpus,
            "blocked": 0,
            "submitted_at": self._stamp(),
        }
        row = only(tx.one("insert_job", **columns))
        if self._run_dir(row["id"]).exists():  # the database was deleted, or a submission was killed half-way
            tx.run("delete_job", id=row["id"])
            tx.run("skip_ids", id=jobrun.highest(self._runs))
            row = only(tx.one("insert_job", **columns))
        for tag in dict.fromkeys(spec.tags):
            tx.run("insert_tag", job_id=row["id"], tag=tag)
        for need, what in needs.items():
            tx.run("insert_dependency", job_id=row["id"], needs=need, what=what)
        return self._needs.look(tx, row["id"]) if needs else job_of(row)

    def _settled(self, entry: _Entry, share: Share[Job]) -> Job | Exception:
        try:
            done: Job | Exception = share.result()
        except StoreError as error:
            done = self._looked_up(entry, error)
        except Exception as error:
            done = error
        if isinstance(done, CommitUnknown):
            return done  # if the job is there, it needs its folder
        if isinstance(done, Exception) or done.id != entry.job_id:
            entry.remove()
        return done

    def _looked_up(self, entry: _Entry, error: StoreError) -> Job | StoreError:
        """The job of a submission that failed: two that send the same one at once clash, and an answer may be lost."""
        unsure = isinstance(error, CommitUnknown)
        if entry.key is None and not unsure:
            return error
        try:
            with self._database.snapshot() as tx:
                row = self._row(tx, entry)
        except StoreError:
            return error
        if row is None and unsure:
            entry.remove()
        return error if row is None else job_of(row)

    def _row(self, tx: Transaction, entry: _Entry) -> Row | None:
        if entry.key is not None:
            return tx.one("job_of_submission", submission=entry.key)
        return tx.one("job", id=entry.job_id)
