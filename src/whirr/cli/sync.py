"""``whirr sync``: send runs of this machine to a server."""

from __future__ import annotations

import gc
import time
from pathlib import Path
from typing import Any

import click

from whirr.catalog import RunQuery
from whirr.cli.common import dir_option, json_option, print_json, root_of
from whirr.cli.screen import clean, complain, emit, note, size
from whirr.config import Settings, server_url
from whirr.connect import reach
from whirr.errors import FolderError, StoreError, Unreachable, UsageError, WhirrError
from whirr.folder import RUNS, read_meta
from whirr.hub import Inbox, Target
from whirr.localruns import LocalRuns
from whirr.sync import Shipment

LOOK_EVERY_S = 0.5
QUEUED = "job-"


@click.command()
@click.argument("runs", nargs=-1, metavar="[RUN]...")
@click.option("--all", "everything", is_flag=True, help="Every run of this folder that is no job's.")
@click.option("--follow", "-f", is_flag=True, help="Go on until the runs have ended.")
@click.option("--server", metavar="URL", help="The server (WHIRR_SERVER_URL).")
@dir_option
@json_option
def command(
    runs: tuple[str, ...], everything: bool, follow: bool, server: str | None, folder: Path | None, json: bool
) -> int:
    """Send runs of this machine to a server, while they run or afterwards; what is there already is not sent again.

    RUN is an id, its beginning or its last part, an exact name, or - for the latest run.
    """
    gc.enable()  # each answer of the server is a cycle, and holds what was sent
    settings = Settings.from_env()
    url = server_url(server) if server else settings.server_url
    if url is None:
        raise UsageError("no server is named", hint="give --server URL, or set WHIRR_SERVER_URL")
    if bool(runs) is everything:
        raise UsageError("name runs, or give --all", hint="whirr runs lists them")
    here = LocalRuns(root_of(folder))
    ids = _chosen(here, runs)
    hub = reach(url, settings)
    try:
        sendings = [_Sending(here.root / RUNS / run_id, hub.inbox) for run_id in ids]
        _send(sendings, follow=follow, quiet=json)
    finally:
        hub.close()
    if json:
        print_json([sending.result() for sending in sendings])
    elif not sendings:
        note("there are no runs to send")
    return int(any(sending.error for sending in sendings))


def _chosen(here: LocalRuns, runs: tuple[str, ...]) -> list[str]:
    if runs:
        ids = [here.find(reference) for reference in runs]
        if jobs := [run_id for run_id in ids if run_id.startswith(QUEUED)]:
            raise UsageError(f"{jobs[0]} is a job's run: its worker sends it", hint="name runs without a job")
        return list(dict.fromkeys(ids))
    found = here.page(RunQuery(glance=True, reverse=True)).runs
    return [run.id for run in found if not run.id.startswith(QUEUED)]


class _Sending:
    """A run on its way.

    Attributes:
        error: why it was given up.
    """

    def __init__(self, folder: Path, inbox: Inbox) -> None:
        self.run_id = folder.name
        self.error: WhirrError | None = None
        self._folder = folder
        self._notes: list[str] = []
        self._away = ""
        self._shipment = Shipment(inbox, Target(self.run_id), folder, self._note)

    def step(self, *, follow: bool) -> bool | None:
        """Send some; True: there is more at once, False: there may be more later, None: it is over."""
        try:
            if read_meta(self._folder).get("status") != "running":
                self._shipment.complete()
                return None
            more = self._shipment.turn()
            self._away = ""
            return more or (False if follow else None)
        except (Unreachable, StoreError, FolderError) as error:
            if not follow:
                self._give_up(error)
                return None
            if str(error) != self._away:
                self._away = str(error)
                note(f"{self.run_id}: {error}; trying again")
            return False
        except (WhirrError, OSError, ValueError) as error:
            self._give_up(error)
            return None

    def _give_up(self, error: Exception) -> None:
        self.error = error if isinstance(error, WhirrError) else FolderError(f"cannot read {self._folder}: {error}")
        complain(f"{self.run_id}: {self.error}", self.error.hint)

    def _note(self, text: str) -> None:
        self._notes.append(text)
        note(f"{self.run_id}: {clean(text)}")

    def result(self) -> dict[str, Any]:
        """What became of it."""
        error = str(self.error) if self.error else None
        return {"run_id": self.run_id, "sent_bytes": self._shipment.sent, "error": error, "notes": self._notes}

    def told(self) -> str:
        """A line about a run that was sent."""
        sent = self._shipment.sent
        return f"{self.run_id}  {size(sent)} sent" if sent else f"{self.run_id}  was there already"


def _send(sendings: list[_Sending], *, follow: bool, quiet: bool) -> None:
    """Send some of each run in turn, until all are over."""
    pending = list(sendings)
    while pending:
        busy = False
        for sending in list(pending):
            more = sending.step(follow=follow)
            busy |= bool(more)
            if more is None:
                pending.remove(sending)
                if not quiet and sending.error is None:
                    emit(sending.told())
        if pending and not busy:
            time.sleep(LOOK_EVERY_S)
