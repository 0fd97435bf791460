"""Trivial jobs through one worker with two slots, against a bare loop that starts and awaits the same supervisor."""

from __future__ import annotations

import select
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from statistics import median

from benchmarks.measure import Effort, Row, absolute, scratch
from benchmarks.queues import result, submit, until, worker
from whirr import clock
from whirr.executors.base import Task
from whirr.executors.process import ProcessExecutor, ProcessHandle
from whirr.local import LocalHub

SLOTS = 2
QUEUED_BEHIND = ("sleep", "0.05")


def rows(effort: Effort) -> Iterator[Row]:
    """The rate, and what passes between the end of one job and the start of the next."""
    with scratch() as folder:
        limit = _bare_rate(folder, effort.jobs)
    with scratch() as folder, worker(folder, "--slots", str(SLOTS)) as (hub, _):
        ours = _rate(hub, effort.jobs)
        name = f"{effort.jobs:,} jobs of `true`, {SLOTS} slots; limit: supervisors"
        yield Row(name, "/s", limit, ours, ours / limit, 0.5, "{:.2f} x", at_least=True)
    with scratch() as folder, worker(folder) as (hub, _):
        yield absolute("end of a job to start of the next, median", "ms", _gap_s(hub, effort.repeats) * 1000, 25)


def _bare_rate(folder: Path, count: int) -> float:
    """Attempts a second when nothing but supervisors is started and waited for, as many at once as there are slots."""
    executor = ProcessExecutor(spares=1)
    since = time.monotonic()
    running: list[ProcessHandle] = []
    started = ended = 0
    while ended < count:
        while len(running) < SLOTS and started < count:
            running.append(executor.start(_task(folder, started)))
            started += 1
        select.select(running, [], [])
        over = [handle for handle in running if handle.poll() is not None]
        running = [handle for handle in running if handle not in over]
        ended += len(over)
    rate = count / (time.monotonic() - since)
    executor.close()
    return rate


def _task(folder: Path, number: int) -> Task:
    run_dir = folder / str(number)
    run_dir.mkdir()
    return Task(
        job_id=number,
        attempt=1,
        argv=("true",),
        cwd="/",
        env={"PATH": "/usr/bin:/bin"},
        run_dir=run_dir,
        output=run_dir / "output.log",
        result=run_dir / "result.json",
        lock=folder / f"{number}.lock",
        mark=f"benchmark:{number}:1",
    )


def _rate(hub: LocalHub, count: int) -> float:
    """Jobs a second, all queued before the first starts."""
    blocker = submit(hub, "sleep", "600")
    other = submit(hub, "sleep", "600")
    until(lambda: (hub.run_dir(other) / "output.log").exists())
    numbers = [submit(hub, "true") for _ in range(count)]
    for number in (blocker, other):
        hub.cancel(number, "benchmark")
    until(lambda: all(status.terminal for status in hub.counts()))
    first_start = min(clock.epoch(result(hub, number)["started_at"]) for number in numbers)
    end = max(clock.epoch(result(hub, number)["finished_at"]) for number in numbers[-2 * SLOTS :])
    return count / (end - first_start)


def _gap_s(hub: LocalHub, count: int) -> float:
    numbers = [submit(hub, *QUEUED_BEHIND) for _ in range(count + 1)]
    until(lambda: hub.job(numbers[-1]).status.terminal)
    found = [result(hub, number) for number in numbers]
    return median(
        clock.epoch(after["started_at"]) - clock.epoch(before["finished_at"]) for before, after in pairwise(found)
    )
