"""``LocalHub``: the queue over a database and the run folders."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path

from whirr import clock, jobrun
from whirr.errors import FolderError, IllegalTransition, LeaseLost, NotFound
from whirr.folder import QUEUE, RUNS
from whirr.hub import Bell
from whirr.model import (
    BACKOFF_FIRST_S,
    Attempt,
    Cause,
    CauseKind,
    Claim,
    Job,
    JobSpec,
    JobStatus,
    Lease,
    Outcome,
    Verdict,
    WorkerInfo,
    cancelled_cause,
    decide,
    run_id_of,
)
from whirr.store.database import Database, Row, Transaction
from whirr.store.rows import (
    attempt_of,
    cause_text,
    job_of,
    list_text,
    spec_text,
    usage_text,
    worker_of,
    worker_row,
)

BELLS = "bells"
STAGING = ".submit-"
ALL = 2**31 - 1


class LocalHub:
    """Implements ``hub.Hub``; its docstrings say what each method does.

    Args:
        root: the ``.whirr`` folder.
        database: the queue's database.
        stamp: the UTC stamp of this moment.
    """

    def __init__(self, root: Path, database: Database, *, stamp: Callable[[], str] = clock.stamp) -> None:
        self.root = root.absolute()
        self.queue = self.root / QUEUE
        self.database = database
        self._stamp = stamp

    # Submitting

    def staging_folder(self) -> Path:
        folder = self.root / RUNS / f"{STAGING}{os.urandom(6).hex()}"
        try:
            folder.mkdir()
        except OSError as error:
            raise FolderError(f"cannot write into {folder.parent}: {error.strerror}", hint="make room") from None
        return folder

    def submit(self, spec: JobSpec, staging: Path | None = None) -> Job:
        folder = staging or self.staging_folder()

        def work(tx: Transaction) -> Job:
            nonlocal folder
            job = self._insert(tx, spec)
            jobrun.write_queued(folder, job)
            if job.status is not JobStatus.QUEUED:
                jobrun.mark(folder, job)
            os.rename(folder, self.run_dir(job.id))
            folder = self.run_dir(job.id)
            tx.notify("jobs")
            return job

        try:
            job = self.database.retry(work, durable=True)
        except BaseException:
            jobrun.remove(folder)
            raise
        self.ring()
        return job

    def _insert(self, tx: Transaction, spec: JobSpec) -> Job:
        needs = {**dict.fromkeys(spec.after_any, "ended"), **dict.fromkeys(spec.after, "completed")}
        for need in sorted(needs):  # one that ends at this moment ends before or after this, never unseen
            self._found(tx.one("lock_job", id=need), need)
        columns = {
            "spec": spec_text(spec),
            "priority": spec.priority,
            "gpus": spec.gpus,
            "blocked": 0,
            "submitted_at": self._stamp(),
        }
        job_id: int = _only(tx.one("insert_job", **columns))["id"]
        if self.run_dir(job_id).exists():  # the database was deleted, or a submission was killed half-way
            tx.run("delete_job", id=job_id)
            tx.run("skip_ids", id=jobrun.highest(self.root / RUNS))
            job_id = _only(tx.one("insert_job", **columns))["id"]
        for tag in dict.fromkeys(spec.tags):
            tx.run("insert_tag", job_id=job_id, tag=tag)
        for need, what in needs.items():
            tx.run("insert_dependency", job_id=job_id, needs=need, what=what)
        return self._look_at_needs(tx, job_id)

    def _look_at_needs(self, tx: Transaction, job_id: int) -> Job:
        """Bring what a queued job waits for up to date; it fails where that can no longer come true."""
        tx.one("lock_job", id=job_id)  # two needs that end at once must not each see the other as unmet
        unmet = tx.all("unmet_needs", job_id=job_id)
        hopeless = [row["id"] for row in unmet if row["status"] in ("failed", "cancelled")]
        if hopeless:
            cause = Cause(CauseKind.DEPENDENCY_FAILED, f"job {hopeless[0]}, which it needs, did not complete")
            tx.run("fail_dependent", id=job_id, now_at=self._stamp(), cause=cause_text(cause))
        else:
            tx.run("set_blocked", id=job_id, blocked=len(unmet))
        return job_of(_only(tx.one("job", id=job_id)))

    # Looking

    def job(self, job_id: int) -> Job:
        with self.database.snapshot() as tx:
            return self._found(tx.one("job", id=job_id), job_id)

    @staticmethod
    def _found(row: Row | None, job_id: int) -> Job:
        if row is None:
            raise NotFound(f"there is no job {job_id}", hint="whirr status lists the jobs there are")
        return job_of(row)

    def jobs(self, statuses: Collection[JobStatus] = (), *, tag: str | None = None, limit: int = 0) -> list[Job]:
        most = limit or ALL
        with self.database.snapshot() as tx:
            if tag is not None:
                rows = tx.all("jobs_by_tag", tag=tag)
            elif statuses:
                rows = [row for status in statuses for row in tx.all("jobs_by_status", status=str(status), limit=most)]
            else:
                rows = tx.all("jobs", limit=most)
        found = [job_of(row) for row in rows if not statuses or row["status"] in statuses]
        return sorted(found, key=lambda job: -job.id)[:most]

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
            row = _only(tx.one("count_ahead", priority=job.spec.priority, id=job.id))
            return int(row["count"])

    def left_for(self, worker: WorkerInfo) -> int:
        with self.database.snapshot() as tx:
            row = _only(tx.one("count_left", usual_gpus=_usual(worker), most_gpus=len(worker.gpus)))
            return int(row["count"])

    def upcoming(self, limit: int = 0) -> list[Job]:
        most = limit or ALL
        with self.database.snapshot() as tx:
            rows = tx.all("next_jobs", limit=most)
            if len(rows) < most:
                rows += tx.all("blocked_jobs", limit=most - len(rows))
        return [job_of(row) for row in rows]

    def clock(self) -> float:
        """The present on the clock of ``Job.not_before``."""
        with self.database.snapshot() as tx:
            return tx.now()

    def run_dir(self, job_id: int) -> Path:
        return self.root / RUNS / run_id_of(job_id)

    # People's wishes

    def cancel(self, job_id: int, by: str) -> Job:
        def work(tx: Transaction) -> Job:
            job = self._found(tx.one("lock_job", id=job_id), job_id)
            if job.status in (JobStatus.COMPLETED, JobStatus.FAILED):
                raise IllegalTransition(f"job {job_id} has ended: {job.status}", hint="there is nothing to cancel")
            if tx.run("cancel_queued", id=job_id, now_at=self._stamp(), cause=_cancelled(by), by=by):
                self._look_at_dependents(tx, job_id)
                jobrun.mark(self.run_dir(job_id), job_of(_only(tx.one("job", id=job_id))))
            else:
                tx.run("cancel_running", id=job_id, by=by)
            tx.notify("cancel")
            return job_of(_only(tx.one("job", id=job_id)))

        job = self.database.retry(work, durable=True)
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
                    hint="submit a completed job anew" if job.status is JobStatus.COMPLETED else None,
                )
            job = self._look_at_needs(tx, job_id)
            if job.status is JobStatus.QUEUED:
                self._look_at_dependents(tx, job_id)
            jobrun.mark(self.run_dir(job_id), job)
            tx.notify("jobs")
            return job

        job = self.database.retry(work, durable=True)
        self.ring()
        return job

    # Workers

    def register(self, worker: WorkerInfo) -> None:
        with self.database.transaction() as tx:
            tx.run("insert_worker", **worker_row(worker))

    def workers(self) -> list[WorkerInfo]:
        with self.database.snapshot() as tx:
            return [worker_of(row) for row in tx.all("workers")]

    def leave(self, worker: str) -> None:
        with self.database.transaction() as tx:
            tx.run("delete_worker", id=worker)
        from whirr.store.doorbell import remove

        remove(self.queue / BELLS, worker)

    def claim(self, worker: WorkerInfo, *, usable_gpus: Sequence[str] | None = None) -> Claim | None:
        offered = worker.gpus if usable_gpus is None else tuple(usable_gpus)
        tried = 0

        def work(tx: Transaction) -> Claim | None:
            nonlocal tried
            self._expire(tx)
            taken = {row["gpu"] for row in tx.all("gpus_in_use", machine=worker.machine)} if offered else set()
            free = [gpu for gpu in offered if gpu not in taken]
            chosen = self._choose(tx, worker, len(free))
            if chosen is None:
                return None
            gpus = self._take(tx, worker, chosen["id"], free, chosen["gpus"])
            if gpus is None:
                return None
            tried = chosen["id"]
            return self._claimed(tx, worker, tried, gpus)

        try:
            return self.database.retry(work)
        except FolderError:
            if tried:
                self._postpone(tried)
            raise

    def _postpone(self, job_id: int) -> None:
        """Let a job whose folder cannot be written wait, so that it does not keep those after it from starting."""
        with self.database.transaction() as tx:
            tx.run("postpone_job", id=job_id, not_before=tx.now() + BACKOFF_FIRST_S, era=tx.era)

    def _choose(self, tx: Transaction, worker: WorkerInfo, free: int) -> Row | None:
        """The first job in order if it fits, else the first that needs no GPU."""

        def first_for(most_gpus: int) -> Row | None:
            return tx.one("next_job", most_gpus=most_gpus, usual_gpus=_usual(worker), now=tx.now(), era=tx.era)

        first = first_for(len(worker.gpus))
        return first if first is None or first["gpus"] <= free else first_for(0)

    def _take(
        self, tx: Transaction, worker: WorkerInfo, job_id: int, free: list[str], count: int
    ) -> tuple[str, ...] | None:
        """Give a job its GPUs; None when another worker of the machine was quicker."""
        gpus = tuple(free[:count])
        in_one_order = sorted(gpus)  # two workers that take the same ones never wait for each other in a circle
        if all(tx.run("take_gpu", machine=worker.machine, gpu=gpu, job_id=job_id) for gpu in in_one_order):
            return gpus
        tx.run("free_gpus", job_id=job_id)
        return None

    def _claimed(self, tx: Transaction, worker: WorkerInfo, job_id: int, gpus: tuple[str, ...]) -> Claim:
        until = None if worker.lease_s is None else tx.now() + worker.lease_s
        now_at = self._stamp()
        row = _only(tx.one("claim_job", id=job_id, worker=worker.id, lease_until=until, era=tx.era, now_at=now_at))
        job = job_of(row)
        label = f"{worker.name}@{worker.host}"
        tx.run(
            "insert_attempt",
            job_id=job_id,
            number=job.attempt,
            worker=label,
            gpus=list_text(gpus),
            started_at=now_at,
        )
        jobrun.begin(self.run_dir(job_id), job, worker, gpus)
        return Claim(job, Lease(job_id, job.attempt, worker.id), gpus)

    def renew(self, worker: WorkerInfo) -> list[Lease]:
        def work(tx: Transaction) -> list[Lease]:
            now = tx.now()
            tx.run("see_worker", id=worker.id, now_at=self._stamp())
            if worker.lease_s is not None:
                tx.run("renew", worker=worker.id, lease_until=now + worker.lease_s, now=now, era=tx.era)
            return _leases(worker.id, tx.all("valid_leases_of", worker=worker.id, now=now, era=tx.era))

        return self.database.retry(work)

    def leases(self, worker: str) -> list[Lease]:
        with self.database.snapshot() as tx:
            return _leases(worker, tx.all("leases_of", worker=worker))

    def cancelling(self, worker: str) -> list[Lease]:
        with self.database.snapshot() as tx:
            rows = tx.all("leases_of", worker=worker)
        return _leases(worker, (row for row in rows if row["status"] == JobStatus.CANCELLING))

    def finish(self, lease: Lease, outcome: Outcome) -> Job:
        def work(tx: Transaction) -> Job:
            job = self._end(tx, self._found(tx.one("lock_job", id=lease.job_id), lease.job_id), lease, outcome)
            tx.notify("jobs")
            return job

        try:
            job = self.database.retry(work, durable=True)
        except LeaseLost:
            jobrun.keep_stale(self.run_dir(lease.job_id), lease.attempt)
            raise
        self.ring()
        return job

    def _end(self, tx: Transaction, before: Job, lease: Lease, outcome: Outcome) -> Job:
        decision = decide(before, outcome)
        wait_until = tx.now() + decision.wait_s if decision.wait_s else None
        row = tx.one(
            "end_attempt_of_job",
            id=lease.job_id,
            attempt=lease.attempt,
            worker=lease.worker,
            status=str(decision.status),
            not_before=wait_until,
            era=tx.era,
            failures=decision.failures,
            crashes=decision.crashes,
            finished_at=outcome.finished_at if decision.status.terminal else None,
            cause=cause_text(decision.cause),
        )
        if row is None:
            raise LeaseLost(
                f"attempt {lease.attempt} at job {lease.job_id} no longer holds its lease",
                hint="the job was given to another attempt; what this one wrote is kept as its own",
            )
        tx.run(
            "end_attempt",
            job_id=lease.job_id,
            number=lease.attempt,
            finished_at=outcome.finished_at,
            outcome=decision.outcome,
            cause=cause_text(decision.cause or outcome.cause),
            usage=usage_text(outcome.usage),
        )
        tx.run("free_gpus", job_id=lease.job_id)
        if decision.status.terminal:
            self._look_at_dependents(tx, lease.job_id)
        jobrun.end(self.run_dir(lease.job_id), before, decision, outcome)
        return job_of(row)

    def _look_at_dependents(self, tx: Transaction, job_id: int) -> None:
        """A job has ended or is queued again: what needs it may start, waits again, or fails with it."""
        for row in tx.all("dependents_of", needs=job_id):
            dependent = self._look_at_needs(tx, row["id"])
            if dependent.status.terminal:
                jobrun.mark(self.run_dir(dependent.id), dependent)
                self._look_at_dependents(tx, dependent.id)

    def _expire(self, tx: Transaction) -> None:
        """Take back what was not renewed in time; a worker on its own machine holds a lock instead."""
        for row in tx.all("expired", now=tx.now(), era=tx.era):
            job = job_of(row)
            cause = Cause(CauseKind.WORKER_LOST, "its worker gave no sign of life before the lease ran out")
            ran = clock.now().timestamp() - clock.epoch(job.started_at or self._stamp())
            outcome = Outcome(Verdict.CRASHED, cause, max(ran, 0.0), self._stamp())
            self._end(tx, job, Lease(job.id, job.attempt, row["worker"]), outcome)

    # Bells

    def listen(self, worker: str) -> Bell:
        if self.database.kind != "sqlite":
            return self.database.listen()
        from whirr.store.doorbell import Doorbell

        return Doorbell(self.queue / BELLS, worker)

    def ring(self) -> None:
        if self.database.kind == "sqlite":
            from whirr.store.doorbell import ring

            ring(self.queue / BELLS)

    def close(self) -> None:
        self.database.close()


def _leases(worker: str, rows: Iterable[Row]) -> list[Lease]:
    return [Lease(row["id"], row["attempt"], worker) for row in rows]


def _usual(worker: WorkerInfo) -> int:
    """How many GPUs a job gets that did not say."""
    return 1 if worker.gpus else 0


def _only(row: Row | None) -> Row:
    """A row that must be there, since this very transaction wrote or locked it."""
    if row is None:
        raise LookupError("a row that was just written is gone")
    return row


def _cancelled(by: str) -> str | None:
    return cause_text(cancelled_cause(by))
