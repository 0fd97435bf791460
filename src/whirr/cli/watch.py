"""``whirr watch``: the queue, kept up to date."""

from __future__ import annotations

import gc
import os
import time

import click

from whirr.cli.board import board, summary
from whirr.cli.common import Place, place_option
from whirr.cli.gpus import GpuNames
from whirr.cli.queue import Duration, queue_of
from whirr.cli.screen import Screen, clean, emit_bytes, note, screen_of
from whirr.errors import StoreError
from whirr.hub import Hub
from whirr.overview import Overview, overview

FIXED_LINES = 14
"""Headings, sums and space between the tables; what else fits on the screen is for jobs."""

FEWEST, USUAL = 3, 10
REST = "whirr status --all"


@click.command()
@click.option(
    "--interval",
    type=Duration(),
    default=1.0,
    metavar="TIME",
    help="Time between two looks (default: 1s).",
)
@place_option
def command(interval: float, place: Place) -> None:
    """Show what whirr status shows, and keep it up to date. q or Ctrl-C ends.

    Where the output is no terminal, it is printed again whenever the state of a job or of a worker has changed.
    """
    gc.enable()
    with queue_of(place) as hub:
        try:
            if screen_of().fixed and os.environ.get("TERM", "dumb") != "dumb":
                _on_terminal(hub, interval)
            else:
                _on_paper(hub, interval)
        except KeyboardInterrupt:
            return


def _on_terminal(hub: Hub, interval: float) -> None:
    from whirr.cli.fullscreen import FullScreen

    names = GpuNames()
    with FullScreen() as terminal:
        while True:
            screen = screen_of()
            terminal.show([*frame(hub, screen, names, terminal.height), ""], screen.paint("q: quit", "dim"))
            if terminal.wait(interval):
                return


def frame(hub: Hub, screen: Screen, names: GpuNames, height: int) -> list[str]:
    """The lines that fit so many: the sums, then what runs, waits and has ended."""
    try:
        view = overview(hub, max((height - FIXED_LINES) // 3, FEWEST))
    except StoreError as error:
        return [screen.paint(f"{clean(str(error))}; trying again", "red")]
    return [*summary(hub, view, screen), "", *board(hub, view, screen, names, REST)]


def _on_paper(hub: Hub, interval: float) -> None:
    screen, names, before = screen_of(), GpuNames(), None
    view, away = overview(hub, USUAL), False
    while True:
        now = _state(view)
        if now != before:
            lines = [*board(hub, view, screen, names, REST), "", *summary(hub, view, screen), ""]
            if not emit_bytes("\n".join(lines if before is None else ["", *lines]).encode(errors="backslashreplace")):
                return
            before = now
        time.sleep(interval)
        try:
            view, away = overview(hub, USUAL), False
        except StoreError as error:
            if not away:
                note(f"{clean(str(error))}; trying again")
            away = True


def _state(view: Overview) -> object:
    """What counts as a change."""
    return (
        dict(view.counts),
        [(each.job.id, each.job.status, each.job.attempt) for each in view.running],
        [(seen.worker.id, seen.health) for seen in view.fleet.shown],
    )
