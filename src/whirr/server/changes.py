"""Which runs have changed since somebody looked last, found out at a cost that is bounded however many there are.

Runs that live are looked at each time. All others are passed over in sweeps, which may take a small part of the time.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from whirr.folder import HEARTBEAT, METRICS

LIVES_S = 35.0
"""A run without any sign of life for so long is looked at no more: three heartbeats."""

MOST_LIVE = 500
SWEEP_EVERY_S, REST = 2.0, 25
"""After a sweep this long is waited, and so many times as long as it took."""

GROWING = re.compile(r"(metrics|system)(\..+)?\.jsonl")


class Glance(NamedTuple):
    """A run at a moment.

    Attributes:
        changed_ns: when its documents were replaced last.
        size: bytes of its metrics.
        signed_at: its last sign of life, in seconds since 1970.
    """

    changed_ns: int
    size: int
    signed_at: float


class Changes:
    """See the module.

    Args:
        folder: the runs; it need not exist.
        now: seconds since 1970, as files are stamped.
        monotonic: seconds on a clock that only goes forward.
    """

    def __init__(
        self,
        folder: Path,
        now: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder = os.fspath(folder)
        self._now = now
        self._monotonic = monotonic
        self._seen: dict[str, Glance] = {}
        self._live: dict[str, tuple[object, float]] = {}
        self._sweep_at = float("-inf")
        self._folder_ns = -1
        self._looked = False

    def look(self) -> set[str]:
        """The runs that came, changed, went or fell silent since the last look; the first gives those that live."""
        changed = self._look_at_live()
        folder_ns = self._stamp()
        if self._monotonic() >= self._sweep_at or folder_ns != self._folder_ns:
            began, self._folder_ns = self._monotonic(), folder_ns
            changed |= self._sweep()
            took = self._monotonic() - began
            self._sweep_at = self._monotonic() + max(SWEEP_EVERY_S, REST * took)
        return changed

    def _stamp(self) -> int:
        """When runs came or went last."""
        with suppress(OSError):
            return os.stat(self._folder).st_mtime_ns
        return -1

    def _look_at_live(self) -> set[str]:
        changed = set()
        for run, (before, signed_at) in list(self._live.items()):
            state, signed = self._closely(run)
            signed_at = max(signed, signed_at)
            self._live[run] = (state, signed_at)
            if state != before:
                changed.add(run)
            elif signed_at < self._now() - LIVES_S:
                changed.add(run)  # what its files no longer say is judged by whoever reads them
                del self._live[run]
        return changed

    def _sweep(self) -> set[str]:
        found = {run: self._glance(run) for run in self._names()}
        changed = self._seen.keys() - found.keys()
        for run in changed:
            self._live.pop(run, None)
        for run, glance in found.items():
            before = self._seen.get(run)
            is_new = before is None or glance[:2] != before[:2]
            lives = glance.signed_at > self._now() - LIVES_S
            if run not in self._live and (lives or (is_new and self._looked)):
                self._live[run] = (self._closely(run)[0], glance.signed_at if lives else self._now())
                changed.add(run)
        self._seen, self._looked = found, True
        for run in sorted(self._live, key=lambda run: self._live[run][1])[: max(len(self._live) - MOST_LIVE, 0)]:
            del self._live[run]
        return changed

    def _names(self) -> list[str]:
        with suppress(OSError), os.scandir(self._folder) as entries:
            return [entry.name for entry in entries if not entry.name.startswith(".")]
        return []

    def _glance(self, run: str) -> Glance:
        folder = f"{self._folder}/{run}"
        changed_ns, size, signed_at = 0, 0, 0.0
        with suppress(OSError):
            status = os.stat(folder)
            changed_ns, signed_at = status.st_mtime_ns, status.st_mtime
            for name in (HEARTBEAT, METRICS):
                with suppress(OSError):
                    status = os.stat(f"{folder}/{name}")
                    size, signed_at = status.st_size, max(signed_at, status.st_mtime)
        return Glance(changed_ns, size, signed_at)

    def _closely(self, run: str) -> tuple[object, float]:
        """All that grows in a run's folder, and its last sign of life."""
        sizes, glance = [], self._glance(run)
        with suppress(OSError), os.scandir(f"{self._folder}/{run}") as entries:
            sizes = [(entry.name, entry.stat().st_size) for entry in entries if GROWING.fullmatch(entry.name)]
        return (glance.changed_ns, sorted(sizes)), glance.signed_at
