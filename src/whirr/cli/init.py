"""``whirr init``: make the ``.whirr`` folder and its queue."""

from __future__ import annotations

import os

import click

from whirr.cli.common import Place, place_option
from whirr.cli.queue import place_of, queue_of
from whirr.cli.screen import clean, emit, note
from whirr.config import Settings
from whirr.connect import DATABASE
from whirr.errors import UsageError
from whirr.folder import QUEUE


@click.command()
@place_option
def command(place: Place) -> None:
    """Make a .whirr folder and its queue here, where none is yet. Without it the first run or submission does that."""
    if (url := place.server_url(Settings.from_env())) is not None:
        raise UsageError(
            f"there is nothing to make: {url} has its queue", hint="give --dir for a folder of this machine"
        )
    there = (place_of(place.folder) / QUEUE / DATABASE).exists()
    with queue_of(place, make=True) as hub:
        emit(clean(os.fspath(hub.root)))
        note("the queue is there already" if there else "the queue is ready")
        note("next: whirr submit -- python train.py, then whirr worker, and whirr status or whirr watch")
