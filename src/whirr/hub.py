"""``Hub``: the one interface to jobs, leases, workers and their files. Programs and faces are given one and never
ask which.

Rules that every implementation keeps (``tests/contract`` holds them to it):

- A job is claimed by one worker at a time. A claim increments the attempt, which is the fencing token: renewing
  and finishing name ``(job, attempt, worker)``, and any other is refused with ``LeaseLost``.
- States change only as ``model.TRANSITIONS`` says.
- What a caller was told happened has reached the disk.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from whirr.catalog import Runs
from whirr.model import Attempt, Claim, Job, JobSpec, JobStatus, Lease, Outcome, Role, Sighting, Token, WorkerInfo
from whirr.resubmission import Changes


class Bell(Protocol):
    """Wakes a worker when there may be something to do."""

    def fileno(self) -> int:
        """A descriptor to wait on."""

    def drain(self) -> object:
        """Take in everything that rang; never waits."""

    def close(self) -> None:
        """Stop listening."""


class Target(NamedTuple):
    """Whose files are sent.

    Attributes:
        run_id: of the run.
        lease: of the attempt they belong to; None: the run is no job's.
        late: the lease is lost: they are kept as those of that earlier attempt.
    """

    run_id: str
    lease: Lease | None = None
    late: bool = False


class Inbox(Protocol):
    """Takes the files of runs that were written on another disk.

    What grows is appended at its end; everything may be sent twice without harm, and what is acknowledged is kept.
    Every method refuses a target whose lease is lost (``LeaseLost``) unless it is ``late``, a path that leaves the
    run's folder (``NotFound``), and what the disk has no room for (``FolderError``).
    """

    def shares(self, folder: Path) -> bool:
        """Whether a folder of this machine is the hub's own root, so that nothing needs to be sent."""

    def begin(self, target: Target) -> dict[str, int]:
        """Make the run's folder if it is missing; the sizes in bytes of the files that are there, by path."""

    def append(self, target: Target, path: str, offset: int, data: bytes) -> int:
        """Append to a file, which is made at offset 0; its new size. Bytes that are there already are not written.

        Raises:
            WrongOffset: the file ends before ``offset``.
        """

    def replace(self, target: Target, path: str, data: bytes) -> None:
        """Replace a small file as a whole."""

    def offer(self, target: Target, path: str, sha256: str, size: int) -> int:
        """Name a file by its content; how many bytes of that content are there. All of them: the file is in place."""

    def send(self, sha256: str, offset: int, data: bytes) -> int:
        """Bytes of an offered content; how many are there now.

        Raises:
            WrongOffset: fewer than ``offset`` are there.
        """

    def seal(self, target: Target, sums: Mapping[str, tuple[int, str]]) -> list[str]:
        """Write to disk and compare with sizes and SHA-256 sums, by path; the paths that differ."""


class Code(Protocol):
    """Submitted trees, by the names of their git objects: stored once, sent as a difference."""

    def known(self, trees: Sequence[str]) -> list[str]:
        """Which of these trees are there, with all they hold."""

    def add(self, tree: str, pack: Path) -> None:
        """Take a tree in, from a pack of what was not known.

        Raises:
            TooLarge: it is larger than the store takes.
            BadAnswer: the pack is damaged, or does not hold the whole tree.
        """

    def fetch(self, tree: str, known: Sequence[str], pack: Path) -> None:
        """Write a pack of a tree into a new file, without what the trees ``known`` hold.

        Raises:
            NotFound: the tree is not there.
        """


class Tokens(Protocol):
    """The tokens of a server; only those of administrators may ask for them."""

    def create(self, name: str, role: Role, lasts_s: float | None = None) -> str:
        """A new token, which is told only now.

        Args:
            lasts_s: seconds for which it is good; None: until it is revoked.

        Raises:
            UsageError: the name is none, or taken.
        """

    def all(self) -> list[Token]:
        """All tokens, oldest first; revoked and expired ones too."""

    def revoke(self, name: str) -> None:
        """Let a token be good no more, at once.

        Raises:
            NotFound: there is none of this name.
        """


