"""``whirr worker``: run the jobs of the queue."""

from __future__ import annotations

import gc
import os
import re
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import click

from whirr.cli.common import Place, place_option
from whirr.cli.queue import Duration, place_of, queue_of
from whirr.cli.screen import clean, screen_of, tell
from whirr.config import Settings
from whirr.connect import has_queue, reach
from whirr.errors import AccessDenied, UsageError
from whirr.executors.process import ProcessExecutor
from whirr.folder import QUEUE
from whirr.gpuset import Gpu, chosen, inventory
from whirr.hub import Hub
from whirr.model import Role
from whirr.worker import Options, Worker
from whirr.worker.folders import Folders, InPlace, Spool

SHARED_LEASE_S = 300.0
"""How long a lease lasts without a renewal where workers are on several machines."""


NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+@-]{0,63}")
"""It is part of the names of files."""


@click.command(epilog="Durations: seconds, or with units: 90, 30s, 10m, 1h30m, 2d.")
@click.option("--gpus", default="", metavar="0,1|all|none", help="GPUs to give out, by number or UUID (default: all).")
@click.option(
    "--slots",
    type=click.IntRange(min=1),
    metavar="N",
    help="Run so many jobs at once (default: as many as GPUs, else 1).",
)
@click.option("--name", metavar="NAME", help="Name of this worker (default: the host's).")
@click.option("--drain", is_flag=True, help="End when nothing is left to do.")
@click.option("--idle-timeout", type=Duration(zero=True), metavar="TIME", help="End after so long without a job.")
@click.option("--skip-busy-gpus", is_flag=True, help="Leave out GPUs on which another program computes.")
@click.option(
    "--lease",
    type=Duration(),
    metavar="TIME",
    help="Give jobs of a worker that is silent for so long to another "
    "(default: never in a SQLite queue, 5m in PostgreSQL and with --server).",
)
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="With --server: where jobs write. The server's own folder, where this machine shares that disk: nothing is "
    "copied; any other: it is sent to the server (default: ~/.local/state/whirr).",
)
@click.option("--quiet", "-q", is_flag=True, help="Say nothing but errors.")
@place_option
def command(
    gpus: str,
    slots: int | None,
    name: str | None,
    drain: bool,
    idle_timeout: float | None,
    skip_busy_gpus: bool,
    lease: float | None,
    data_dir: Path | None,
    quiet: bool,
    place: Place,
) -> None:
    """Run jobs until stopped.

    Ctrl-C: take no more jobs and finish those that run; twice: stop them and queue them again. SIGTERM does that at
    once. Each job gets GPUs of its own.
    """
    gc.enable()
    if name is not None and not NAME.fullmatch(name):
        raise UsageError(f"--name {name!r} is no name", hint="use letters, digits and . _ - + @, at most 64")
    given = tuple(_gpus(gpus))
    settings = Settings.from_env()
    url = place.server_url(settings)
    if data_dir is not None and url is None:
        raise UsageError("--data-dir goes with --server", hint="for a folder of this machine give --dir")
    options = Options(
        name=name or os.uname().nodename,
        slots=slots or len(given) or 1,
        gpus=given,
        drain=drain,
        idle_timeout_s=idle_timeout,
        lease_s=lease or (SHARED_LEASE_S if url or settings.database_url else None),
        skip_busy_gpus=skip_busy_gpus,
        sample_s=settings.system_interval,
    )
    say = _nothing if quiet else _say
    if url is not None:
        _for_server(url, settings, options, data_dir, say)
        return
    new = not settings.database_url and not has_queue(place_of(place.folder))
    with queue_of(place, make=True) as hub:
        what = f"{hub.root}, a new, empty queue," if new else str(hub.root)
        say(f"{options.name} works on {what} with {_means(options)}; Ctrl-C: finish what runs and end")
        _work(hub, options, hub.root / QUEUE, say, None)


def _work(hub: Hub, options: Options, queue: Path, say: Callable[[str], None], folders: Folders | None) -> None:
    executor = ProcessExecutor()
    executor.adopt_orphans()
    Worker(hub, executor, options, queue, os.environ, say, folders).run()


def _for_server(
    url: str, settings: Settings, options: Options, data_dir: Path | None, say: Callable[[str], None]
) -> None:
    hub = reach(url, settings, tries=1)  # the worker itself tries again, and never waits for that
    try:
        if hub.info.role not in (Role.WORKER, Role.ADMIN):  # who may not work has no use for folders
            raise AccessDenied(
                f"the token for {url} has the role {hub.info.role}", hint="a worker takes one of role worker or admin"
            )
        state = _state_home() / "whirr" / hub.info.id
        if data_dir is not None and hub.inbox.shares(data_dir):
            folders: Folders = InPlace(data_dir.absolute())
            how = f"in {data_dir}, which the server shares"
        else:
            spool = data_dir.absolute() / hub.info.id if data_dir else state
            folders = Spool(spool, state / QUEUE, hub, say)
            how = f"in {spool}, and sends what they write"
        (state / QUEUE).mkdir(mode=0o700, parents=True, exist_ok=True)
        say(
            f"{options.name} works for {url} with {_means(options)}; jobs write {how}; Ctrl-C: finish what runs and end"
        )
        _work(hub, options, state / QUEUE, say, folders)
    finally:
        hub.close()


def _state_home() -> Path:
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")


def _gpus(text: str) -> list[Gpu]:
    """The GPUs that ``--gpus`` asks for; without it all there are."""
    if text.strip() == "none":
        return []
    return chosen(text if text.strip() else "all", inventory())


def _means(options: Options) -> str:
    slots = f"{options.slots} slot{'s' * (options.slots != 1)}"
    if not options.gpus:
        return f"{slots}, no GPU"
    numbers = ", ".join(str(gpu.index) for gpu in options.gpus)
    return f"GPU{'s' * (len(options.gpus) > 1)} {numbers}, {slots}"


def _say(text: str) -> None:
    screen = screen_of(sys.stderr)
    tell(f"{screen.paint(datetime.now().strftime('%H:%M:%S'), 'dim')}  {clean(text)}")


def _nothing(text: str) -> None:
    """Where ``--quiet`` sends what is said."""
