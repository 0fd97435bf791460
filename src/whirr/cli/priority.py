"""``whirr priority``: give queued jobs another place in the order."""

from __future__ import annotations

from typing import Any

import click

from whirr.cli.common import Place, json_option, place_option, print_json
from whirr.cli.queue import Answers, JobNumber, as_json, queue_of
from whirr.cli.screen import emit
from whirr.cli.submit import MOST


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("jobs", nargs=-1, required=True, type=JobNumber(), metavar="ID...")
@click.argument("priority", type=click.IntRange(-MOST, MOST), metavar="N")
@place_option
@json_option
def command(jobs: tuple[int, ...], priority: int, place: Place, json: bool) -> int:
    """Give queued jobs the priority N: higher ones run first, among equals the oldest. What runs already runs on."""
    with queue_of(place) as hub:
        answers = Answers()
        found: list[dict[str, Any]] = []
        for number in dict.fromkeys(jobs):
            with answers.collecting(number):
                job = hub.reprioritise(number, priority)
                found.append(as_json(hub, job))
                if not json:
                    ahead = hub.ahead(job)
                    where = "waits for others" if job.blocked else f"{ahead or 'nothing'} before it"
                    emit(f"job {number}  priority {priority}  {where}")
        if json:
            print_json([*found, *answers.errors])
        return answers.code
