"""From submit to process and from cancel to signal with an idle worker, and what that worker costs meanwhile."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from benchmarks.measure import Effort, Row, absolute, percentile, scratch
from benchmarks.queues import result, submit, until, worker
from whirr import clock
from whirr.local import LocalHub

TICKS = os.sysconf("SC_CLK_TCK")
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
        starts = [_start_s(hub) * 1000 for _ in range(effort.repeats * 4)]
        yield absolute("submit returned to process started, p50", "ms", median(starts), 20)
        yield absolute("submit returned to process started, p95", "ms", percentile(starts, 0.95), 50)
        cancels = [_cancel_s(hub) * 1000 for _ in range(effort.repeats)]
        yield absolute("cancel to first signal, median", "ms", median(cancels), 50)
        yield absolute("cancel to first signal, worst", "ms", max(cancels), 50)
        yield absolute("share of a core of an idle worker", "%", _idle_percent(pid, effort.repeats), 0.5)
        yield absolute("resident memory of the worker", "MB", resident_mb(pid), 60)
        yield absolute("resident memory of a supervisor", "MB", _supervisor_mb(hub, pid), 12)


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
