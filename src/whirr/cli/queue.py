"""What the commands of the queue share: where it is, how jobs are named, durations, a job as JSON."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import click

from whirr import about
from whirr.capture.redact import hide_arguments
from whirr.cli.common import Place, root_of
from whirr.cli.screen import clean, complain, note
from whirr.clock import format_duration, parse_duration
from whirr.config import Settings
from whirr.connect import connect, reach
from whirr.errors import IllegalTransition, NotFound
from whirr.fleet import Health, look
from whirr.folder import ROOT
from whirr.hub import Hub
from whirr.model import Job, WorkerInfo
from whirr.process import person as person

if TYPE_CHECKING:
    IntType: TypeAlias = click.ParamType[int]
    IntsType: TypeAlias = click.ParamType[tuple[int, ...]]
    FloatType: TypeAlias = click.ParamType[float]
else:  # older versions of click have no type arguments
    IntType = IntsType = FloatType = click.ParamType

JOB = re.compile(r"(?:job-)?([0-9]{1,15})")


@contextmanager
def queue_of(place: Place, *, make: bool = False, adopt: bool = False) -> Iterator[Hub]:
    """The hub of the queue a command works on, closed afterwards.

    Args:
        make: make the queue, and its folder, where there is none.
        adopt: a PostgreSQL database belongs to the folder from now on.

    Raises:
        NotFound: there is no queue.
        UsageError: the database belongs to another folder.
        FolderError: the folder cannot be made or written.
        StoreError: the queue cannot be opened, or the server not be reached.
    """
    settings = Settings.from_env()
    url, folder = place.server_url(settings), place.folder
    hub: Hub
    if url is not None:
        hub = reach(url, settings)
    else:
        root = place_of(folder) if make else root_of(folder)
        hub = connect(root, settings, make=make, adopt=adopt, said=note)
    try:
        yield hub
    finally:
        hub.close()


def place_of(folder: Path | None) -> Path:
    """The ``.whirr`` folder in force, or the one to be made in ``folder``."""
    try:
        return root_of(folder)
    except NotFound:
        if folder is None:
            raise
        return folder if folder.name == ROOT else folder / ROOT


class JobNumber(IntType):
    """A job, as its number or its run id: ``12``, ``job-12``."""

    name = "job"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The number."""
        if isinstance(value, int):
            return value
        match = JOB.fullmatch(value.strip())
        if not match:
            self.fail(f"{value!r} is no job: give its number, such as 12 or job-12", param, ctx)
        return int(match[1])


class JobNumbers(IntsType):
    """Jobs with commas between them."""

    name = "jobs"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        """The numbers."""
        if isinstance(value, tuple):
            return value
        return tuple(JobNumber().convert(word, param, ctx) for word in value.split(","))


class Duration(FloatType):
    """A duration in seconds, or with units: ``90``, ``30s``, ``10m``, ``1h30m``, ``1d``."""

    name = "duration"

    def __init__(self, *, zero: bool = False) -> None:
        self._zero = zero

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Seconds."""
        if isinstance(value, int | float):
            return float(value)
        try:
            seconds = parse_duration(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)
        if not seconds and not self._zero:
            self.fail("it must be longer than nothing", param, ctx)
        return seconds


def worker_command(hub: Hub) -> str:
    """What starts a worker for a queue."""
    return "whirr worker" if hub.url is None else f"whirr worker --server {hub.url}"


def command_of(job: Job) -> str:
    """The command of a job as a shell would take it, without secrets, on one line."""
    return clean(shlex.join(hide_arguments(job.spec.argv)))


def name_of(hub: Hub, job: Job) -> str:
    """The name of a job, or the one that its program gave the run; empty where there is none."""
    return clean(about.name_of(hub, job))


def environment_of(job: Job) -> dict[str, str]:
    """The variables a job was submitted with, without secrets."""
    shown = hide_arguments([f"{name}={value}" for name, value in job.spec.env.items()])
    return dict(text.split("=", 1) for text in shown)


def why_ended(hub: Hub, job: Job) -> str:
    """The cause of a job's end on one line; empty where it completed."""
    return clean(about.why_ended(hub, job))


def as_json(hub: Hub, job: Job) -> dict[str, Any]:
    """One job as ``--json`` gives it, without secrets."""
    found = job.as_dict(os.fspath(hub.run_dir(job.id)))
    return {**found, "command": hide_arguments(job.spec.argv), "env": environment_of(job)}


SILENCE_EVERY_S = 5.0
"""How often a command that waits for a job looks whether its worker gives no sign of life."""


def tell_silence(hub: Hub, job: Job) -> bool:
    """Say on stderr that the worker of a job gives no sign of life; whether that is so."""
    seen = look(hub).worker_of(job) if job.status.active else None
    if seen is None or seen.health is not Health.UNSEEN:
        return False
    about = f"{seen.worker.name} on {seen.worker.host}, pid {seen.worker.process.get('pid')}"
    silent = format_duration(seen.silent_s)
    note(f"job {job.id}: its worker has not been seen for {silent} ({clean(about)}): {what_becomes(seen.worker)}")
    return True


def what_becomes(worker: WorkerInfo) -> str:
    """What becomes of the jobs of a worker that is not seen."""
    if worker.lease_s is None:
        return "its jobs stay its own until it goes on (kill -CONT) or is gone"
    return "its jobs stay its own until it goes on, or their leases run out"


class Answers:
    """What came of a command that goes on with the next job when one fails.

    Attributes:
        errors: what went wrong, for ``--json``.
    """

    def __init__(self) -> None:
        self.errors: list[dict[str, Any]] = []
        self._missing = True

    @contextmanager
    def collecting(self, number: int) -> Iterator[None]:
        """Tell and keep an error about one job; what concerns the whole queue is raised."""
        try:
            yield
        except (NotFound, IllegalTransition) as error:
            complain(str(error), error.hint)
            self.errors.append({"job_id": number, "error": error.code, "message": str(error)})
            self._missing &= isinstance(error, NotFound)

    @property
    def code(self) -> int:
        """The exit code: 0, 3 where jobs were not found, 1 where another thing went wrong."""
        return 0 if not self.errors else 3 if self._missing else 1
