"""A claimed job as a task for an executor: environment, folder, files, limits."""

from __future__ import annotations

import hashlib
import os
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from whirr import config
from whirr.executors.base import Task
from whirr.folder import OUTPUT, result_name
from whirr.gpuset import Gpu, variables
from whirr.locks import attempt_lock, is_here
from whirr.model import Claim, Job
from whirr.submission import Submission
from whirr.worker.folders import Folders

WARN_BEFORE_S = 60.0
WARN_SHARE = 0.1
"""A job is warned a minute before its time limit, or a tenth of a short limit before it."""

WARN_SIGNAL = signal.SIGUSR1
"""What Slurm's ``--signal`` is usually told to send; only processes that handle it are sent it."""


@dataclass(frozen=True, slots=True)
class Checkout:
    """The submitted files as a folder of the job's own.

    Attributes:
        source: the work tree that was submitted, links resolved.
        top: the whole tree.
        workdir: the job's working directory in it.
    """

    source: Path
    top: Path
    workdir: Path

    def own(self, program: str | None) -> str | None:
        """The submitted copy of a program of the work tree; any other program as it is (an ignored ``.venv``, say)."""
        if program is None:
            return None
        place = Path(os.path.realpath(os.path.dirname(program)), os.path.basename(program))
        if not place.is_relative_to(self.source):
            return program
        copy = self.top / place.relative_to(self.source)
        return str(copy) if copy.exists() else program


def prefix(queue: Path) -> str:
    """What the marks of all attempts of one queue begin with."""
    return hashlib.blake2b(str(queue).encode("utf-8", "surrogateescape"), digest_size=6).hexdigest()


def mark(queue: Path, job_id: int, attempt: int) -> str:
    """What the processes of one attempt carry in their environment."""
    return f"{prefix(queue)}:{job_id}:{attempt}"


def task_of(
    claim: Claim,
    folders: Folders,
    queue: Path,
    environ: Mapping[str, str],
    gpus: Sequence[Gpu] | None,
    *,
    checkout: Checkout | None = None,
    longest_grace_s: float | None = None,
) -> Task:
    """The task of a claimed job.

    Args:
        folders: where it writes.
        environ: the worker's own environment.
        gpus: the GPUs the job has to itself; None on a worker without GPUs, whose jobs see what the worker sees.
        checkout: where the submitted files are, for a job that is to run on them.
        longest_grace_s: a bound on the time between SIGTERM and SIGKILL.
    """
    job = claim.job
    run_dir = folders.place(job.id, job.attempt)
    grace = job.spec.grace_s if longest_grace_s is None else min(job.spec.grace_s, longest_grace_s)
    limit = job.spec.timeout_s
    return Task(
        job_id=job.id,
        attempt=job.attempt,
        argv=job.spec.argv,
        executable=_program(job, checkout),
        cwd=str(checkout.workdir) if checkout else job.spec.workdir,
        env=_environment(job, folders, environ, gpus, checkout),
        run_dir=run_dir,
        output=run_dir / OUTPUT,
        result=run_dir / result_name(job.attempt),
        lock=attempt_lock(queue, job.id, job.attempt),
        mark=mark(queue, job.id, job.attempt),
        grace_s=grace,
        timeout_s=limit,
        warn_signal=WARN_SIGNAL if limit else None,
        warn_before_s=0.0 if limit is None else min(WARN_BEFORE_S, limit * WARN_SHARE),
    )


def _program(job: Job, checkout: Checkout | None) -> str | None:
    """The program as it was found at submission; None where another machine has none at that place."""
    found = checkout.own(job.spec.executable) if checkout else job.spec.executable
    return found if found is not None and (_from_here(job) or os.access(found, os.X_OK)) else None


def _from_here(job: Job) -> bool:
    """Whether a job was submitted on this machine, whose paths and variables are then good for it."""
    machine = job.spec.submitted.get("machine")
    return machine is None or is_here(machine)


def _environment(
    job: Job,
    folders: Folders,
    environ: Mapping[str, str],
    gpus: Sequence[Gpu] | None,
    checkout: Checkout | None,
) -> dict[str, str]:
    """The worker's environment, with the submitter's choice of programs, the job's own variables and its GPUs."""
    found = {name: value for name, value in environ.items() if name not in config.FOR_JOBS}
    if job.spec.submitted and _from_here(job):
        found |= Submission.from_dict(job.spec.submitted).variables
    found.setdefault("PYTHONUNBUFFERED", "1")
    found |= job.spec.env
    if gpus is not None or job.spec.gpus == 0:
        found |= variables(gpus or ())
    found |= {
        config.DIR: str(folders.root),
        config.RUN_DIR: str(folders.place(job.id, job.attempt)),
        config.RUN_ID: job.run_id,
        config.JOB_ID: str(job.id),
        config.ATTEMPT: str(job.attempt),
    }
    if (before := folders.previous(job)) is not None:
        found[config.PREVIOUS_DIR] = str(before)
    if checkout is not None:
        _import_from(checkout.top, found)
    return found


def _import_from(top: Path, environment: dict[str, str]) -> None:
    """A project that is installed in place (``pip install -e``) is to be imported from the checkout all the same."""
    if any((top / name).exists() for name in ("pyproject.toml", "setup.py")):
        source = top / "src"
        first = str(source if source.is_dir() else top)
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, [first, environment.get("PYTHONPATH")]))
