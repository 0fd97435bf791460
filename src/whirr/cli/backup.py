"""``whirr backup``: copy a folder and its queue while jobs run."""

from __future__ import annotations

import gc
from pathlib import Path

import click

from whirr.backup import Done, back_up
from whirr.cli.common import dir_option, json_option, print_json, root_of
from whirr.cli.screen import clean, emit, note, size
from whirr.config import Settings
from whirr.connect import connect


@click.command()
@click.argument("target", type=click.Path(path_type=Path))
@click.option(
    "--previous",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    metavar="FOLDER",
    help="An earlier backup on the same disk: what has not changed is linked to it.",
)
@dir_option
@json_option
def command(target: Path, previous: Path | None, folder: Path | None, json: bool) -> None:
    """Copy a .whirr folder and its queue into TARGET, a new folder, while jobs run and are submitted.

    Everything that was done before it began is in it. Runs on the machine that has the folder.
    """
    gc.enable()
    hub = connect(root_of(folder), Settings.from_env())
    try:
        done = back_up(hub, target, note, previous=previous)
    finally:
        hub.close()
    report(done, json=json)


def report(done: Done, *, json: bool) -> None:
    """Print what was done."""
    if json:
        print_json(done._asdict())
        return
    copied = f"{done.files} files, {size(done.copied_bytes)} copied"
    emit(f"{clean(done.folder)}  {done.runs} run{'s' * (done.runs != 1)}, {copied}, as of {done.begun_at[:19]} UTC")
