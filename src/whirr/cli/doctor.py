"""``whirr doctor``: look at everything a queue needs, and say what to do."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import click

from whirr.cli import checks_machine, checks_queue, checks_server
from whirr.cli.common import Place, json_option, place_option, print_json
from whirr.cli.finding import Finding, State, problem, remark
from whirr.cli.queue import place_of
from whirr.cli.screen import Screen, clean, emit, screen_of
from whirr.config import Settings
from whirr.connect import connect
from whirr.errors import NotFound, WhirrError
from whirr.fleet import look

STYLES = {State.OK: "green", State.NOTE: "yellow", State.FIXED: "cyan", State.PROBLEM: "red"}
WIDEST = 140


@click.command()
@click.option("--fix", is_flag=True, help="Clear up after dead workers and delete what was left behind.")
@place_option
@json_option
def command(fix: bool, place: Place, json: bool) -> int:
    """Check folder, database, machine, GPUs, workers and left-overs, and say what to do about what is wrong.

    Exits with 1 where there is a problem.
    """
    settings = Settings.from_env()
    url = place.server_url(settings)
    found = examine(place_of(place.folder), settings) if url is None else checks_server.server(url, settings)
    findings = [_mended(finding) if fix else finding for finding in found]
    if json:
        print_json([finding.as_dict() for finding in findings])
    else:
        emit("\n".join(lines(findings, screen_of())))
    return int(any(finding.state is State.PROBLEM for finding in findings))


def examine(root: Path, settings: Settings) -> Iterator[Finding]:
    """Everything, one after the other."""
    yield from checks_machine.folder(root, settings)
    given_out: set[str] = set()
    try:
        yield from checks_queue.runs(root)
    except WhirrError as error:
        yield problem("runs", str(error), error.hint or "")
    try:
        hub = connect(root, settings)
    except NotFound as error:
        yield remark("queue", str(error), error.hint or "")
    except WhirrError as error:
        yield problem("database", str(error), error.hint or "")
    else:
        try:
            fleet = look(hub)
            given_out = {gpu for gpus in fleet.gpus.values() for gpu in gpus}
            yield from checks_queue.database(hub)
            yield from checks_queue.workers(hub, fleet)
            yield from checks_queue.folders(hub)
            yield from checks_queue.left_behind(hub, fleet)
        except (WhirrError, OSError) as error:
            yield problem("queue", f"it cannot be looked at: {error}", getattr(error, "hint", None) or "")
        finally:
            hub.close()
    yield from checks_machine.processes()
    yield from checks_machine.gpus(given_out)
    yield from checks_machine.programs(settings)


def _mended(finding: Finding) -> Finding:
    if finding.mend is None:
        return finding
    try:
        return replace(finding, state=State.FIXED, text=f"{finding.text}: {finding.mend()}", advice="", mend=None)
    except (WhirrError, OSError) as error:
        return replace(finding, text=f"{finding.text}; it could not be fixed: {error}")


def lines(findings: list[Finding], screen: Screen) -> list[str]:
    """Each finding, with what to do about it below."""
    width = max(len(finding.about) for finding in findings)
    room = (min(screen.width, WIDEST) if screen.fixed else WIDEST) - len(State.PROBLEM) - width - 4
    found = []
    before = ""
    for finding in findings:
        state = screen.paint(finding.state.ljust(len(State.PROBLEM)), STYLES[finding.state])
        about = finding.about if finding.about != before else ""
        before = finding.about
        wrapped = _wrap(finding.text, room)
        found.append(f"{state}  {about.ljust(width)}  {wrapped[0]}")
        indent = " " * (len(State.PROBLEM) + width + 4)
        found += [indent + line for line in wrapped[1:]]
        found += [indent + screen.paint(line, "dim") for line in _wrap(f"-> {finding.advice}", room) if finding.advice]
    problems = sum(finding.state is State.PROBLEM for finding in findings)
    count = "no problem found" if not problems else f"{problems} problem{'s' * (problems > 1)} found"
    return [*found, "", screen.paint(count, STYLES[State.PROBLEM if problems else State.OK])]


def _wrap(text: str, width: int) -> list[str]:
    return textwrap.wrap(clean(text), max(width, 20), break_on_hyphens=False, break_long_words=False) or [""]
