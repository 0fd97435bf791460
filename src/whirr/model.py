"""What the queue is about: jobs, attempts, workers, and the rules of their states. No input or output here."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Any, NamedTuple

NOTHING: Mapping[str, Any] = MappingProxyType({})

CRASHES_ALLOWED = 3
"""So many workers may be lost under a job before it is set aside."""

REQUEUE_EXIT_CODE = 85
"""A job that ends with this code asks to be queued again."""

BACKOFF_FIRST_S, BACKOFF_MOST_S = 5.0, 300.0
SHORT_ATTEMPT_S = 10.0
"""An attempt that is queued again sooner than this for one of the causes SPINNING waits a little."""

UNSEEN_AFTER_S = 30.0
"""Seconds without a sign of life after which a worker is called unseen."""

FORGET_AFTER_S = 7 * 86400.0
"""Seconds without a sign of life after which a worker that has no job is forgotten."""


class JobStatus(StrEnum):
    """The state of a job. A terminal one is left only by ``retry``."""

    QUEUED = "queued"
    RUNNING = "running"
    CANCELLING = "cancelling"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def active(self) -> bool:
        """Whether an attempt is under way: the job has a worker and a lease."""
        return self in (JobStatus.RUNNING, JobStatus.CANCELLING)

    @property
    def terminal(self) -> bool:
        """Whether the job has ended."""
        return self in (JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELLED)


_S = JobStatus
TRANSITIONS: dict[JobStatus, frozenset[JobStatus]] = {
    _S.QUEUED: frozenset({_S.RUNNING, _S.CANCELLED, _S.FAILED}),
    _S.RUNNING: frozenset({_S.COMPLETED, _S.FAILED, _S.CANCELLING, _S.QUEUED}),
    _S.CANCELLING: frozenset({_S.CANCELLED}),
    _S.COMPLETED: frozenset(),
    _S.FAILED: frozenset({_S.QUEUED}),
    _S.CANCELLED: frozenset({_S.QUEUED}),
}
"""The legal changes of state; the table ``transitions`` of the store holds the same, and its keys enforce it."""


class CauseKind(StrEnum):
    """Why a job or an attempt did not simply complete."""

    EXIT = "exit"
    SIGNAL = "signal"
    OUT_OF_MEMORY = "out-of-memory"
    GPU_OUT_OF_MEMORY = "gpu-out-of-memory"
    TIME_LIMIT = "time-limit"
    CANCELLED = "cancelled"
    WORKER_LOST = "worker-lost"
    WORKER_STOPPED = "worker-stopped"
    REQUEUED = "requeued"
    COMMAND_NOT_FOUND = "command-not-found"
    WORKDIR_MISSING = "workdir-missing"
    START_FAILED = "start-failed"
    DEPENDENCY_FAILED = "dependency-failed"


LASTING = (CauseKind.COMMAND_NOT_FOUND, CauseKind.WORKDIR_MISSING)
"""What trying again does not mend."""

SPINNING = (CauseKind.REQUEUED, CauseKind.START_FAILED)
"""What would often end the next attempt as soon."""


class Cause(NamedTuple):
    """Why, in a word for programs and a sentence for people.

    Attributes:
        kind: the word.
        message: the sentence.
        exit_code: of the job's process, where it exited.
        signal: the name of the signal that ended it, such as ``SIGKILL``.
    """

    kind: CauseKind
    message: str
    exit_code: int | None = None
    signal: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """The ``cause`` of ``meta.json`` and of ``--json``."""
        found = {"kind": str(self.kind), "message": self.message, "exit_code": self.exit_code, "signal": self.signal}
        return {key: value for key, value in found.items() if value is not None}

    @classmethod
    def from_dict(cls, found: Mapping[str, Any]) -> Cause:
        """The inverse of ``as_dict``."""
        return cls(CauseKind(found["kind"]), found["message"], found.get("exit_code"), found.get("signal"))


class JobSpec(NamedTuple):
    """What is submitted.

    Attributes:
        argv: the command as an argument vector; never given to a shell.
        workdir: absolute path of the folder it runs in.
        gpus: how many GPUs it gets to itself; None: one where the worker has GPUs, none elsewhere.
        timeout_s: seconds one attempt may run.
        grace_s: seconds between SIGTERM and SIGKILL when it is stopped.
        retries: how often it is tried again after it failed.
        after: jobs that must complete first.
        after_any: jobs that must end first, however.
        env: variables added to the worker's environment.
        executable: absolute path of the program that ``argv[0]`` meant where it was submitted.
        snapshot: run in a checkout of the submitted tree instead of ``workdir``.
        submitted: what was recorded of code and environment (``submission.Submission.as_dict``).
    """

    argv: tuple[str, ...]
    workdir: str
    name: str | None = None
    config: Mapping[str, Any] = NOTHING
    tags: tuple[str, ...] = ()
    priority: int = 0
    gpus: int | None = None
    timeout_s: float | None = None
    grace_s: float = 10.0
    retries: int = 0
    after: tuple[int, ...] = ()
    after_any: tuple[int, ...] = ()
    env: Mapping[str, str] = NOTHING
    executable: str | None = None
    snapshot: bool = False
    submitted: Mapping[str, Any] = NOTHING
    submitted_by: str = ""


RANGES: Mapping[str, tuple[float, float]] = MappingProxyType(
    {
        "priority": (-(10**6), 10**6),
        "gpus": (0, 10**9),
        "timeout_s": (0.001, 1e9),
        "grace_s": (0.0, 1e9),
        "retries": (0, 10**9),
    }
)
"""The least and the most that a number of a ``JobSpec`` may be; both whole where it is."""


class Job(NamedTuple):
    """A job as the queue knows it.

    Attributes:
        id: its number.
        attempt: how often it was started; also the fencing token of its lease.
        failures: failed attempts since it was last queued by a person.
        crashes: workers lost under it since then.
        blocked: how many jobs it waits for.
        worker: the id of the worker that runs it.
        not_before: seconds on the store's clock before which it is not started; None: at once.
    """

    id: int
    spec: JobSpec
    status: JobStatus
    attempt: int
    failures: int
    crashes: int
    blocked: int
    worker: str | None
    not_before: float | None
    submitted_at: str
    started_at: str | None
    finished_at: str | None
    cause: Cause | None
    exit_code: int | None
    cancelled_by: str | None

    @property
    def run_id(self) -> str:
        """The id of its run, the same in every attempt."""
        return run_id_of(self.id)

    def as_dict(self, run_dir: str) -> dict[str, Any]:
        """As programs are given it, with the folder of its run: by ``--json``, and with more by ``WhirrClient``."""
        spec = self.spec
        return {
            "job_id": self.id,
            "run_id": self.run_id,
            "run_dir": run_dir,
            "name": spec.name,
            "status": str(self.status),
            "exit_code": self.exit_code,
            "cause": self.cause.as_dict() if self.cause else None,
            "command": list(spec.argv),
            "workdir": spec.workdir,
            "tags": list(spec.tags),
            "priority": spec.priority,
            "gpus": spec.gpus,
            "timeout_seconds": spec.timeout_s,
            "grace_seconds": spec.grace_s,
            "retries": spec.retries,
            "after": list(spec.after),
            "after_any": list(spec.after_any),
            "env": dict(spec.env),
            "snapshot": spec.snapshot,
            "attempt": self.attempt,
            "failures": self.failures,
            "crashes": self.crashes,
            "worker": self.worker,
            "submitted_by": spec.submitted_by,
            "submitted_at": self.submitted_at,
            "started_at": self.started_at,
            "finished_at": self.finished_at,
            "cancelled_by": self.cancelled_by,
        }


def run_id_of(job_id: int) -> str:
    """The id of the run of a job."""
    return f"job-{job_id}"


class Lease(NamedTuple):
    """The right to run one attempt: every write of a worker about a job names it."""

    job_id: int
    attempt: int
    worker: str


class Claim(NamedTuple):
    """A job given to a worker.

    Attributes:
        job: the job, now running.
        lease: its lease.
        gpus: the GPUs it has to itself (ids as the worker offered them).
    """

    job: Job
    lease: Lease
    gpus: tuple[str, ...]


class Attempt(NamedTuple):
    """One attempt at a job, under way or ended.

    Attributes:
        worker: the worker's name and host, for people.
        outcome: how it ended: a status word, ``requeued`` or ``lost``; None while it is under way.
        usage: seconds of processor time, peak memory and the like.
    """

    job_id: int
    number: int
    worker: str
    gpus: tuple[str, ...]
    started_at: str
    finished_at: str | None
    outcome: str | None
    cause: Cause | None
    usage: Mapping[str, Any]


class Verdict(StrEnum):
    """What a worker says of an attempt that ended."""

    COMPLETED = "completed"
    FAILED = "failed"
    REQUEUE = "requeue"
    CRASHED = "crashed"


class Outcome(NamedTuple):
    """How an attempt ended.

    Attributes:
        verdict: what to make of it.
        duration_s: how long it ran.
        finished_at: the UTC stamp of its end.
        usage: as in ``Attempt``.
    """

    verdict: Verdict
    cause: Cause | None
    duration_s: float
    finished_at: str
    usage: Mapping[str, Any] = NOTHING


class WorkerInfo(NamedTuple):
    """A worker.

    Attributes:
        id: unique for ever: its name and a random part.
        name: given by people, by default the host's.
        process: the identity of its process (``process.identity``).
        slots: how many jobs it runs at once.
        gpus: the GPUs it gives out, by UUID, in PCI order.
        lease_s: seconds for which a lease holds without a renewal; None: as long as the worker's lock is held.
        remote: it works through a server, which alone says when its leases have run out.
        finishing: it was told to take no more jobs.
    """

    id: str
    name: str
    process: Mapping[str, Any]
    slots: int
    gpus: tuple[str, ...]
    lease_s: float | None
    started_at: str
    seen_at: str
    remote: bool = False
    finishing: bool = False

    @property
    def host(self) -> str:
        """The machine it runs on."""
        return str(self.process.get("host") or "")

    @property
    def machine(self) -> str:
        """What tells its machine from all others; GPUs are given out once a machine."""
        return f"{self.host}/{self.process.get('machine_id')}"


class Sighting(NamedTuple):
    """A worker as its hub sees it.

    Attributes:
        silent_s: seconds since its last sign of life.
        gone: its process is known to be gone.
    """

    worker: WorkerInfo
    silent_s: float
    gone: bool


class Role(StrEnum):
    """What a token is good for.

    ``read`` looks, ``submit`` also submits, cancels and sends files of runs, ``worker`` looks and runs jobs but cannot
    submit any, ``admin`` may do everything, tokens included.
    """

    READ = "read"
    SUBMIT = "submit"
    WORKER = "worker"
    ADMIN = "admin"


class Token(NamedTuple):
    """A token, without what proves it."""

    id: str
    name: str
    role: Role
    created_at: str
    expires_at: str | None
    revoked_at: str | None


class Decision(NamedTuple):
    """What becomes of a job when an attempt has ended.

    Attributes:
        status: its next state.
        outcome: the word for the attempt.
        wait_s: seconds before it may start again.
    """

    status: JobStatus
    outcome: str
    cause: Cause | None
    failures: int
    crashes: int
    wait_s: float = 0.0


def decide(job: Job, outcome: Outcome) -> Decision:
    """The next state of a job whose attempt ended so; a cancelled job is cancelled however its process ended."""
    if job.status is JobStatus.CANCELLING:
        cause = cancelled_cause(job.cancelled_by)
        return Decision(_S.CANCELLED, _S.CANCELLED, cause, job.failures, job.crashes)
    if outcome.verdict is Verdict.COMPLETED:
        return Decision(_S.COMPLETED, _S.COMPLETED, None, job.failures, job.crashes)
    if outcome.verdict is Verdict.REQUEUE:
        spins = outcome.cause is not None and outcome.cause.kind in SPINNING
        wait = BACKOFF_FIRST_S if spins and outcome.duration_s < SHORT_ATTEMPT_S else 0.0
        return Decision(_S.QUEUED, "requeued", outcome.cause, job.failures, job.crashes, wait)
    if outcome.verdict is Verdict.CRASHED:
        return _after_crash(job, outcome)
    failures = job.failures + 1
    lasting = outcome.cause is not None and outcome.cause.kind in LASTING
    if lasting or failures > job.spec.retries:
        return Decision(_S.FAILED, _S.FAILED, outcome.cause, failures, job.crashes)
    return Decision(_S.QUEUED, _S.FAILED, outcome.cause, failures, job.crashes, backoff_s(failures))


def _after_crash(job: Job, outcome: Outcome) -> Decision:
    crashes = job.crashes + 1
    if crashes < CRASHES_ALLOWED:
        return Decision(_S.QUEUED, "lost", outcome.cause, job.failures, crashes)
    message = f"set aside: {crashes} attempts were lost with their worker or supervisor"
    return Decision(_S.FAILED, "lost", Cause(CauseKind.WORKER_LOST, message), job.failures, crashes)


def backoff_s(failures: int) -> float:
    """Seconds to wait before the next attempt after so many failures: doubling, with an upper bound."""
    return min(BACKOFF_FIRST_S * 2.0 ** min(failures - 1, 30), BACKOFF_MOST_S)


def cancelled_cause(by: str | None) -> Cause:
    """The cause of a job that was cancelled."""
    return Cause(CauseKind.CANCELLED, f"cancelled by {by}" if by else "cancelled")
