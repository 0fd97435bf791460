"""``LocalHub``: the queue over a database and the run folders."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from whirr import clock, jobrun
from whirr.codestore import LocalCode
from whirr.errors import IllegalTransition, not_written, warn
from whirr.folder import RUNS
from whirr.hub import Bell
from whirr.intake import LocalInbox
from whirr.leasing import BELLS, Leasing
from whirr.localruns import LocalRuns
from whirr.model import Attempt, Job, JobSpec, JobStatus, cancelled_cause
from whirr.needs import no_such_job, only
from whirr.resubmission import Changes, changed
from whirr.store.database import Database, Row, Transaction
from whirr.store.rows import attempt_of, cause_text, job_of, spec_text
from whirr.submitting import Submission, Submitter
from whirr.tokens import LocalTokens

ALL = 2**31 - 1
NEWEST = 2**62
LOOK_EVERY_S = 2.0


class LocalHub(Leasing):
    """Implements ``hub.Hub``; its docstrings say what each method does.

    Args:
        root: the ``.whirr`` folder.
        database: the queue's database.
        stamp: the UTC stamp of this moment.
        said: is told of run folders that cannot be written, a line each.
        serving: this is a server's: it alone says when the leases of remote workers have run out.
        outage_s: seconds for which it lets a remote worker's leases hold on while it is away.
    """

    look_every_s = LOOK_EVERY_S

    def __init__(
        self,
        root: Path,
        database: Database,
        *,
        stamp: Callable[[], str] = clock.stamp,
        said: Callable[[str], None] = warn,
        serving: bool = False,
        outage_s: float = 0.0,
    ) -> None:
        super().__init__(root, database, stamp, said, serving=serving)
        self.outage_s = outage_s
        self.url: str | None = None
        self.locks: Path | None = self.queue
        self.runs = LocalRuns(self.root)
        self._submitter = Submitter(self.root / RUNS, database, self._needs, self.run_dir, stamp)
        self.inbox = LocalInbox(self.root, database)
        self.code = LocalCode(self.root)
        self.tokens = LocalTokens(database, stamp)

    # Submitting

    def staging_folder(self) -> Path:
        return self._submitter.staging_folder()

    def submit(self, spec: JobSpec, staging: Path | None = None, *, key: str | None = None) -> Job:
        (done,) = self.submit_all([Submission(spec, staging, key)])
        if isinstance(done, Exception):
            raise done
        return done

    def submit_all(self, submissions: Sequence[Submission]) -> list[Job | Exception]:
        """Queue several jobs at once: of each its job, or why there is none."""
        done = self._submitter.submit(submissions)
        self.ring()
        return done

    # Looking

    def job(self, job_id: int) -> Job:
        with self.database.snapshot() as tx:
            return self._found(tx.one("job", id=job_id), job_id)

    @staticmethod
    def _found(row: Row | None, job_id: int) -> Job:
        if row is None:
            raise no_such_job(job_id)
        return job_of(row)

    def jobs(
        self,
        statuses: Collection[JobStatus] = (),
        *,
        tag: str | None = None,
        limit: int = 0,
        before: int | None = None,
    ) -> list[Job]:
        which = {"limit": limit or ALL, "before": NEWEST if before is None else before}
        with self.database.snapshot() as tx:
            if tag is not None:
                words = list(map(str, statuses)) or [""]
                rows = [row for word in words for row in tx.all("jobs_by_tag", tag=tag, status=word, **which)]
            elif statuses:
                rows = [row for status in statuses for row in tx.all("jobs_by_status", status=str(status), **which)]
            else:
                rows = tx.all("jobs", **which)
        return sorted(map(job_of, rows), key=lambda job: -job.id)[: limit or ALL]

    def counts(self) -> dict[JobStatus, int]:
        with self.database.snapshot() as tx:
            return {JobStatus(row["status"]): row["count"] for row in tx.all("count_jobs")}

    def attempts(self, job_id: int) -> list[Attempt]:
        with self.database.snapshot() as tx:
            return [attempt_of(row) for row in tx.all("attempts_of", job_id=job_id)]

    def dependencies(self, job_id: int) -> list[Job]:
        with self.database.snapshot() as tx:
            return [job_of(row) for row in tx.all("needs_of", job_id=job_id)]

    def ahead(self, job: Job) -> int:
        with self.database.snapshot() as tx:
            row = only(tx.one("count_ahead", priority=job.spec.priority, id=job.id))
            return int(row["count"])

    def upcoming(self, limit: int = 0) -> list[Job]:
        most = limit or ALL
        with self.database.snapshot() as tx:
            rows = tx.all("next_jobs", limit=most)
            if len(rows) < most:
                rows += tx.all("blocked_jobs", limit=most - len(rows))
        return [job_of(row) for row in rows]

    def ended(self, statuses: Collection[JobStatus], limit: int = 0) -> list[Job]:
        most = limit or ALL
        with self.database.snapshot() as tx:
            rows = [row for status in statuses for row in tx.all("jobs_by_end", status=str(status), limit=most)]
        return sorted(map(job_of, rows), key=lambda job: (job.finished_at or "", job.id), reverse=True)[:most]

    def clock(self) -> float:
        with self.database.snapshot() as tx:
            return tx.now()

    # People's wishes

    def cancel(self, job_id: int, by: str) -> Job:
        def work(tx: Transaction) -> Job:
            job = self._found(tx.one("lock_job", id=job_id), job_id)
            if job.status in (JobStatus.COMPLETED, JobStatus.FAILED):
                raise IllegalTransition(f"job {job_id} has ended: {job.status}", hint="there is nothing to cancel")
            if tx.run("cancel_queued", id=job_id, now_at=self._stamp(), cause=_cancelled(by), by=by):
                self._needs.look_at_dependents(tx, job_id)
                self._following.mark(job_of(only(tx.one("job", id=job_id))))
            else:
                tx.run("cancel_running", id=job_id, by=by)
            tx.notify("cancel")
            return job_of(only(tx.one("job", id=job_id)))

        job = self._following.change(work, durable=True)
        self.ring()
        return job

    def retry(self, job_id: int) -> Job:
        def work(tx: Transaction) -> Job:
            for need in tx.all("needs_of", job_id=job_id):  # as at a submission
                tx.one("lock_job", id=need["id"])
            job = self._found(tx.one("lock_job", id=job_id), job_id)
            if not tx.run("retry_job", id=job_id):
                raise IllegalTransition(
                    f"job {job_id} is {job.status}: only a failed or cancelled job is queued again",
                    hint=f"whirr again {job_id} submits it once more" if job.status is JobStatus.COMPLETED else None,
                )
            job = self._needs.look(tx, job_id)
            if job.status is JobStatus.QUEUED:
                self._needs.look_at_dependents(tx, job_id)
            self._following.mark(job)
            tx.notify("jobs")
            return job

        job = self._following.change(work, durable=True)
        self.ring()
        return job

    def reprioritise(self, job_id: int, priority: int) -> Job:
        def work(tx: Transaction) -> Job:
            job = self._found(tx.one("lock_job", id=job_id), job_id)
            spec = job.spec._replace(priority=priority)
            if not tx.run("reprioritise_job", id=job_id, priority=priority, spec=spec_text(spec)):
                raise IllegalTransition(
                    f"job {job_id} is {job.status}: only a queued job has a place in the order",
                    hint="submit it again with another priority" if job.status.terminal else None,
                )
            tx.notify("jobs")  # one that was waited for may stand in nobody's way any more
            return job._replace(spec=spec)

        job = self.database.retry(work, durable=True)
        self.ring()
        return job

    def again(self, job_id: int, changes: Changes, by: str, *, key: str | None = None) -> Job:
        spec = changed(self.job(job_id).spec, changes, job_id)._replace(submitted_by=by)
        staging = self.staging_folder()
        try:
            jobrun.copy_recorded(self.run_dir(job_id), staging)
        except BaseException:
            jobrun.remove(staging)
            raise
        return self.submit(spec, staging, key=key)

    # Run folders

    def behind(self) -> list[int]:
        """The jobs whose folder could not be written when their state changed: ``meta.json`` does not say it."""
        jobs = (job for job in self.jobs() if self._following.is_behind(job))
        return sorted(job.id for job in jobs if self._following.look(job.id, mend=False))

    def catch_up(self, job_id: int) -> None:
        """Let the folder of a job say what the queue does.

        Raises:
            FolderError: it still cannot be written.
        """
        self._following.look(job_id, mend=True)

    # Bells

    def listen(self, worker: str) -> Bell:
        if self.database.kind != "sqlite":
            return self.database.listen()
        from whirr.store.doorbell import Doorbell

        try:
            return Doorbell(self.queue / BELLS, worker)
        except OSError as error:
            raise not_written(self.queue / BELLS, error) from None

    def close(self) -> None:
        self.database.close()


def _cancelled(by: str) -> str | None:
    return cause_text(cancelled_cause(by))