class Hub(Protocol):
    """See the module."""

    @property
    def root(self) -> Path:
        """Its ``.whirr`` folder, on the machine where that lies."""

    @property
    def runs(self) -> Runs:
        """The runs and their files."""

    @property
    def inbox(self) -> Inbox:
        """Where files from other disks go."""

    @property
    def code(self) -> Code:
        """The submitted trees."""

    @property
    def tokens(self) -> Tokens:
        """Who may do what at its server."""

    @property
    def url(self) -> str | None:
        """The address of its server; None where there is none between."""

    @property
    def locks(self) -> Path | None:
        """The folder of its workers' locks, where that lies on this machine; None elsewhere."""

    @property
    def outage_s(self) -> float:
        """Seconds for which a worker's leases hold on while nothing listens at the server's address; 0: not."""

    @property
    def look_every_s(self) -> float:
        """Seconds between two looks of an idle worker whose bell is silent."""

    def submit(self, spec: JobSpec, staging: Path | None = None, *, key: str | None = None) -> Job:
        """Queue a job; its id, run id and folder are fixed from now on.

        Args:
            staging: a folder from ``staging_folder``, with files about the submission; it becomes the run's folder.
            key: names this submission: sent again with the same key it gives the job that is there.

        Raises:
            NotFound: a job to wait for does not exist.
        """

    def staging_folder(self) -> Path:
        """A new empty folder for what is recorded at a submission."""

    def job(self, job_id: int) -> Job:
        """One job.

        Raises:
            NotFound: there is none of this number.
        """

    def jobs(
        self,
        statuses: Collection[JobStatus] = (),
        *,
        tag: str | None = None,
        limit: int = 0,
        before: int | None = None,
    ) -> list[Job]:
        """Jobs in these states (none named: all) below the id ``before``, newest first; at most ``limit`` (0: all)."""

    def counts(self) -> dict[JobStatus, int]:
        """How many jobs are in each state."""

    def attempts(self, job_id: int) -> list[Attempt]:
        """The attempts at a job, oldest first."""

    def dependencies(self, job_id: int) -> list[Job]:
        """The jobs that a job was submitted to wait for."""

    def ahead(self, job: Job) -> int:
        """How many queued jobs come before a queued one."""

    def left_for(self, worker: WorkerInfo) -> int:
        """How many queued jobs this worker may yet run: now, after a wait, or when other jobs have ended."""

    def upcoming(self, limit: int = 0) -> list[Job]:
        """The queued jobs in the order in which they will run, those that wait for others last; at most ``limit``."""

    def ended(self, statuses: Collection[JobStatus], limit: int = 0) -> list[Job]:
        """The jobs that have ended in these states, the last ones first; at most ``limit`` (0: all)."""

    def clock(self) -> float:
        """The present on the clock of ``Job.not_before``."""

    def now(self) -> float:
        """The present in seconds since 1970, on the clock of the hub's UTC stamps."""

    def cancel(self, job_id: int, by: str) -> Job:
        """Cancel a job: a queued one now, a running one as soon as its processes are gone.

        Cancelling one that is cancelled already changes nothing.

        Raises:
            NotFound: there is no such job.
            IllegalTransition: it has ended otherwise.
        """

    def retry(self, job_id: int) -> Job:
        """Queue a failed or cancelled job again, with fresh counters; id, run id and earlier attempts stay.

        Queued jobs that wait for it wait again.

        Raises:
            NotFound: there is no such job.
            IllegalTransition: it has not ended, or it completed.
        """

    def reprioritise(self, job_id: int, priority: int) -> Job:
        """Give a queued job another place in the order; one that is its place already changes nothing.

        Raises:
            NotFound: there is no such job.
            IllegalTransition: it waits no longer.
        """

    def again(self, job_id: int, changes: Changes, by: str, *, key: str | None = None) -> Job:
        """Submit a job again, whatever its state, as a new one: with its code and packages, but for some changes.

        Args:
            by: who asks; the new job is his.
            key: as in ``submit``.

        Raises:
            NotFound: there is no such job, or none that it is now to wait for.
            UsageError: a change cannot be understood.
        """

    def register(self, worker: WorkerInfo) -> None:
        """Make a worker known."""

    def workers(self) -> list[WorkerInfo]:
        """The workers that have registered and not left, oldest first."""

    def sightings(self) -> list[Sighting]:
        """The workers as ``workers`` gives them, and whether they are still there."""

    def unknown_folders(self, worker: str) -> list[str]:
        """The work folders of queued jobs of which this worker has not said whether it has them."""

    def tell_folders(self, worker: str, folders: Mapping[str, bool]) -> None:
        """Say which work folders a worker has; of a job whose folder it lacks it is given no claim."""

    def lacked_folders(self, worker: str) -> list[str]:
        """The work folders of queued jobs of which this worker has said that it lacks them."""

    def lacking(self, workdir: str) -> list[str]:
        """The ids of the workers that have said they lack a work folder."""

    def leave(self, worker: str) -> None:
        """Forget a worker that has no job."""

    def claim(self, worker: WorkerInfo, *, usable_gpus: Sequence[str] | None = None) -> Claim | None:
        """The next job for this worker, or None.

        The order is priority, then age. A job that needs more GPUs than are free now, but not more than the worker
        has, is waited for: no narrower job takes GPUs before it.

        Args:
            usable_gpus: those of the worker's GPUs that may be given out now (default: all).
        """

    def renew(self, worker: WorkerInfo) -> list[Lease]:
        """A sign of life: extends the leases of this worker and gives those it still holds."""

    def leases(self, worker: str) -> list[Lease]:
        """The leases that a worker holds."""

    def cancelling(self, worker: str) -> list[Lease]:
        """The leases of a worker whose jobs are to be stopped."""

    def finish(self, lease: Lease, outcome: Outcome) -> Job:
        """Report the end of an attempt; ``model.decide`` says what becomes of the job.

        Raises:
            LeaseLost: the job was taken from this attempt; its files are kept as that attempt's own.
        """

    def run_dir(self, job_id: int) -> Path:
        """The folder of a job's run."""

    def listen(self, worker: str) -> Bell:
        """A bell that rings when a job may be claimed or one of the worker's is to be stopped."""

    def ring(self) -> None:
        """Wake every worker."""

    def close(self) -> None:
        """Let go of what is open."""
