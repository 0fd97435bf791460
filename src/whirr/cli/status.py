"""``whirr status``: the queue, or one job."""

from __future__ import annotations

from typing import Any

import click

from whirr.cli.common import Place, json_option, place_option, print_json
from whirr.cli.queue import JobNumber, as_json, queue_of
from whirr.cli.screen import emit, note, screen_of
from whirr.hub import Hub
from whirr.overview import Overview, overview

USUAL_LIMIT = 10


@click.command()
@click.argument("job", required=False, type=JobNumber(), metavar="[ID]")
@click.option("--all", "everything", is_flag=True, help="Show all queued and ended jobs.")
@click.option(
    "--limit",
    type=click.IntRange(min=0),
    default=USUAL_LIMIT,
    show_default=True,
    metavar="N",
    help="Show so many queued and so many ended jobs at most; 0: all.",
)
@place_option
@json_option
def command(job: int | None, everything: bool, limit: int, place: Place, json: bool) -> None:
    """Show what runs, what waits and why, what has ended, and who works; with ID, all about one job."""
    with queue_of(place) as hub:
        if job is not None:
            _one(hub, job, json)
            return
        view = overview(hub, 0 if everything else limit)
        if json:
            print_json(_document(hub, view))
            return
        from whirr.cli.board import board, summary
        from whirr.cli.gpus import GpuNames

        screen = screen_of()
        lines = board(hub, view, screen, GpuNames())
        emit("\n".join([*lines, *([""] if lines else []), *summary(hub, view, screen)]))
        if not view.counts:
            note("hint: whirr submit -- COMMAND queues a command")


def _one(hub: Hub, number: int, json: bool) -> None:
    from whirr.cli.job import document, report

    job = hub.job(number)
    if json:
        print_json(document(hub, job))
    else:
        emit("\n".join(report(hub, job, screen_of())))


def _document(hub: Hub, view: Overview) -> dict[str, Any]:
    return {
        "counts": {str(status): count for status, count in view.counts.items()},
        "running": [
            {
                **as_json(hub, each.job),
                "worker_name": each.worker.worker.name if each.worker else None,
                "gpu_uuids": list(each.gpus),
                "elapsed_seconds": round(each.elapsed_s, 3),
                "progress": each.progress.as_dict(),
            }
            for each in view.running
        ],
        "queued": [{**as_json(hub, job), "why": why} for job, why in view.queued],
        "ended": [as_json(hub, job) for job in view.ended],
        "workers": [
            {
                "id": seen.worker.id,
                "name": seen.worker.name,
                "host": seen.worker.host,
                "health": str(seen.health),
                "finishing": seen.worker.finishing,
                "slots": seen.worker.slots,
                "gpus": list(seen.worker.gpus),
                "gpus_in_use": sorted(seen.gpus_in_use),
                "jobs": [job.id for job in seen.jobs],
                "started_at": seen.worker.started_at,
                "seen_at": seen.worker.seen_at,
            }
            for seen in view.fleet.shown
        ],
    }
