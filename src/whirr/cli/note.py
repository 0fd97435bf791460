"""``whirr note``: show or write the notes on a run."""

from __future__ import annotations

import sys

import click

from whirr.cli.common import Place, json_option, place_option, print_json, runs_of
from whirr.cli.screen import clean, emit, note
from whirr.errors import UsageError


@click.command()
@click.argument("run")
@click.argument("text", required=False)
@click.option("--append", "-a", is_flag=True, help="Add a line to the notes that are there.")
@place_option
@json_option
def command(run: str, text: str | None, append: bool, place: Place, json: bool) -> None:
    """Show the notes on a run; with TEXT, write them. An empty TEXT removes them, - reads them from standard input.

    RUN is an id, its beginning or its last part, an exact name, or - for the latest run.
    """
    if append and text is None:
        raise UsageError("--append needs a text", hint="whirr note RUN --append 'looks good'")
    with runs_of(place) as runs:
        run_id = runs.find(run)
        wanted = _read() if text == "-" else text
        found = runs.annotate(run_id)
        if wanted is not None:
            joined = "\n".join(filter(None, (found.notes, wanted))) if append else wanted
            found = runs.annotate(run_id, notes=joined, over=found.notes)
    if json:
        print_json({"run_id": run_id, "notes": found.notes})
    elif text is None and found.notes:
        emit("\n".join(map(clean, found.notes.split("\n"))))
    elif text is None:
        note(f"there are no notes on {run_id}")
    else:
        note(f"noted on {run_id}" if found.notes else f"the notes on {run_id} are removed")


def _read() -> str:
    """What standard input says; a pipe that failed says nothing, and must not remove what is there."""
    text = sys.stdin.read().rstrip("\n")
    if not text:
        raise UsageError("standard input is empty: the notes stay as they are", hint="whirr note RUN '' removes them")
    return text
