"""System metrics of the jobs of a worker: what their own programs do not record.

A program that calls ``whirr.init`` samples for itself, or was told not to. For all other jobs this one thread does it,
from their second second on.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from whirr.folder import HEARTBEAT, META, SYSTEM
from whirr.jsonio import read_document, write_all

if TYPE_CHECKING:
    from whirr.sampler import Sampler

FIRST_AFTER_S = 1.0


class Sampling:
    """The thread that samples.

    Args:
        interval_s: seconds between two samples of a job.
        worker_pid: the process named in the ``meta.json`` of a job whose program does not use whirr.
        pids: gives the run folder and the process of each job that runs now.
    """

    def __init__(self, interval_s: float, worker_pid: int, pids: Callable[[], dict[Path, int]]) -> None:
        self._interval_s = interval_s
        self._worker_pid = worker_pid
        self._pids = pids
        self._samplers: dict[Path, Sampler] = {}
        self._due: dict[Path, float] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="whirr-sampling", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, without waiting for a sample that hangs in a driver."""
        self._stop.set()

    def _work(self) -> None:
        from time import monotonic

        while not self._stop.wait(FIRST_AFTER_S):
            running = self._pids()
            for run_dir in [run_dir for run_dir in self._due if run_dir not in running]:
                del self._due[run_dir]
                if run_dir in self._samplers:
                    self._samplers.pop(run_dir).close()
            for run_dir, pid in running.items():
                if run_dir not in self._due:
                    self._due[run_dir] = monotonic() + FIRST_AFTER_S / 2
                elif monotonic() >= self._due[run_dir]:
                    self._due[run_dir] = monotonic() + self._interval_s
                    with suppress(OSError, ValueError):  # a full disk costs a sample, not the worker
                        self._sample(run_dir, pid)

    def _sample(self, run_dir: Path, pid: int) -> None:
        (run_dir / HEARTBEAT).touch()
        meta = read_document(run_dir / META)
        named = meta.get("process") if isinstance(meta, dict) else None
        if not isinstance(named, dict) or named.get("pid") != self._worker_pid:
            return
        if run_dir not in self._samplers:
            from whirr.sampler import Sampler

            self._samplers[run_dir] = Sampler(run_dir, pid=pid)
        sample = self._samplers[run_dir].sample()
        if not sample:
            return
        handle = os.open(run_dir / SYSTEM, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            write_all(handle, orjson.dumps(sample, option=orjson.OPT_APPEND_NEWLINE))
        finally:
            os.close(handle)
