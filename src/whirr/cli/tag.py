"""``whirr tag``: give a run tags, and take them off."""

from __future__ import annotations

import click

from whirr.cli.common import Place, json_option, place_option, print_json, runs_of
from whirr.cli.screen import clean, emit, note
from whirr.errors import UsageError


@click.command(context_settings={"ignore_unknown_options": True, "help_option_names": ["--help"]})
@click.argument("run")
@click.argument("changes", nargs=-1, type=click.UNPROCESSED, metavar="[+TAG] [-TAG]...")
@place_option
@json_option
def command(run: str, changes: tuple[str, ...], place: Place, json: bool) -> None:
    """Give a run tags (+TAG) and take tags off (-TAG), its own ones too; without any, show them.

    RUN is an id, its beginning or its last part, an exact name, or - for the latest run.
    """
    for change in changes:
        if change in ("+", "-"):
            raise UsageError(f"{change!r} names no tag", hint=f"whirr tag {run} {change}TAG")
        if change[:1] not in ("+", "-"):
            raise UsageError(f"{change!r} says neither + nor -", hint=f"whirr tag {run} +{change or 'TAG'}")
    wanted = {sign: [change[1:] for change in changes if change[0] == sign] for sign in "+-"}
    with runs_of(place) as runs:
        run_id = runs.find(run)
        found = runs.annotate(run_id, add=wanted["+"], remove=wanted["-"])
    if json:
        print_json({"run_id": run_id, "tags": list(found.tags)})
    elif found.tags:
        emit("\n".join(map(clean, found.tags)))
    else:
        note(f"{run_id} has no tags")
