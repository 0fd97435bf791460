"""Submissions over HTTP by many clients, against bare inserts into the same database and bare requests."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from itertools import repeat
from pathlib import Path

from benchmarks.measure import Effort, Row, absolute, percentile, scratch
from benchmarks.servers import postgresql, processor_s, server
from whirr import clock
from whirr.connect import open_hub
from whirr.local import LocalHub
from whirr.model import JobSpec
from whirr.transport import Transport

PROCESSES, THREADS = 4, 4
SPEC = JobSpec(("true",), "/")


def rows(effort: Effort) -> Iterator[Row]:
    """Over SQLite and over PostgreSQL."""
    yield from _over("SQLite", None, effort)
    with postgresql() as url:
        if url is not None:
            yield from _over("PostgreSQL", url, effort)


def _over(name: str, url: str | None, effort: Effort) -> Iterator[Row]:
    each = max(effort.jobs // (PROCESSES * THREADS), 1) * 2
    with scratch() as folder, server(folder, url) as served:
        bare, _ = _rate(_inserting, str(folder / ".whirr"), url or "", each)
        asked, _ = _rate(_asking, served.url, served.token, each)
        before = processor_s(served.pid)
        since = time.monotonic()
        ours, times = _rate(_submitting, served.url, served.token, each)
        share = (processor_s(served.pid) - before) / (time.monotonic() - since) * 100
    limit, what = min((bare, "inserts"), (asked, "GETs"))
    head = f"HTTP submissions, 16 clients, {name}"
    yield Row(f"{head}; limit: {what}", "/s", limit, ours, ours / limit, 0.5, "{:.2f} x", at_least=True)
    yield Row(f"bare inserts, {name}; limit: GETs", "/s", asked, bare, bare / asked, None, "{:.2f} x")
    yield absolute(f"{head}, p99", "ms", percentile(times, 0.99) * 1000, 50)
    yield Row(f"the server's share of a core, {name}", "%", None, share, share, None, "{:.0f} %")


Work = Callable[[str, str, int], list[float]]


def _rate(work: Work, *about: object) -> tuple[float, list[float]]:
    """Acts a second, and the seconds each took; by processes with threads, all connected before the first act."""
    with ProcessPoolExecutor(PROCESSES, mp_context=multiprocessing.get_context("spawn")) as pool:
        parts = list(pool.map(_threads, repeat(work, PROCESSES), *(repeat(one, PROCESSES) for one in about)))
    times = [taken for part, _, _ in parts for taken in part]
    return len(times) / (max(end for _, _, end in parts) - min(start for _, start, _ in parts)), times


def _threads(work: Work, place: str, secret: str, count: int) -> tuple[list[float], float, float]:
    with ThreadPoolExecutor(THREADS) as pool:
        for _ in pool.map(work, repeat(place, THREADS), repeat(secret, THREADS), repeat(1, THREADS)):
            pass  # all that is loaded at the first act is there now
        start = time.monotonic()
        found = [
            taken for part in pool.map(work, *(repeat(x, THREADS) for x in (place, secret, count))) for taken in part
        ]
        return found, start, time.monotonic()


def _timed(act: Callable[[], object], count: int) -> list[float]:
    times = []
    for _ in range(count):
        since = time.perf_counter()
        act()
        times.append(time.perf_counter() - since)
    return times


def _submitting(url: str, token: str, count: int) -> list[float]:
    from whirr.client import WhirrClient

    with WhirrClient(url, token=token) as client:
        return _timed(lambda: client.submit_job(["true"], "/"), count)


def _asking(url: str, token: str, count: int) -> list[float]:
    transport = Transport(url, token)
    try:
        return _timed(lambda: transport.get("/server"), count)
    finally:
        transport.close()


def _inserting(root: str, url: str, count: int) -> list[float]:
    hub = open_hub(Path(root), url or None)
    try:
        return _timed(lambda: _insert(hub), count)
    finally:
        hub.close()


def _insert(hub: LocalHub) -> None:
    from whirr.store.rows import spec_text

    with hub.database.transaction(durable=True) as tx:
        columns = {"spec": spec_text(SPEC), "workdir": "/", "snapshot": 0, "submission": None}
        tx.run("insert_job", submitted_at=clock.stamp(), priority=0, gpus=None, blocked=0, **columns)
