"""``whirr worker``: run the jobs of the queue."""

from __future__ import annotations

import gc
import os
import re
import sys
from datetime import datetime
from pathlib import Path

import click

from whirr.cli.common import folder_option
from whirr.cli.queue import Duration, queue_of
from whirr.cli.screen import clean, screen_of, tell
from whirr.config import Settings
from whirr.errors import UsageError
from whirr.executors.process import ProcessExecutor
from whirr.folder import QUEUE
from whirr.gpuset import Gpu, chosen, inventory
from whirr.worker import Options, Worker

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
    "(default: never in a SQLite queue, 5m in PostgreSQL).",
)
@click.option("--quiet", "-q", is_flag=True, help="Say nothing but errors.")
@folder_option
def command(
    gpus: str,
    slots: int | None,
    name: str | None,
    drain: bool,
    idle_timeout: float | None,
    skip_busy_gpus: bool,
    lease: float | None,
    quiet: bool,
    folder: Path | None,
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
    shared = settings.database_url is not None
    options = Options(
        name=name or os.uname().nodename,
        slots=slots or len(given) or 1,
        gpus=given,
        drain=drain,
        idle_timeout_s=idle_timeout,
        lease_s=lease or (SHARED_LEASE_S if shared else None),
        skip_busy_gpus=skip_busy_gpus,
        sample_s=settings.system_interval,
    )
    say = _nothing if quiet else _say
    with queue_of(folder, make=True) as hub:
        executor = ProcessExecutor()
        executor.adopt_orphans()
        worker = Worker(hub, executor, options, hub.root / QUEUE, os.environ, say)
        say(f"{options.name} works on {hub.root} with {_means(options)}; Ctrl-C: finish what runs and end")
        worker.run()


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
