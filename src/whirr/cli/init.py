"""``whirr init``: make the ``.whirr`` folder and its queue."""

from __future__ import annotations

import os
from pathlib import Path

import click

from whirr.cli.common import folder_option
from whirr.cli.queue import place_of, queue_of
from whirr.cli.screen import clean, emit, note
from whirr.connect import DATABASE
from whirr.folder import QUEUE


@click.command()
@folder_option
def command(folder: Path | None) -> None:
    """Make a .whirr folder and its queue here, where none is yet. Without it the first run or submission does that."""
    place = place_of(folder)
    there = (place / QUEUE / DATABASE).exists()
    with queue_of(folder, make=True) as hub:
        emit(clean(os.fspath(hub.root)))
        note("the queue is there already" if there else "the queue is ready")
        note("next: whirr submit -- python train.py, then whirr worker, and whirr status or whirr watch")
