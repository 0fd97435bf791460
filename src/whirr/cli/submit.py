"""``whirr submit``: queue a command."""

from __future__ import annotations

import os
from pathlib import Path

import click

from whirr.cli.common import folder_option, json_option, print_json
from whirr.cli.queue import Duration, JobNumbers, as_json, person, queue_of
from whirr.cli.screen import clean, complain, emit, note
from whirr.errors import FolderError, UsageError, WhirrError
from whirr.hub import Hub
from whirr.model import Job, JobSpec, JobStatus
from whirr.submission import Submission, keep, record

JOBS = JobNumbers()
SHOWN_FILES = 3
MOST = 10**6
"""Far more than anybody wants, and within what every database can hold."""


@click.command(
    context_settings={"allow_interspersed_args": False},
    epilog="Durations: seconds, or with units: 90, 30s, 10m, 1h30m, 2d.",
)
@click.argument("command_line", metavar="-- COMMAND...", nargs=-1, type=click.UNPROCESSED)
@click.option("--name", metavar="NAME", help="Name of the job and its run.")
@click.option("--tags", "--tag", multiple=True, metavar="A,B", help="Tags with commas; may be repeated.")
@click.option(
    "--priority",
    type=click.IntRange(-MOST, MOST),
    default=0,
    metavar="N",
    help="Higher ones run first (default: 0).",
)
@click.option(
    "--gpus", type=click.IntRange(0, MOST), metavar="N", help="GPUs it gets to itself (default: 1 where there are any)."
)
@click.option("--timeout", type=Duration(), metavar="TIME", help="Stop an attempt that runs longer.")
@click.option(
    "--grace", type=Duration(zero=True), default=10.0, metavar="TIME", help="From SIGTERM to SIGKILL (default: 10s)."
)
@click.option(
    "--retries",
    type=click.IntRange(0, MOST),
    default=0,
    metavar="N",
    help="Try again so often when it fails (default: 0).",
)
@click.option("--after", multiple=True, type=JOBS, metavar="ID[,ID]", help="Start when these jobs have completed.")
@click.option("--after-any", multiple=True, type=JOBS, metavar="ID[,ID]", help="Start when these have ended, however.")
@click.option("--env", multiple=True, metavar="K[=V]", help="Set a variable; K alone: to the value it has here.")
@click.option(
    "--workdir",
    type=click.Path(exists=True, file_okay=False),
    metavar="DIR",
    help="Folder it runs in (default: this one).",
)
@click.option("--snapshot", is_flag=True, help="Run in a checkout of the files as they are now.")
@click.option("--include", multiple=True, metavar="PATH", help="Record this untracked file though it is big or secret.")
@folder_option
@json_option
def command(
    command_line: tuple[str, ...],
    name: str | None,
    tags: tuple[str, ...],
    priority: int,
    gpus: int | None,
    timeout: float | None,
    grace: float,
    retries: int,
    after: tuple[tuple[int, ...], ...],
    after_any: tuple[tuple[int, ...], ...],
    env: tuple[str, ...],
    workdir: str | None,
    snapshot: bool,
    include: tuple[str, ...],
    folder: Path | None,
    json: bool,
) -> int:
    """Queue a command; a worker (whirr worker) runs it.

    What follows -- is the command, word for word; no shell sees it. The files of the git work tree, the installed
    packages and the program found for the command are recorded as they are now.
    """
    if not command_line or not command_line[0]:
        raise UsageError("there is no command to run", hint="such as: whirr submit -- python train.py --lr 0.01")
    spec = JobSpec(
        argv=command_line,
        workdir=_workdir(workdir),
        name=name,
        tags=_tags(tags),
        priority=priority,
        gpus=gpus,
        timeout_s=timeout,
        grace_s=grace,
        retries=retries,
        after=_flat(after),
        after_any=_flat(after_any),
        env=_variables(env),
        snapshot=snapshot,
        submitted_by=person(),
    )
    with queue_of(folder, make=True) as hub:
        job, submission = _submit(hub, spec, include)
        if json:
            print_json(as_json(hub, job))
        else:
            emit(f"job {job.id}  {job.run_id}  {job.status}")
        return _talk(hub, job, submission)


def _submit(hub: Hub, spec: JobSpec, include: tuple[str, ...]) -> tuple[Job, Submission]:
    from shutil import rmtree

    staging = hub.staging_folder()
    try:
        submission = record(
            spec.argv,
            Path(spec.workdir),
            staging,
            environ=os.environ,
            include=include,
            snapshot=spec.snapshot,
            own=hub.root,
        )
        spec = spec._replace(executable=submission.executable, submitted=submission.as_dict())
        return hub.submit(spec, staging), submission
    except BaseException:
        rmtree(staging, ignore_errors=True)
        raise


def _talk(hub: Hub, job: Job, submission: Submission) -> int:
    """Say on stderr what was noticed; the exit code."""
    for remark in submission.notes:
        note(clean(remark))
    if submission.tree is not None:
        _keep(job, submission)
        _tell_left_out(submission)
    if job.status is JobStatus.FAILED:
        complain(
            job.cause.message if job.cause else "it has failed already", f"whirr retry {job.id}, when that is mended"
        )
        return 1
    from whirr.fleet import is_worked_on

    if not is_worked_on(hub):
        note("no worker is running; start one with: whirr worker")
    return 0


def _keep(job: Job, submission: Submission) -> None:
    """Keep git from collecting the recorded files."""
    tree = submission.tree
    if tree is not None:
        try:
            keep(tree, f"{job.run_id}-{tree.tree[:12]}")
        except WhirrError as error:
            note(f"git may collect the recorded files: {clean(str(error))}")


def _tell_left_out(submission: Submission) -> None:
    left_out = submission.tree.left_out if submission.tree else ()
    for one in left_out[:SHOWN_FILES]:
        note(f"not recorded: {clean(str(one.path))} ({clean(one.why)})")
    if len(left_out) > SHOWN_FILES:
        note(f"not recorded: {len(left_out) - SHOWN_FILES} files more; meta.json of the run names them")


def _workdir(asked: str | None) -> str:
    try:
        return os.path.abspath(asked) if asked else os.getcwd()
    except OSError:
        raise FolderError("the working directory no longer exists", hint="go to one that does") from None


def _tags(words: tuple[str, ...]) -> tuple[str, ...]:
    tags = [tag.strip() for word in words for tag in word.split(",")]
    return tuple(dict.fromkeys(filter(None, tags)))


def _flat(groups: tuple[tuple[int, ...], ...]) -> tuple[int, ...]:
    return tuple(dict.fromkeys(number for group in groups for number in group))


def _variables(words: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not name:
            raise UsageError(f"--env {word!r} names no variable", hint="such as --env SEED=1, or --env HF_HOME")
        if not equals:
            if name not in os.environ:
                raise UsageError(f"--env {name}: it is not set here", hint=f"give a value: --env {name}=VALUE")
            value = os.environ[name]
        found[name] = value
    return found
