"""``whirr again``: submit a job again as a new one, with changes."""

from __future__ import annotations

import click

from whirr.cli.common import Place, json_option, place_option, print_json
from whirr.cli.queue import Duration, JobNumber, as_json, person, queue_of, worker_command
from whirr.cli.screen import complain, emit, note
from whirr.cli.submit import MOST, tags_of, variables_of
from whirr.errors import UsageError
from whirr.model import JobStatus
from whirr.resubmission import Changes


@click.command(epilog="Durations: seconds, or with units: 90, 30s, 10m, 1h30m, 2d.")
@click.argument("job", type=JobNumber(), metavar="ID")
@click.argument("command_line", metavar="[-- COMMAND...]", nargs=-1, type=click.UNPROCESSED)
@click.option("--name", metavar="NAME", help="Another name.")
@click.option("--tags", "--tag", multiple=True, metavar="A,B", help="These tags in place of those it had.")
@click.option("--priority", type=click.IntRange(-MOST, MOST), metavar="N", help="Another priority.")
@click.option("--gpus", type=click.IntRange(0, MOST), metavar="N", help="So many GPUs.")
@click.option("--timeout", type=Duration(), metavar="TIME", help="Stop an attempt that runs longer.")
@click.option("--retries", type=click.IntRange(0, MOST), metavar="N", help="Try again so often when it fails.")
@click.option("--env", multiple=True, metavar="K[=V]", help="Set a variable, beside those it had.")
@click.option("--without-env", multiple=True, metavar="K", help="Leave out a variable that it had.")
@place_option
@json_option
def command(
    job: int,
    command_line: tuple[str, ...],
    name: str | None,
    tags: tuple[str, ...],
    priority: int | None,
    gpus: int | None,
    timeout: float | None,
    retries: int | None,
    env: tuple[str, ...],
    without_env: tuple[str, ...],
    place: Place,
    json: bool,
) -> int:
    """Submit a job again, whatever became of it, as a new job: as it was but for what is given here.

    Its recorded files and packages stay those of the first submission: a job with --snapshot runs on the same files
    again. What follows -- is the new command. To try the same job once more under its number there is whirr retry.
    """
    if command_line and not command_line[0]:
        raise UsageError("there is no command to run", hint="leave it out to run the same one")
    changes = Changes(
        argv=command_line or None,
        name=name,
        tags=tags_of(tags) if tags else None,
        priority=priority,
        gpus=gpus,
        timeout_s=timeout,
        retries=retries,
        env=variables_of(env),
        without_env=without_env,
    )
    with queue_of(place) as hub:
        made = hub.again(job, changes, person())
        if json:
            print_json(as_json(hub, made))
        else:
            emit(f"job {made.id}  {made.run_id}  {made.status}")
        if made.status is JobStatus.FAILED:
            complain(made.cause.message if made.cause else "it has failed already", f"whirr retry {made.id}")
            return 1
        from whirr.fleet import is_worked_on

        if not is_worked_on(hub):
            note(f"no worker is running; start one with: {worker_command(hub)}")
        return 0
