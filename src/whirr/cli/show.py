"""``whirr show``: everything about one run."""

from __future__ import annotations

from pathlib import Path

import click

from whirr.cli.common import as_json, folder_option, json_option, print_json, root_of
from whirr.cli.screen import emit, screen_of
from whirr.index import RunEntry, RunIndex


@click.command()
@click.argument("run")
@click.option("--metric", multiple=True, metavar="GLOB", help="Only metrics that fit; repeat for several.")
@click.option("--traceback", is_flag=True, help="Print the whole traceback.")
@folder_option
@json_option
def command(run: str, metric: tuple[str, ...], traceback: bool, folder: Path | None, json: bool) -> None:
    """Show one run: how it ended, its config, summary, curves and files.

    RUN is an id, its beginning or its last part, an exact name, or - for the latest run.
    """
    index = RunIndex(root_of(folder))
    entry = index.find(run)
    if json:
        print_json(_document(entry))
    else:
        from whirr.cli.report import report

        emit("\n".join(report(entry, screen_of(), metric, whole_traceback=traceback)))
    index.save()


def _document(run: RunEntry) -> dict[str, object]:
    """What ``whirr runs --json`` gives of a run, and what only one run is worth reading."""
    from whirr.cli.files import artifacts_of, full_meta, machine_use

    meta = full_meta(run)
    return {
        **as_json(run),
        "cause": meta.get("cause"),
        "environment": meta.get("environment"),
        "job": meta.get("job"),
        "dropped_records": meta.get("dropped_records") or 0,
        "system": machine_use(run.path),
        "artifacts": [{"path": name, "size": size} for name, size in artifacts_of(run.path)],
    }
