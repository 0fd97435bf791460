"""``whirr cancel``: take jobs out of the queue, or stop them."""

from __future__ import annotations

import time
from collections.abc import Iterable

import click

from whirr.cli.common import Place, json_option, place_option, print_json
from whirr.cli.queue import SILENCE_EVERY_S, Answers, JobNumber, as_json, person, queue_of, tell_silence
from whirr.cli.screen import emit, note
from whirr.errors import UsageError
from whirr.hub import Hub
from whirr.locks import is_dead
from whirr.model import Job, JobStatus

LOOK_EVERY_S = 0.1
OPEN = (JobStatus.QUEUED, JobStatus.RUNNING, JobStatus.CANCELLING)


@click.command()
@click.argument("jobs", nargs=-1, type=JobNumber(), metavar="[ID]...")
@click.option("--all-queued", is_flag=True, help="Cancel every queued job.")
@click.option("--tag", metavar="T", help="Cancel every queued and running job with this tag.")
@click.option("--wait", is_flag=True, help="Return when the processes of those that ran are gone.")
@place_option
@json_option
def command(jobs: tuple[int, ...], all_queued: bool, tag: str | None, wait: bool, place: Place, json: bool) -> int:
    """Cancel jobs. A queued one is cancelled now; a running one is stopped, which takes up to its grace."""
    if not (jobs or all_queued or tag is not None):
        raise UsageError("no job to cancel is named", hint="give job numbers, --all-queued or --tag T")
    with queue_of(place) as hub:
        answers = Answers()
        cancelled = []
        # The youngest first: a job fails when one that it waits for is cancelled before it.
        for number in sorted(_chosen(hub, jobs, all_queued, tag), reverse=True):
            with answers.collecting(number):
                job = _cancel(hub, number, quiet=json)
                if not wait:
                    tell_silence(hub, job)
                cancelled.append(_wait(hub, job, quiet=json) if wait else job)
        if json:
            print_json([*(as_json(hub, job) for job in cancelled), *answers.errors])
        elif not cancelled and not answers.errors:
            note("there is nothing to cancel")
        return answers.code


def _chosen(hub: Hub, jobs: Iterable[int], all_queued: bool, tag: str | None) -> set[int]:
    chosen = set(jobs)
    if all_queued:
        chosen |= {job.id for job in hub.jobs((JobStatus.QUEUED,))}
    if tag is not None:
        chosen |= {job.id for job in hub.jobs(OPEN, tag=tag)}
    return chosen


def _cancel(hub: Hub, number: int, *, quiet: bool) -> Job:
    before = hub.job(number).status
    job = hub.cancel(number, person())
    if job.status is JobStatus.CANCELLING:
        job = _settle(hub, job)
    if not quiet:
        emit(f"job {number}  {_what(before, job.status)}")
    return job


def _what(before: JobStatus, after: JobStatus) -> str:
    if after is before:
        return "cancelled already" if after is JobStatus.CANCELLED else "stopping already"
    return "stopping" if after is JobStatus.CANCELLING else str(after)


def _settle(hub: Hub, job: Job) -> Job:
    """Clear up after the worker of a job if it is dead: nobody else may be there to do it."""
    from whirr.worker.reaper import reap

    worker = next((worker for worker in hub.workers() if worker.id == job.worker), None)
    if hub.locks is not None and worker is not None and is_dead(worker, hub.locks):
        reap(hub, hub.locks)
        return hub.job(job.id)
    return job


def _wait(hub: Hub, job: Job, *, quiet: bool) -> Job:
    stopping = job.status is JobStatus.CANCELLING
    told, due = False, 0.0
    while job.status is JobStatus.CANCELLING:
        if not told and time.monotonic() >= due:
            told, due = tell_silence(hub, job), time.monotonic() + SILENCE_EVERY_S
        time.sleep(LOOK_EVERY_S)
        job = _settle(hub, hub.job(job.id))
    if stopping and not quiet:
        emit(f"job {job.id}  {job.status}")
    return job
