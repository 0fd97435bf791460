"""``whirr submit``: queue a command."""

from __future__ import annotations

import os
from pathlib import Path

import click

from whirr.cli.common import Place, json_option, place_option, print_json
from whirr.cli.queue import Duration, JobNumbers, as_json, person, queue_of, worker_command
from whirr.cli.screen import clean, complain, emit, note
from whirr.errors import FolderError, UsageError, WhirrError
from whirr.hub import Hub
from whirr.model import Job, JobSpec, JobStatus
from whirr.project import Project, find_project
from whirr.snapshot import send
from whirr.submission import UNTRACKED_LIMIT, Submission, keep, record
from whirr.values import encodes

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
    type=click.Path(file_okay=False),
    metavar="DIR",
    help="Folder it runs in (default: this one); with --server, of the workers.",
)
@click.option(
    "--snapshot/--no-snapshot",
    default=None,
    help="Run in a checkout of the files as they are now (default: as whirr.toml says, else no).",
)
@click.option("--include", multiple=True, metavar="PATH", help="Record this untracked file though it is big or secret.")
@place_option
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
    snapshot: bool | None,
    include: tuple[str, ...],
    place: Place,
    json: bool,
) -> int:
    """Queue a command; a worker (whirr worker) runs it.

    What follows -- is the command, word for word; no shell sees it. The files of the git work tree, the installed
    packages and the program found for the command are recorded as they are now.
    """
    if not command_line or not command_line[0]:
        raise UsageError("there is no command to run", hint="such as: whirr submit -- python train.py --lr 0.01")
    folder = _workdir(workdir)
    project = find_project(Path(folder))
    spec = JobSpec(
        argv=command_line,
        workdir=folder,
        name=name,
        tags=tags_of(tags),
        priority=priority,
        gpus=gpus,
        timeout_s=timeout,
        grace_s=grace,
        retries=retries,
        after=_flat(after),
        after_any=_flat(after_any),
        env=variables_of(env),
        snapshot=project.snapshot if snapshot is None else snapshot,
        submitted_by=person(),
    )
    project = project._replace(include=(*include, *project.include))
    with queue_of(place, make=True) as hub:
        job, submission = _submit(hub, spec, project)
        if json:
            print_json(as_json(hub, job))
        else:
            emit(f"job {job.id}  {job.run_id}  {job.status}")
        return _talk(hub, job, submission)


def _submit(hub: Hub, spec: JobSpec, project: Project) -> tuple[Job, Submission]:
    """Record and queue.

    A server is sent no variables but those asked for by name: PATH and its like are good on this machine only.
    """
    from shutil import rmtree

    remote = hub.locks is None
    if not os.path.isdir(spec.workdir):
        if spec.snapshot or not remote:
            raise UsageError(f"there is no folder {spec.workdir}", hint="give --workdir the folder it is to run in")
        return hub.submit(spec), Submission(None, None, None)  # it is on the workers' machines
    staging = hub.staging_folder()
    try:
        submission = _recorded(hub, spec, project, staging)
        if remote:
            submission = submission._replace(variables={})
        spec = spec._replace(executable=submission.executable, submitted=submission.as_dict())
        return hub.submit(spec, staging), submission
    except BaseException:
        rmtree(staging, ignore_errors=True)
        raise


def _recorded(hub: Hub, spec: JobSpec, project: Project, staging: Path) -> Submission:
    submission = record(
        spec.argv,
        Path(spec.workdir),
        staging,
        environ=os.environ,
        include=project.include,
        snapshot=spec.snapshot,
        own=hub.root,
        untracked_limit=UNTRACKED_LIMIT if project.untracked_limit is None else project.untracked_limit,
    )
    if spec.snapshot and submission.tree is not None:
        submission = submission._replace(tree=send(hub.code, submission.tree))
    return submission


def _talk(hub: Hub, job: Job, submission: Submission) -> int:
    """Say on stderr what was noticed; the exit code."""
    for remark in (*submission.notes, *(submission.tree.notes if submission.tree else ())):
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
        note(f"no worker is running; start one with: {worker_command(hub)}")
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


def tags_of(words: tuple[str, ...]) -> tuple[str, ...]:
    """The tags that options name, each once.

    Raises:
        UsageError: one is no text.
    """
    tags = [tag.strip() for word in words for tag in word.split(",")]
    if odd := [tag for tag in tags if not encodes(tag, "strict")]:
        raise UsageError(f"the tag {odd[0]!r} is no valid text", hint="give it in UTF-8")
    return tuple(dict.fromkeys(filter(None, tags)))


def _flat(groups: tuple[tuple[int, ...], ...]) -> tuple[int, ...]:
    return tuple(dict.fromkeys(number for group in groups for number in group))


def variables_of(words: tuple[str, ...]) -> dict[str, str]:
    """The variables that options name.

    Raises:
        UsageError: one is not understood, or is not set here.
    """
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
