"""``whirr show``: everything about one run."""

from __future__ import annotations

import click

from whirr.cli.common import Place, json_option, place_option, print_json, runs_of
from whirr.cli.screen import emit, screen_of


@click.command()
@click.argument("run")
@click.option("--metric", multiple=True, metavar="GLOB", help="Only metrics that fit; repeat for several.")
@click.option("--traceback", is_flag=True, help="Print the whole traceback.")
@place_option
@json_option
def command(run: str, metric: tuple[str, ...], traceback: bool, place: Place, json: bool) -> None:
    """Show one run: how it ended, its config, summary, curves and files.

    RUN is an id, its beginning or its last part, an exact name, or - for the latest run.
    """
    with runs_of(place) as runs:
        found = runs.detail(runs.find(run), curves=not json)
    if json:
        print_json(found.as_dict())
    else:
        from whirr.cli.report import report

        emit("\n".join(report(found, screen_of(), metric, whole_traceback=traceback)))
