"""Submissions over HTTP by many clients, against bare inserts into the same database and bare requests.

The clients are 16 connections of one small process that does no more than write requests and wait for answers: on two
cores, 16 Python clients would mostly measure themselves.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from itertools import repeat
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.measure import Effort, Row, absolute, percentile, scratch
from benchmarks.servers import Served, postgresql, processor_s, server
from whirr import clock
from whirr.connect import open_hub
from whirr.local import LocalHub
from whirr.model import JobSpec

CLIENTS = 16
PROCESSES, THREADS = 4, 4
BUSY = 85.0
"""Percent of a core; a server that is so busy while the database waits is itself the limit."""

SPEC = JobSpec(("true",), "/")
JOB = json.dumps({"spec": {"argv": ["true"], "workdir": "/"}}).encode()


def rows(effort: Effort) -> Iterator[Row]:
    """Over SQLite and over PostgreSQL."""
    # Both folders are deleted at the end: where thousands of files were deleted a minute ago, ext4 looks for each new
    # one at so many places that a submission costs three times as much.
    with scratch() as one, scratch() as two, postgresql() as url:
        yield from _over("SQLite", None, one, effort)
        if url is not None:
            yield from _over("PostgreSQL", url, two, effort)


def _over(name: str, url: str | None, folder: Path, effort: Effort) -> Iterator[Row]:
    each = max(effort.jobs // CLIENTS, 1) * 4
    with server(folder, url) as served:
        bare, _ = _rate(_inserting, str(folder / ".whirr"), url or "", each)
        asked, _ = _requests(served, "GET", "/api/v1/server", b"", each * 2)
        before = processor_s(served.pid)
        since = time.monotonic()
        ours, times = _requests(served, "POST", "/api/v1/jobs", JOB, each)
        share = (processor_s(served.pid) - before) / (time.monotonic() - since) * 100
    head = f"HTTP submissions, 16 clients, {name}"
    goal = None if share > BUSY and ours < bare / 2 else 0.5
    limit = "inserts" if goal else "the server's processor time"
    yield Row(f"{head}; limit: {limit}", "/s", bare, ours, ours / bare, goal, "{:.2f} x", at_least=True)
    yield Row(f"the same; limit: GETs, {name}", "/s", asked, ours, ours / asked, None, "{:.2f} x")
    yield absolute(f"{head}, p99", "ms", percentile(times, 0.99) * 1000, 50)
    yield Row(f"the server's share of a core, {name}", "%", None, share, share, None, "{:.0f} %")


def _requests(served: Served, method: str, path: str, body: bytes, each: int) -> tuple[float, list[float]]:
    """Requests a second of all clients, and the seconds each took."""
    times: list[float] = []
    address = urlsplit(served.url)
    head = (
        f"{method} {path} HTTP/1.1\r\nHost: {address.netloc}\r\nAuthorization: Bearer {served.token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )

    async def client() -> None:
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        for _ in range(each):
            since = time.perf_counter()
            writer.write(head.encode() + body)
            await _answered(reader)
            times.append(time.perf_counter() - since)
        writer.close()

    async def clients() -> float:
        since = time.perf_counter()
        await asyncio.gather(*(client() for _ in range(CLIENTS)))
        return time.perf_counter() - since

    return CLIENTS * each / asyncio.run(clients()), times


async def _answered(reader: asyncio.StreamReader) -> None:
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    assert head.split(b" ", 2)[1] == b"200", head
    await reader.readexactly(int(head.partition(b"content-length:")[2].split(b"\r", 1)[0]))


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
