"""What the parts about the queue share: a worker as users start it, jobs, and their files."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import orjson

from benchmarks.measure import clean_environment
from whirr.connect import open_hub
from whirr.local import LocalHub
from whirr.model import JobSpec

TICKS = os.sysconf("SC_CLK_TCK")
WHIRR = str(Path(sys.executable).with_name("whirr"))
T = TypeVar("T")
PATIENCE_S = 120.0


@contextmanager
def worker(folder: Path, *options: str) -> Iterator[tuple[LocalHub, int]]:
    """A worker of an empty queue in ``folder``; the queue, and the worker's pid."""
    hub = open_hub(folder / ".whirr")
    command = [WHIRR, "worker", "--dir", str(folder), *options]
    with (folder / "worker.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, env=clean_environment(), stdout=log, stderr=log)
    try:
        until(lambda: hub.workers())
        run(hub, "true")  # all that is imported at the first job is there now
        yield hub, process.pid
    finally:
        process.terminate()
        process.wait()
        hub.close()


def until(happens: Callable[[], T]) -> T:
    """Wait for something to become true, without taking much of a core from what is measured."""
    deadline = time.monotonic() + PATIENCE_S
    while not (found := happens()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {PATIENCE_S:.0f} s: {happens}")
        time.sleep(0.002)
    return found


def submit(hub: LocalHub, *argv: str) -> int:
    """Queue a command, and give its number."""
    return hub.submit(JobSpec(argv, "/")).id


def run(hub: LocalHub, *argv: str) -> int:
    """Queue a command, wait for its end, and give its number."""
    number = submit(hub, *argv)
    until(lambda: hub.job(number).status.terminal)
    return number


def result(hub: LocalHub, number: int) -> dict[str, str]:
    """How the supervisor saw the first attempt at a job end."""
    found: dict[str, str] = orjson.loads((hub.run_dir(number) / "result.1.json").read_bytes())
    return found
