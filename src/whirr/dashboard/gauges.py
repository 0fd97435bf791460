"""How busy GPUs are, as the samples that running jobs take of their machine say; nothing is measured here.

A sample tells of all GPUs of its machine, by their numbers, while the queue knows them by their UUIDs. Which is which
is said by the environment that a run has recorded, or follows from the order where a worker offers every GPU there is.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from typing import Any, NamedTuple

from whirr import about, clock
from whirr.errors import NotFound
from whirr.fleet import Fleet, Seen
from whirr.folder import SYSTEM, decode
from whirr.hub import Hub
from whirr.model import Job

TAIL = 2**14
FRESH_S = 60.0
"""A sample that is older says nothing of now."""

ASK_AGAIN_S = 10.0
KEY = re.compile(r"gpu_(\d+)_(utilization|memory_used|memory_total)")


class Gauge(NamedTuple):
    """A GPU.

    Attributes:
        number: on its machine; None where that is not known.
        name: what it is called by its maker; empty where that is not known.
        busy: its utilisation, from 0 to 1; None where no sample of now tells it.
        memory: how much of its memory is used, in the same way.
    """

    number: int | None = None
    name: str = ""
    busy: float | None = None
    memory: float | None = None


class Gauges:
    """Reads them; what a GPU is called is remembered.

    Args:
        monotonic: seconds on a clock that only goes forward.
    """

    def __init__(self, hub: Hub, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._hub = hub
        self._monotonic = monotonic
        self._known: dict[str, tuple[int | None, str]] = {}
        self._asked: dict[tuple[int, int], float] = {}

    def read(self, fleet: Fleet) -> dict[tuple[str, str], Gauge]:
        """The GPUs of all workers, by machine and UUID."""
        now = self._hub.now()
        self._learn(fleet)
        found: dict[tuple[str, str], Gauge] = {}
        for seen in fleet.workers:
            sample = self._sample(seen, now)
            for place, uuid in enumerate(seen.worker.gpus):
                index, name = self._known.get(uuid, (None, ""))
                if index is None and len(sample) == len(seen.worker.gpus) and not _is_part(uuid):
                    index = sorted(sample)[place]
                busy, memory = sample.get(index, (None, None)) if index is not None else (None, None)
                gauge = Gauge(index, name, busy, memory)
                key = (seen.worker.machine, uuid)
                if key not in found or gauge.busy is not None:
                    found[key] = gauge
        return found

    def _learn(self, fleet: Fleet) -> None:
        """Ask runs under way for the names and numbers of GPUs that are not known yet."""
        for seen in fleet.workers:
            if all(uuid in self._known for uuid in seen.worker.gpus):
                continue
            for job in seen.jobs:
                self._ask(job)

    def _ask(self, job: Job) -> None:
        key, now = (job.id, job.attempt), self._monotonic()
        if now - self._asked.get(key, -ASK_AGAIN_S) < ASK_AGAIN_S:
            return
        self._asked = {each: at for each, at in self._asked.items() if now - at < ASK_AGAIN_S} | {key: now}
        environment = about.meta_of(self._hub, job).get("environment")
        devices = environment.get("cuda_devices") if isinstance(environment, dict) else None
        listed = devices.get("gpus") if isinstance(devices, dict) else None
        for gpu in listed if isinstance(listed, list) else ():
            if isinstance(gpu, dict) and isinstance(gpu.get("uuid"), str):
                index = gpu.get("index")
                self._known[gpu["uuid"]] = (index if isinstance(index, int) else None, str(gpu.get("name") or ""))

    def _sample(self, seen: Seen, now: float) -> dict[int, tuple[float | None, float | None]]:
        """Utilisation and share of memory of the GPUs of a worker's machine, by number, as its jobs last saw them."""
        if not seen.worker.gpus:
            return {}
        newest: Mapping[str, Any] = {}
        for job in seen.jobs:
            for record in reversed(self._records(job)):
                if any(KEY.fullmatch(key) for key in record):
                    newest = max(newest, record, key=lambda one: str(one.get("_timestamp", "")))
                    break
        return _readings(newest) if _is_fresh(newest, now) else {}

    def _records(self, job: Job) -> list[dict[str, Any]]:
        try:
            with closing(self._hub.runs.open(job.run_id, SYSTEM)) as file:
                size = file.seek(0, 2)
                file.seek(max(size - TAIL, 0))
                block = file.read(TAIL)
        except (NotFound, OSError):
            return []
        first = block.find(b"\n") + 1 if size > TAIL else 0
        return decode(block[first : max(block.rfind(b"\n"), first)])[0]


def _is_part(uuid: str) -> bool:
    """Whether it is a part of a GPU, which has no number of its own."""
    return uuid.startswith("MIG-")


def _is_fresh(sample: Mapping[str, Any], now: float) -> bool:
    try:
        return abs(now - clock.epoch(str(sample.get("_timestamp")))) <= FRESH_S
    except ValueError:
        return False


def _readings(sample: Mapping[str, Any]) -> dict[int, tuple[float | None, float | None]]:
    values: dict[int, dict[str, float]] = {}
    for key, value in sample.items():
        match = KEY.fullmatch(key)
        if match and isinstance(value, int | float) and not isinstance(value, bool):
            values.setdefault(int(match[1]), {})[match[2]] = value
    return {index: (_share(found.get("utilization"), 100), _memory(found)) for index, found in values.items()}


def _memory(found: Mapping[str, float]) -> float | None:
    return _share(found.get("memory_used"), found.get("memory_total"))


def _share(part: float | None, whole: float | None) -> float | None:
    return None if part is None or not whole else min(max(part / whole, 0.0), 1.0)
