"""``whirr retry``: queue jobs again that failed or were cancelled."""

from __future__ import annotations

import click

from whirr.cli.common import Place, json_option, place_option, print_json
from whirr.cli.queue import Answers, JobNumber, as_json, queue_of, why_ended, worker_command
from whirr.cli.screen import emit, note
from whirr.errors import IllegalTransition, UsageError
from whirr.hub import Hub
from whirr.model import Job, JobStatus


@click.command()
@click.argument("jobs", nargs=-1, type=JobNumber(), metavar="[ID]...")
@click.option("--failed", is_flag=True, help="Every failed job.")
@place_option
@json_option
def command(jobs: tuple[int, ...], failed: bool, place: Place, json: bool) -> int:
    """Queue jobs again under their old number and run id; the files of earlier attempts are kept."""
    if not (jobs or failed):
        raise UsageError("no job to retry is named", hint="give job numbers, or --failed")
    with queue_of(place) as hub:
        chosen = set(jobs) | ({job.id for job in hub.jobs((JobStatus.FAILED,))} if failed else set())
        answers = Answers()
        again = []
        for number in sorted(chosen):  # what a job waits for comes before it
            with answers.collecting(number):
                again.append(_retry(hub, number))
                if not json:
                    emit(f"job {number}  {again[-1].status}")
        if json:
            print_json([*(as_json(hub, job) for job in again), *answers.errors])
        _remark(hub, again, bool(answers.errors))
        return answers.code


def _retry(hub: Hub, number: int) -> Job:
    job = hub.retry(number)
    if job.status is JobStatus.FAILED:
        raise IllegalTransition(
            f"job {number} has failed again at once: {why_ended(hub, job)}", hint="retry the jobs that it needs, too"
        )
    return job


def _remark(hub: Hub, again: list[Job], failures: bool) -> None:
    from whirr.fleet import is_worked_on

    if not again and not failures:
        note("no job has failed")
    elif again and not is_worked_on(hub):
        note(f"no worker is running; start one with: {worker_command(hub)}")
