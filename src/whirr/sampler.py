"""One sample of what the machine and this run's processes use: a line of ``system.jsonl``.

Units: ``*_percent`` of the whole (``process_cpu_percent``: of one core, so 250 is two and a half cores
busy); ``*_mb`` are MB of 2**20 bytes; ``*_mb_s`` MB per second since the previous sample. ``cpu_percent`` and
rates need two samples, so the first one lacks them. Metrics of the machine and the processes need ``psutil``;
those of GPUs do not.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from whirr import clock, gpu, limits

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MB = 2**20


class Sampler:
    """Takes samples of the machine, a process with all its descendants, the container's limits and the GPUs.

    It owns no thread and writes nothing. After a fork the child's copy gives nothing, since NVML does not
    survive a fork.

    Args:
        run_dir: the folder whose file system's free space is told.
        pid: the process whose tree is measured (default: this one).
        proc_root: where the kernel shows processes.
        cgroup_root: where the kernel shows control groups.
        elapsed: seconds on a clock that never steps back.
    """

    def __init__(
        self,
        run_dir: Path,
        *,
        pid: int | None = None,
        proc_root: Path = Path("/proc"),
        cgroup_root: Path = Path("/sys/fs/cgroup"),
        elapsed: Callable[[], float] = time.monotonic,
    ) -> None:
        self._owner = os.getpid()
        self._lock = threading.Lock()
        self._gpus = gpu.Gpus()
        self._machine = _Machine(run_dir, pid or self._owner, proc_root, cgroup_root, elapsed)
        self._sources: list[Callable[[], dict[str, float]]] | None = None

    def sample(self) -> dict[str, Any]:
        """What can be read now, with its ``_timestamp``; empty when there is nothing. Never raises.

        A source that fails is left out until it works again. A call that meets another one gives nothing.
        """
        if os.getpid() != self._owner or not self._lock.acquire(blocking=False):
            return {}
        try:
            if self._sources is None:
                self._sources = [*_if_psutil(self._machine), self._gpus.sample]
            found: dict[str, Any] = {}
            for source in self._sources:
                with suppress(Exception):
                    found.update(source())
            return {"_timestamp": clock.stamp(), **found} if found else {}
        finally:
            self._lock.release()

    def close(self) -> None:
        """Let go of the GPUs. Safe to call again; never waits for a sample that hangs."""
        if os.getpid() == self._owner and self._lock.acquire(timeout=0.2):
            self._gpus.close()
            self._lock.release()


def _if_psutil(machine: _Machine) -> list[Callable[[], dict[str, float]]]:
    """The sources that need psutil; it is imported here, at the first sample, as it costs 20 ms and 2 MB."""
    try:
        import psutil
    except Exception:
        return []
    machine.psutil = psutil
    return [
        machine.cpu,
        machine.memory,
        machine.processes,
        machine.memory_limit,
        machine.cpu_limit,
        machine.disk,
        machine.network,
        machine.free,
    ]


class _Rates:
    """How fast counters that only grow have grown since they were last told."""

    def __init__(self, elapsed: Callable[[], float]) -> None:
        self._elapsed = elapsed
        self._before: dict[str, tuple[float, float]] = {}

    def since(self, key: str, total: float, scale: float = 1.0) -> dict[str, float]:
        """``{key: growth per second * scale}``; empty at first, and when the counter went back."""
        now = self._elapsed()
        then, before = self._before.get(key, (now, total))
        self._before[key] = (now, total)
        if now <= then or total < before:
            return {}
        return {key: round((total - before) / (now - then) * scale, 3)}


class _Machine:
    """What psutil and /proc tell."""

    psutil: Any

    def __init__(
        self, run_dir: Path, pid: int, proc_root: Path, cgroup_root: Path, elapsed: Callable[[], float]
    ) -> None:
        self._run_dir = str(run_dir)
        self._pid = pid
        self._proc_root = proc_root
        self._cgroup_root = cgroup_root
        self._rates = _Rates(elapsed)
        self._cpu_before: tuple[float, float] | None = None

    def cpu(self) -> dict[str, float]:
        # Not psutil.cpu_percent(): its memory of the previous call is shared with the program's own calls.
        times = self.psutil.cpu_times()
        # Linux counts the time of guests within user and nice already.
        total = sum(times) - getattr(times, "guest", 0) - getattr(times, "guest_nice", 0)
        idle = times.idle + getattr(times, "iowait", 0)
        before, self._cpu_before = self._cpu_before, (total, idle)
        if before is None or total <= before[0]:
            return {}
        busy = 1 - (idle - before[1]) / (total - before[0])
        return {"cpu_percent": round(min(max(busy, 0), 1) * 100, 1)}

    def memory(self) -> dict[str, float]:
        return {"memory_percent": self.psutil.virtual_memory().percent}

    def processes(self) -> dict[str, float]:
        known = os.path.exists(f"{self._proc_root}/{self._pid}/task/{self._pid}/children")
        tree = linux_tree(self._proc_root, self._pid) if known else portable_tree(self.psutil, self._pid)
        seconds = memory = 0.0
        count = 0
        for cpu, resident in tree:
            seconds, memory, count = seconds + cpu, memory + resident, count + 1
        return {
            **self._rates.since("process_cpu_percent", seconds, 100),
            "process_memory_mb": round(memory / MB, 1),
            "process_count": count,
        }

    def memory_limit(self) -> dict[str, float]:
        limit = limits.memory_limit(self._cgroup_root, self._proc_root, self._pid)
        if limit is None or limit.amount >= self.psutil.virtual_memory().total:
            return {}
        found = {"memory_limit_mb": round(limit.amount / MB, 1)}
        if limit.used is not None and limit.amount > 0:
            found["memory_limit_percent"] = round(limit.used / limit.amount * 100, 1)
        return found

    def cpu_limit(self) -> dict[str, float]:
        limit = limits.cpu_limit(self._cgroup_root, self._proc_root, self._pid)
        if limit is None or limit.amount >= (os.cpu_count() or 1):
            return {}
        found = {"cpu_limit_cores": round(limit.amount, 2)}
        if limit.used is not None:
            found.update(self._rates.since("cpu_limit_percent", limit.used, 100 / limit.amount))
        return found

    def disk(self) -> dict[str, float]:
        total = self.psutil.disk_io_counters()
        return {
            **self._rates.since("disk_read_mb_s", total.read_bytes, 1 / MB),
            **self._rates.since("disk_write_mb_s", total.write_bytes, 1 / MB),
        }

    def network(self) -> dict[str, float]:
        cards = self.psutil.net_io_counters(pernic=True)
        # What a machine says to itself is no traffic.
        outer = [card for name, card in cards.items() if name.rstrip("0123456789") != "lo"]
        return {
            **self._rates.since("network_receive_mb_s", sum(card.bytes_recv for card in outer), 1 / MB),
            **self._rates.since("network_send_mb_s", sum(card.bytes_sent for card in outer), 1 / MB),
        }

    def free(self) -> dict[str, float]:
        return {"disk_free_mb": round(self.psutil.disk_usage(self._run_dir).free / MB)}


def linux_tree(proc_root: Path, pid: int) -> Iterator[tuple[float, int]]:
    """``(processor seconds, resident bytes)`` of a process and each of its descendants.

    Processor time includes that of children which have ended and were waited for: then nothing is lost
    to the sum over the tree when a process ends between two samples.
    """
    tick, page = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")
    waiting = [str(pid)]
    while waiting:
        folder = f"{proc_root}/{waiting.pop()}"
        with suppress(OSError):  # ended meanwhile
            # The name in brackets may hold spaces and brackets itself: fields count from the last one.
            fields = _read(f"{folder}/stat").rpartition(b")")[2].split()
            threads = os.listdir(f"{folder}/task")
            yield sum(map(int, fields[11:15])) / tick, int(fields[21]) * page
            for thread in threads:
                with suppress(OSError):
                    waiting += _read(f"{folder}/task/{thread}/children").decode().split()


def portable_tree(psutil: Any, pid: int) -> Iterator[tuple[float, int]]:
    """As :func:`linux_tree` where the kernel does not tell children: psutil looks at all processes."""
    root = psutil.Process(pid)
    for process in [root, *root.children(recursive=True)]:
        with suppress(psutil.Error):
            yield sum(process.cpu_times()[:4]), process.memory_info().rss


def _read(path: str) -> bytes:
    handle = os.open(path, os.O_RDONLY)
    try:
        pieces = []
        while piece := os.read(handle, 65536):
            pieces.append(piece)
        return b"".join(pieces)
    finally:
        os.close(handle)
