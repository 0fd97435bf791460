"""``whirr init``: make the ``.whirr`` folder and its queue."""

from __future__ import annotations

import os

import click

from whirr.cli.common import Place, place_option
from whirr.cli.queue import place_of, queue_of
from whirr.cli.screen import clean, emit, note
from whirr.config import Settings
from whirr.connect import has_queue
from whirr.errors import UsageError


@click.command()
@place_option
@click.option(
    "--adopt",
    is_flag=True,
    help="This folder takes the place of the one that WHIRR_DATABASE_URL belongs to, which is lost or was replaced.",
)
def command(place: Place, adopt: bool) -> None:
    """Make a .whirr folder and its queue here, where none is yet. Without it the first run or submission does that."""
    settings = Settings.from_env()
    if (url := place.server_url(settings)) is not None:
        raise UsageError(
            f"there is nothing to make: {url} has its queue", hint="give --dir for a folder of this machine"
        )
    if adopt and settings.database_url is None:
        raise UsageError("a queue in SQLite lies in its folder", hint="--adopt is for a WHIRR_DATABASE_URL")
    there = has_queue(place_of(place.folder))
    ready = "the queue is there already" if there else "the queue is ready"
    with queue_of(place, make=True, adopt=adopt) as hub:
        emit(clean(os.fspath(hub.root)))
        note("the runs of the queue are in this folder from now on" if adopt else ready)
        if adopt:
            note("start anew what cannot be seen from here and may still use the other one: servers, dashboards")
        note("next: whirr submit -- python train.py, then whirr worker, and whirr status or whirr watch")
