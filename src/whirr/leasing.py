"""The side of ``LocalHub`` that workers see: they register, claim, renew, and report how an attempt ended."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from whirr import clock, jobrun
from whirr.errors import FolderError, LeaseLost, NoRoom
from whirr.folder import QUEUE, RUNS
from whirr.following import Following
from whirr.locks import is_dead
from whirr.model import (
    BACKOFF_FIRST_S,
    FORGET_AFTER_S,
    Cause,
    CauseKind,
    Claim,
    Job,
    JobStatus,
    Lease,
    Outcome,
    Sighting,
    Verdict,
    WorkerInfo,
    decide,
    run_id_of,
)
from whirr.needs import Needs, lease_lost, no_such_job, only
from whirr.store.database import Database, Row, Transaction
from whirr.store.rows import cause_text, folder_text, job_of, list_text, usage_text, worker_of, worker_row

BELLS = "bells"
FORGET_EVERY_S = 3600.0
FOLDERS_AT_ONCE = 100
"""So many work folders a worker is asked about at a time."""


class Calls(NamedTuple):
    """What workers may have to be woken for.

    Attributes:
        ready: job and attempt of jobs that could be started now, in order.
        stopping: the leases of jobs that are to be stopped.
        full: the workers that have no free slot.
    """

    ready: tuple[tuple[int, int], ...]
    stopping: tuple[Lease, ...]
    full: frozenset[str]


class Leasing:
    """Implements its part of ``hub.Hub``; the docstrings there say what each method does.

    Args:
        root: the ``.whirr`` folder.
        database: the queue's database.
        stamp: the UTC stamp of this moment.
        said: is told of run folders that cannot be written, a line each.
        serving: this is a server's: it alone says when the leases of remote workers have run out.
    """

    def __init__(
        self, root: Path, database: Database, stamp: Callable[[], str], said: Callable[[str], None], *, serving: bool
    ) -> None:
        self.root = root.absolute()
        self.queue = self.root / QUEUE
        self.database = database
        self._stamp = stamp
        self._serving = serving
        self._forgot_at = self.now()
        self._following = Following(database, self.run_dir, said)
        self._needs = Needs(self._following, stamp)

    def run_dir(self, job_id: int) -> Path:
        return self.root / RUNS / run_id_of(job_id)

    def now(self) -> float:
        return clock.epoch(self._stamp())

    # Workers

    def register(self, worker: WorkerInfo) -> None:
        with self.database.transaction() as tx:
            tx.run("insert_worker", **worker_row(worker), seen_at=self._stamp())

    def workers(self) -> list[WorkerInfo]:
        with self.database.snapshot() as tx:
            return [worker_of(row) for row in tx.all("workers")]

    def sightings(self) -> list[Sighting]:
        now = self.now()
        return [
            Sighting(worker, max(now - clock.epoch(worker.seen_at), 0.0), bool(is_dead(worker, self.queue)))
            for worker in self.workers()
        ]

    def see(self, workers: Iterable[str]) -> None:
        """Note a sign of life of several workers at once."""
        with self.database.transaction() as tx:
            for worker in workers:
                tx.run("see_worker", id=worker, now_at=self._stamp())

    def leave(self, worker: str) -> None:
        with self.database.transaction() as tx:
            tx.run("delete_worker", id=worker)
        from whirr.store.doorbell import remove

        remove(self.queue / BELLS, worker)

    def forget(self) -> list[str]:
        """Forget the workers that are long gone, and what was said of folders in which nothing is queued any more.

        Returns:
            The ids of those workers. One that can be seen from here is not among them: the reaper sees to it.
        """
        before = clock.stamp(clock.at(self.now() - FORGET_AFTER_S))
        with self.database.transaction() as tx:
            unseen = map(worker_of, tx.all("idle_workers_unseen_since", before=before))
            gone = [worker.id for worker in unseen if is_dead(worker, self.queue) is None]
            for worker in gone:
                tx.run("delete_worker", id=worker)
            tx.run("forget_folders")
        return gone

    def _forget_at_times(self) -> None:
        if self.now() - self._forgot_at > FORGET_EVERY_S:
            self._forgot_at = self.now()
            self.forget()

    def unknown_folders(self, worker: str) -> list[str]:
        with self.database.snapshot() as tx:
            return [row["workdir"] for row in tx.all("unknown_folders", worker=worker, limit=FOLDERS_AT_ONCE)]

    def tell_folders(self, worker: str, folders: Mapping[str, bool]) -> None:
        with self.database.transaction() as tx:
            for workdir in sorted(folders):
                tx.run("tell_folder", worker=worker, workdir=workdir, there=int(folders[workdir]))

    def lacked_folders(self, worker: str) -> list[str]:
        with self.database.snapshot() as tx:
            return [row["workdir"] for row in tx.all("lacked_folders", worker=worker)]

    def lacking(self, workdir: str) -> list[str]:
        with self.database.snapshot() as tx:
            return [row["worker"] for row in tx.all("lacking", workdir=folder_text(workdir))]

    def hold_leases(self) -> int:
        """Let the leases of remote workers begin anew, those that ran out too; how many.

        For a server that starts: while none ran no lease was renewed, and that was no fault of the workers'.
        """
        with self.database.transaction() as tx:
            return tx.run("hold_leases", now=tx.now(), era=tx.era)

    # Claiming

    def left_for(self, worker: WorkerInfo) -> int:
        with self.database.snapshot() as tx:
            return int(only(tx.one("count_left", **_fit(worker), most_gpus=len(worker.gpus)))["count"])

    def claim(self, worker: WorkerInfo, *, usable_gpus: Sequence[str] | None = None) -> Claim | None:
        self._forget_at_times()
        offered = worker.gpus if usable_gpus is None else tuple(usable_gpus)
        trouble: FolderError | None = None
        while True:
            tried: list[int] = []
            try:
                claim = self._following.change(partial(self._next_claim, worker, offered, tried))
            except FolderError as error:
                if not (tried and self._postpone(tried[0])) or isinstance(error, NoRoom):
                    raise
                trouble = error  # of this one job: those after it may be started
                continue
            if trouble is not None and claim is None:
                raise trouble
            if trouble is not None:
                self._following.tell(trouble)
            return claim

    def _next_claim(
        self, worker: WorkerInfo, offered: tuple[str, ...], tried: list[int], tx: Transaction
    ) -> Claim | None:
        """The next job for a worker, or None; ``tried`` says afterwards which it was to be."""
        tried.clear()
        self._expire(tx)
        if worker.lease_s is not None and tx.one("has_files", worker=worker.id) is None:
            return None  # without reading through a long queue of what it cannot run
        taken = {row["gpu"] for row in tx.all("gpus_in_use", machine=worker.machine)} if offered else set()
        free = [gpu for gpu in offered if gpu not in taken]
        chosen = self._choose(tx, worker, len(free))
        if chosen is None:
            return None
        gpus = self._take(tx, worker, chosen["id"], free, chosen["gpus"])
        if gpus is None:
            return None
        tried.append(chosen["id"])
        return self._claimed(tx, worker, chosen["id"], gpus)

    def _postpone(self, job_id: int) -> bool:
        """Let a job whose folder cannot be written wait, so that it does not keep those after it from starting."""

        def work(tx: Transaction) -> bool:
            self._expire(tx)  # undone with the claim, and perhaps what queued the job
            not_before = tx.now() + BACKOFF_FIRST_S
            return tx.run("postpone_job", id=job_id, not_before=not_before, era=tx.era) > 0

        return self._following.change(work)

    def _choose(self, tx: Transaction, worker: WorkerInfo, free: int) -> Row | None:
        """The first job in order if it fits, else the first that needs no GPU."""

        def first_for(most_gpus: int) -> Row | None:
            return tx.one("next_job", most_gpus=most_gpus, **_fit(worker), now=tx.now(), era=tx.era)

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
        row = only(tx.one("claim_job", id=job_id, worker=worker.id, lease_until=until, era=tx.era, now_at=now_at))
        job = job_of(row)
        tx.run(
            "insert_attempt",
            job_id=job_id,
            number=job.attempt,
            worker=f"{worker.name}@{worker.host}",
            worker_id=worker.id,
            gpus=list_text(gpus),
            started_at=now_at,
        )
        jobrun.begin(self.run_dir(job_id), job, worker, gpus)
        return Claim(job, Lease(job_id, job.attempt, worker.id), gpus)

    # Leases

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
            row = tx.one("lock_job", id=lease.job_id)
            if row is None:
                raise no_such_job(lease.job_id)
            job = self._end(tx, job_of(row), lease, outcome, reported=True)
            tx.notify("jobs")
            return job

        try:
            job = self._following.change(work, durable=True)
        except LeaseLost:
            if self._reported(lease):  # the answer to the same report was lost on its way
                with self.database.snapshot() as tx:
                    return job_of(only(tx.one("job", id=lease.job_id)))
            self._following.keep_stale(lease)
            raise
        self.ring()
        return job

    def _reported(self, lease: Lease) -> bool:
        with self.database.snapshot() as tx:
            found = tx.one("reported_by", job_id=lease.job_id, number=lease.attempt, worker=lease.worker)
        return found is not None

    def _end(self, tx: Transaction, before: Job, lease: Lease, outcome: Outcome, *, reported: bool) -> Job:
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
            raise lease_lost(lease)
        tx.run(
            "end_attempt",
            job_id=lease.job_id,
            number=lease.attempt,
            finished_at=outcome.finished_at,
            outcome=decision.outcome,
            cause=cause_text(decision.cause or outcome.cause),
            usage=usage_text(outcome.usage),
            reported=int(reported),
        )
        tx.run("free_gpus", job_id=lease.job_id)
        if decision.status.terminal:
            self._needs.look_at_dependents(tx, lease.job_id)
        self._following.end(before, decision, outcome, wait_for_room=reported)
        return job_of(row)

    def calls(self, limit: int) -> Calls:
        """What workers may have to be woken for; so many jobs that are ready at most."""
        with self.database.snapshot() as tx:
            ready = tx.all("ready_jobs", now=tx.now(), era=tx.era, limit=limit)
            stopping = tx.all("stopping_jobs")
            full = tx.all("full_workers")
        return Calls(
            tuple((row["id"], row["attempt"]) for row in ready),
            tuple(Lease(row["id"], row["attempt"], row["worker"]) for row in stopping),
            frozenset(row["id"] for row in full),
        )

    def expire(self) -> int:
        """Take back what was not renewed in time, as every claim does; how many jobs."""

        def work(tx: Transaction) -> int:
            count = self._expire(tx)
            if count:
                tx.notify("jobs")
            return count

        self._forget_at_times()
        count = self._following.change(work)
        if count:
            self.ring()
        return count

    def _expire(self, tx: Transaction) -> int:
        """Take back what was not renewed in time; a worker on its own machine holds a lock instead."""
        rows = tx.all("expired", now=tx.now(), era=tx.era, serving=int(self._serving))
        for row in rows:
            job = job_of(row)
            cause = Cause(CauseKind.WORKER_LOST, "its worker gave no sign of life before the lease ran out")
            ran = clock.now().timestamp() - clock.epoch(job.started_at or self._stamp())
            outcome = Outcome(Verdict.CRASHED, cause, max(ran, 0.0), self._stamp())
            self._end(tx, job, Lease(job.id, job.attempt, row["worker"]), outcome, reported=False)
        return len(rows)

    def ring(self) -> None:
        if self.database.kind == "sqlite":
            from whirr.store.doorbell import ring

            ring(self.queue / BELLS)


def _leases(worker: str, rows: Iterable[Row]) -> list[Lease]:
    return [Lease(row["id"], row["attempt"], worker) for row in rows]


def _fit(worker: WorkerInfo) -> dict[str, object]:
    """What decides whether a job fits a worker, as parameters of statements.

    A job that did not say gets one GPU where there are any. A worker without a lease works where the jobs were
    submitted: a work folder that is missing there is missing for good, which the job's own ending says.
    """
    return {"usual_gpus": 1 if worker.gpus else 0, "worker": worker.id, "anywhere": int(worker.lease_s is None)}
