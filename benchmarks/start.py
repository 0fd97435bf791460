"""From submit to process and from cancel to signal with an idle worker, and what that worker costs meanwhile."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

from benchmarks.measure import Effort, Row, absolute, percentile, scratch
from benchmarks.queues import TICKS, result, submit, until, worker
from whirr import clock
from whirr.local import LocalHub

IDLE_S_PER_REPEAT = 0.8
WAITING = f"""
import signal, sys, time
signal.signal({int(signal.SIGTERM)}, lambda *_: (print(time.time(), flush=True), sys.exit()))
print("ready", flush=True)
signal.pause()
"""


def rows(effort: Effort) -> Iterator[Row]:
    """All with the worker that users start, on SQLite."""
    with scratch() as folder, worker(folder) as (hub, pid):
        starts, spawns = _in_turns(effort.repeats * 4, lambda: _start_s(hub), _spawn_s)
        yield _beside("submit to process started, p50; limit: spawn", median(spawns), median(starts), 20)
        yield _beside("submit to process started, p95", percentile(spawns, 0.95), percentile(starts, 0.95), 50)
        cancels, kills = _in_turns(effort.repeats, lambda: _cancel_s(hub), _kill_s)
        yield _beside("cancel to first signal, median; limit: kill", median(kills), median(cancels), 50)
        yield _beside("cancel to first signal, worst", max(kills), max(cancels), 50)
        yield absolute("share of a core of an idle worker", "%", _idle_percent(pid, effort.repeats), 0.5)
        yield absolute("resident memory of the worker", "MB", resident_mb(pid), 60)
        yield absolute("resident memory of a supervisor", "MB", _supervisor_mb(hub, pid), 12)


def _in_turns(count: int, ours: Callable[[], float], limit: Callable[[], float]) -> tuple[list[float], list[float]]:
    """Milliseconds of both, measured alternately."""
    pairs = [(ours() * 1000, limit() * 1000) for _ in range(count)]
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]


def _beside(what: str, limit: float, ours: float, goal: float) -> Row:
    """A goal in milliseconds, with what the machine takes for the bare act in the same run."""
    return Row(what, "ms", limit, ours, ours, goal, "{:.2f} ms")


def _spawn_s() -> float:
    """Seconds to start a process, until it has executed its program."""
    since = time.time()
    pid = os.posix_spawnp("true", ["true"], os.environ)
    started = time.time()
    os.waitpid(pid, 0)
    return started - since


def _kill_s() -> float:
    """Seconds from a signal to the handler of the job that ``_cancel_s`` cancels."""
    with subprocess.Popen(["python3", "-c", WAITING], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        called = time.time()
        process.terminate()
        return float(process.stdout.readline()) - called


def _start_s(hub: LocalHub) -> float:
    """Seconds from the return of ``submit`` to the start of the process; below 0 where the worker was quicker."""
    number = submit(hub, "true")
    returned = time.time()
    until(lambda: hub.job(number).status.terminal)
    return clock.epoch(result(hub, number)["started_at"]) - returned


def _cancel_s(hub: LocalHub) -> float:
    """Seconds from the call of ``cancel`` to the handler of SIGTERM in the job."""
    number = submit(hub, "python3", "-c", WAITING)
    output = hub.run_dir(number) / "output.log"
    until(lambda: output.exists() and b"ready" in output.read_bytes())
    called = time.time()
    hub.cancel(number, "benchmark")
    until(lambda: hub.job(number).status.terminal)
    return float(output.read_text().split()[-1]) - called


def _idle_percent(pid: int, repeats: int) -> float:
    """The worker and its children, over some seconds in which nothing is asked of it."""
    time.sleep(0.5)
    before, since = _processor_s(pid), time.monotonic()
    time.sleep(IDLE_S_PER_REPEAT * repeats)
    return (_processor_s(pid) - before) / (time.monotonic() - since) * 100


def _processor_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / TICKS


def resident_mb(pid: int) -> float:
    """Resident memory of a process in MB of 2**20 bytes."""
    found = re.search(r"^VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return int(found[1]) / 1024 if found else 0.0


def _supervisor_mb(hub: LocalHub, worker_pid: int) -> float:
    """The largest supervisor while a job runs; spares among them."""
    number = submit(hub, "sleep", "30")
    until(lambda: (hub.run_dir(number) / "output.log").exists())
    children = [pid for pid in map(int, filter(str.isdecimal, os.listdir("/proc"))) if _parent(pid) == worker_pid]
    largest = max(map(resident_mb, children), default=0.0)
    hub.cancel(number, "benchmark")
    until(lambda: hub.job(number).status.terminal)
    return largest


def _parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:  # ended meanwhile
        return 0
