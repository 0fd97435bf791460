"""``whirr restore``: make a folder and its queue from a backup."""

from __future__ import annotations

import gc
import os
from pathlib import Path

import click

from whirr.backup import restore
from whirr.cli.backup import report
from whirr.cli.common import json_option
from whirr.cli.screen import note
from whirr.config import Settings


@click.command()
@click.argument("source", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.argument("target", type=click.Path(path_type=Path))
@click.option(
    "--database-url",
    metavar="URL",
    help="Put the queue into this empty PostgreSQL database (WHIRR_DATABASE_URL; default: SQLite in TARGET).",
)
@json_option
def command(source: Path, target: Path, database_url: str | None, json: bool) -> None:
    """Make TARGET, a new .whirr folder, and its queue from the backup SOURCE.

    Jobs that ran when the backup was made are queued again.
    """
    gc.enable()
    environ = {"WHIRR_DATABASE_URL": database_url} if database_url else os.environ
    database = Settings.from_env(environ).database_url
    done = restore(source, target, database, note)
    if done.requeued:
        note(f"queued again, as they ran when the backup was made: {', '.join(map(str, done.requeued))}")
    report(done, json=json)
