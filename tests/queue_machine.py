"""A state machine for hypothesis: several clients of one hub, with crashes, pauses, reboots and virtual time, and
after each step the hub and the run folders are held against ``queue_model``."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hubs import Ticker, by_whom, known, outcome, spec, worker
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from queue_model import ACTIVE, ENDED, SPOILT, Entry, QueueModel

from whirr.errors import IllegalTransition, LeaseLost
from whirr.folder import ATTEMPTS, META, OUTPUT, result_name
from whirr.hub import Hub
from whirr.jsonio import read_document, write_atomic
from whirr.local import LocalHub
from whirr.model import CauseKind, Claim, JobStatus, Lease, Outcome, Verdict, WorkerInfo
from whirr.store.postgres import PostgresDatabase
from whirr.store.sqlite import SqliteDatabase

LEASE_S = 10.0
IN_MEMORY = "/dev/shm"

KINDS = {
    Verdict.COMPLETED: [CauseKind.EXIT],
    Verdict.FAILED: [CauseKind.EXIT, CauseKind.COMMAND_NOT_FOUND],
    Verdict.REQUEUE: [CauseKind.REQUEUED, CauseKind.WORKER_STOPPED],
    Verdict.CRASHED: [CauseKind.WORKER_LOST],
}
ENDINGS = [(verdict, kind, seconds) for verdict, kinds in KINDS.items() for kind in kinds for seconds in (2.0, 20.0)]
MACHINES = ("here", "elsewhere")


class Died(Exception):
    """The process was gone before its change was committed."""


class Mortal:
    """A database whose process can die at the end of a transaction, when the files are written already."""

    doomed = False

    @contextmanager
    def transaction(self, *, durable: bool = False) -> Iterator[Any]:
        with super().transaction(durable=durable) as tx:
            yield tx
            if self.doomed:
                raise Died


class MortalSqlite(Mortal, SqliteDatabase):
    """See ``Mortal``."""


class MortalPostgres(Mortal, PostgresDatabase):
    """See ``Mortal``."""


OpenDatabase = Callable[[Path, Ticker], Mortal]


@dataclass
class Given:
    """A lease that was once given, and the log of its program, kept open for ever."""

    lease: Lease
    worker: WorkerInfo
    log: int | None = None
    exited: bool = False
    reported: bool = False

    @property
    def token(self) -> tuple[int, int]:
        return self.lease.job_id, self.lease.attempt


def fleet(lock_s: float | None = None) -> list[WorkerInfo]:
    """Workers with timed leases and with locks, with and without GPUs, on two machines.

    Args:
        lock_s: the lease of those with locks, where they must have one.
    """
    return [
        worker("timed", MACHINES[0], lease_s=LEASE_S),
        worker("lock", MACHINES[0], lease_s=lock_s),
        worker("timed-gpus", MACHINES[0], gpus=("A", "B"), lease_s=LEASE_S),
        worker("lock-gpus", MACHINES[0], gpus=("B", "A"), lease_s=lock_s),
        worker("away", MACHINES[1], gpus=("A", "B", "C"), lease_s=LEASE_S),
    ]


numbers = st.integers(0, 99)
"""Choose one of what there is at the moment."""
workers = st.integers(0, len(fleet()) - 1)
endings = st.sampled_from(ENDINGS)
few_needs = st.lists(numbers, max_size=2)


class QueueMachine(RuleBasedStateMachine):
    """See the module.

    Args:
        open_database: opens an empty one with the queue's schema.

    Attributes:
        hub: what the clients use.
        died: how they see that a process is gone.
        lock_s: as in ``fleet``.
    """

    hub: Hub
    died: type[Exception] = Died
    lock_s: float | None = None

    def __init__(self, open_database: OpenDatabase) -> None:
        super().__init__()
        self.place = Path(tempfile.mkdtemp(dir=IN_MEMORY if os.path.isdir(IN_MEMORY) else None))
        (self.place / "runs").mkdir()
        self.clock = Ticker()
        self.database = open_database(self.place, self.clock)
        self.hub = LocalHub(self.place, self.database)
        self.model = QueueModel(self.clock)
        self.given: list[Given] = []
        self.dead: list[WorkerInfo] = []
        self.boots = 0

    def teardown(self) -> None:
        for each in self.given:
            if each.log is not None:
                os.close(each.log)
        self.hub.close()
        shutil.rmtree(self.place)

    @initialize()
    def start(self) -> None:
        self.fleet = fleet(self.lock_s)
        for each in self.fleet:
            known(self.hub, each)
        for gpus in (1, 2, None, 0):
            self._submit(gpus=gpus, retries=1)

    # What people do

    @rule(
        priority=st.integers(-1, 1), gpus=st.sampled_from([None, 0, 1, 2, 3]), retries=st.integers(0, 2),
        after=few_needs, after_any=few_needs,
    )  # fmt: skip
    def submit(self, after: list[int], after_any: list[int], **about: int | None) -> None:
        self._submit(after=self._ids(after), after_any=self._ids(after_any), **about)

    @rule(number=numbers)
    def cancel(self, number: int) -> None:
        entry = self._job(number)
        accepted = self.model.cancel(entry, "ada@lab")
        assert accepted is not _refused(lambda: self.hub.cancel(entry.id, "ada@lab"), IllegalTransition)

    @rule(number=numbers, any_state=st.booleans())
    def retry(self, number: int, any_state: bool) -> None:
        spoilt = [] if any_state else [each for each in self.model.jobs.values() if each.status in SPOILT]
        entry = spoilt[number % len(spoilt)] if spoilt else self._job(number)
        accepted = self.model.retry(entry)
        assert accepted is not _refused(lambda: self.hub.retry(entry.id), IllegalTransition)

    @rule(number=numbers, priority=st.integers(-1, 1))
    def reprioritise(self, number: int, priority: int) -> None:
        entry = self._job(number)
        accepted = self.model.reprioritise(entry, priority)
        assert accepted is not _refused(lambda: self.hub.reprioritise(entry.id, priority), IllegalTransition)

    # What workers do

    @rule(whose=st.lists(workers, min_size=1, max_size=4), starts=st.booleans())
    def claim(self, whose: list[int], starts: bool) -> None:
        for who in whose:
            self._claim(self.fleet[who], starts)

    @rule(who=workers)
    def renew(self, who: int) -> None:
        self._renew(self.fleet[who])

    @precondition(lambda self: self.given)
    @rule(number=numbers, ending=endings)
    def finish_any(self, number: int, ending: tuple[Verdict, CauseKind, float]) -> None:
        """Every token that ever was may be used at any time."""
        self._finish(self.given[number % len(self.given)], ending)

    @precondition(lambda self: self._current())
    @rule(number=numbers, ending=endings)
    def finish_current(self, number: int, ending: tuple[Verdict, CauseKind, float]) -> None:
        current = self._current()
        self._finish(current[number % len(current)], ending)

    @rule(what=st.sampled_from(["submit", "claim", "finish"]), who=workers, number=numbers, ending=endings)
    def die(self, what: str, who: int, number: int, ending: tuple[Verdict, CauseKind, float]) -> None:
        """A process is gone in the middle of a change: nothing has happened, but files were written."""
        expected = self.model.copy()
        current = self._current()
        if what == "submit":
            self.hub.run_dir(max(self.model.jobs) + 1).mkdir(exist_ok=True)
        elif what == "claim":
            expected.claim(self.fleet[who])
            self._dying(lambda: self.hub.claim(self.fleet[who]), expected.touched)
        elif current:
            lease = current[number % len(current)].lease
            expected.finish(expected.jobs[lease.job_id], *ending)
            self._dying(lambda: self.hub.finish(lease, _outcome(ending)), expected.touched)

    @precondition(lambda self: self._timed())
    @rule(
        number=numbers, who=workers, ending=endings, boots=st.booleans(), renews=st.booleans(), times=st.integers(1, 3)
    )
    def pause_past_the_lease(
        self, number: int, who: int, ending: tuple[Verdict, CauseKind, float], boots: bool, renews: bool, times: int
    ) -> None:
        """A worker stands still, its job goes to another or to itself, perhaps again; then the old attempt ends."""
        timed = self._timed()
        old = late = timed[number % len(timed)]
        for _ in range(times):
            if boots:
                self._boot(self.clock.seconds - 1)
            else:
                self.clock.seconds += LEASE_S + 1
            if renews:
                self._renew(late.worker)
            for by in (*self.fleet[who:], *self.fleet[:who]):
                while not self._is_given_again(late) and self._claim(by):
                    pass
            self._exit(late)
            late = self.given[-1]
        self._finish(old, ending)

    @precondition(lambda self: self.given)
    @rule(number=numbers, exits=st.booleans())
    def go_on(self, number: int, exits: bool) -> None:
        """The program of any attempt goes on writing, or its supervisor leaves a result that is never reported."""
        given = self.given[number % len(self.given)]
        if exits:
            self._exit(given)
        elif given.log is not None:
            os.write(given.log, b"%d\n" % given.lease.attempt)

    @rule(who=workers, buried=st.booleans())
    def lose(self, who: int, buried: bool) -> None:
        """A worker forgets everything, another starts in its place; now or later what the dead left is settled."""
        gone = self.fleet[who]
        self.dead.append(gone)
        self.fleet[who] = worker(gone.name, gone.host, gpus=gone.gpus, lease_s=gone.lease_s)
        known(self.hub, self.fleet[who])
        while buried and self.dead:
            self._bury(self.dead.pop())

    # What the world does

    @rule(seconds=st.sampled_from([1.0, 4.0, LEASE_S, LEASE_S + 1, 400.0]))
    def wait(self, seconds: float) -> None:
        self.clock.seconds += seconds

    @rule(seconds=st.sampled_from([0.0, 1000.0, 5000.0]))
    def reboot(self, seconds: float) -> None:
        self._boot(seconds)

    # What must hold

    @invariant()
    def jobs_agree(self) -> None:
        jobs = {job.id: job for job in self.hub.jobs()}
        assert sorted(jobs) == sorted(self.model.jobs)
        for job_id, entry in self.model.jobs.items():
            job = jobs[job_id]
            cancelled_by = None if job.cancelled_by is None else by_whom(job.cancelled_by)
            found = (job.status, job.attempt, job.failures, job.crashes, job.worker, cancelled_by, job.not_before)
            by, wait = entry.worker.id if entry.worker else None, entry.wait[1] if entry.wait else None
            assert found == (
                entry.status, entry.attempt, entry.failures, entry.crashes, by, entry.cancelled_by, wait,
            ), job_id  # fmt: skip
            assert (job.finished_at is not None) == (entry.status in ENDED)
            if entry.status is JobStatus.QUEUED:
                assert job.blocked == len(self.model.unmet(entry)), job_id

    @invariant()
    def gpus_agree(self) -> None:
        with self.database.snapshot() as tx:
            rows = [(each, row["gpu"]) for each in self._machines() for row in tx.all("gpus_in_use", machine=each)]
        assert len(set(rows)) == len(rows)
        assert set(rows) == self.model.gpus_in_use()

    @invariant()
    def what_changed_is_told_everywhere(self) -> None:
        for job_id in sorted(self.model.touched):
            self._attempts_agree(self.model.jobs[job_id])
            self._meta_agrees(self.model.jobs[job_id])
        self.model.touched.clear()

    @invariant()
    def attempts_never_mix(self) -> None:
        for entry in self.model.jobs.values():
            folder = self.hub.run_dir(entry.id)
            for each in (folder, *(folder / ATTEMPTS).glob("*")):
                number = entry.attempt if each == folder else int(each.name)
                log = each / OUTPUT
                assert not log.exists() or set(log.read_text().split()) <= {str(number)}, log
                if each != folder:
                    assert number <= entry.attempt
                    meta, result = each / META, each / "result.json"
                    assert not meta.exists() or read_document(meta)["job"]["attempt"] == number, meta
                    assert not result.exists() or read_document(result)["attempt"] == number, result

    @invariant()
    def overviews_agree(self) -> None:
        entries = self.model.jobs.values()
        assert self.hub.counts() == {
            status: count for status in JobStatus if (count := sum(each.status is status for each in entries))
        }
        order = self.model.in_order()
        assert [job.id for job in self.hub.upcoming()][: len(order)] == [each.id for each in order]

    # How

    def _machines(self) -> set[str]:
        return {each.machine for each in self.fleet}

    def _job(self, number: int) -> Entry:
        return self.model.jobs[sorted(self.model.jobs)[number % len(self.model.jobs)]]

    def _ids(self, some: list[int]) -> tuple[int, ...]:
        """Some of the jobs there are, each once."""
        return tuple({self._job(number).id for number in some})

    def _current(self) -> list[Given]:
        return [each for each in self.given if self.model.is_current(each.token, each.worker)]

    def _timed(self) -> list[Given]:
        return [each for each in self._current() if each.worker.lease_s is not None]

    def _is_given_again(self, old: Given) -> bool:
        entry = self.model.jobs[old.lease.job_id]
        return entry.attempt > old.lease.attempt or entry.status in ENDED

    def _submit(self, **about: Any) -> None:
        wanted = spec("run", **about)
        self.model.submit(self.hub.submit(wanted).id, wanted)

    def _boot(self, seconds: float) -> None:
        self.boots += 1
        self.clock.era, self.clock.seconds = f"boot {self.boots}", seconds

    def _renew(self, by: WorkerInfo) -> None:
        held = [(lease.job_id, lease.attempt) for lease in self.hub.renew(by)]
        assert held == self.model.renew(by), f"{by.id} is told that it holds {held}"

    def _claim(self, by: WorkerInfo, starts: bool = True) -> bool:
        expected = self.model.claim(by)
        claim = self.hub.claim(by)
        assert (claim and (claim.job.id, claim.job.attempt, claim.gpus)) == (
            expected and (expected.id, expected.attempt, expected.gpus)
        )
        if claim is not None:
            self.given.append(Given(claim.lease, by, self._start(claim) if starts else None))
        return claim is not None

    def _start(self, claim: Claim) -> int:
        path = self.hub.run_dir(claim.job.id) / OUTPUT
        assert not path.exists(), "the new attempt finds the log of another"
        return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

    def _bury(self, gone: WorkerInfo) -> None:
        """Report what a dead worker held: by the result on disk, or as lost."""
        leases = self.hub.leases(gone.id)
        assert [(each.job_id, each.attempt) for each in leases] == sorted(
            (each.id, each.attempt) for each in self.model.jobs.values() if each.worker == gone
        )
        for lease in leases:
            given = next(each for each in self.given if each.lease == lease)
            verdict = Verdict.COMPLETED if given.exited else Verdict.CRASHED
            self._finish(given, (verdict, KINDS[verdict][0], 20.0))
        self.hub.leave(gone.id)

    def _exit(self, given: Given) -> None:
        if not given.exited:
            given.exited = True
            path = self.hub.run_dir(given.lease.job_id) / result_name(given.lease.attempt)
            write_atomic(path, b'{"attempt": %d}' % given.lease.attempt)

    def _finish(self, given: Given, ending: tuple[Verdict, CauseKind, float]) -> None:
        before = self.hub.job(given.lease.job_id)
        accepted = not _refused(lambda: self.hub.finish(given.lease, _outcome(ending)), LeaseLost)
        if self.model.is_current(given.token, given.worker):
            assert accepted, f"{given.lease} holds, and was refused"
            self.model.finish(self.model.jobs[given.lease.job_id], *ending)
            given.reported = True
        elif given.reported:  # the answer to its report may have been lost: it is heard again, and changes nothing
            assert accepted, f"{given.lease} was reported, and is refused"
            assert self.hub.job(given.lease.job_id) == before, f"a stale token was accepted: {given.lease}"
        else:
            assert not accepted, f"a stale token was accepted: {given.lease}"

    def _dying(self, change: Callable[[], object], touched: set[int]) -> None:
        """Let the process die before ``change`` is committed: nothing may have happened, but files were written."""
        self.database.doomed = True
        try:
            assert _refused(change, self.died)
        finally:
            self.database.doomed = False
        for job_id in touched:
            self.model.jobs[job_id].damaged = True

    def _attempts_agree(self, entry: Entry) -> None:
        found = self.hub.attempts(entry.id)
        assert [each.number for each in found] == list(range(1, entry.attempt + 1))
        assert [each.outcome for each in found] == entry.outcomes
        if entry.status in ACTIVE:
            assert found[-1].gpus == entry.gpus

    def _meta_agrees(self, entry: Entry) -> None:
        if entry.damaged:
            return
        job = self.hub.job(entry.id)
        meta = read_document(self.hub.run_dir(entry.id) / META)
        shown = "running" if entry.status in ACTIVE else str(entry.status)
        assert (meta["run_id"], meta["status"], meta["job"]["attempt"]) == (job.run_id, shown, entry.attempt)
        assert meta["finished_at"] == job.finished_at
        if entry.status in ENDED:
            assert meta["cause"] == (job.cause.as_dict() if job.cause else None)
        if entry.status in ACTIVE:
            assert meta["job"]["gpus"] == list(entry.gpus)


def _outcome(ending: tuple[Verdict, CauseKind, float]) -> Outcome:
    verdict, kind, seconds = ending
    return outcome(verdict, kind=kind, seconds=seconds)


def _refused(change: Callable[[], object], error: type[Exception]) -> bool:
    try:
        change()
    except error:
        return True
    return False
