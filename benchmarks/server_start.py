"""From a submission over HTTP to the process, with an idle worker on another disk."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from benchmarks.measure import Effort, Row, absolute, percentile, scratch
from benchmarks.queues import result, until
from benchmarks.servers import Served, postgresql, remote_worker, server
from whirr import clock
from whirr.model import JobSpec
from whirr.remote import RemoteHub


def rows(effort: Effort) -> Iterator[Row]:
    """Over SQLite and over PostgreSQL."""
    yield from _over("SQLite", None, effort)
    with postgresql() as url:
        if url is not None:
            yield from _over("PostgreSQL", url, effort)


def _over(name: str, url: str | None, effort: Effort) -> Iterator[Row]:
    with scratch() as folder, server(folder, url) as served, remote_worker(served, folder):
        remote = served.remote()
        _start_s(served, remote, folder)  # all that is loaded at the first job is there now
        times = [_start_s(served, remote, folder) * 1000 for _ in range(effort.repeats * 4)]
        remote.close()
    yield absolute(f"HTTP submit to process started, {name}, p50", "ms", median(times), 60)
    yield absolute(f"HTTP submit to process started, {name}, p95", "ms", percentile(times, 0.95), 120)


def _start_s(served: Served, remote: RemoteHub, folder: Path) -> float:
    """Seconds from the call of ``submit`` to the start of the process."""
    called = time.time()
    number = remote.submit(JobSpec(("true",), str(folder))).id
    until(lambda: served.hub.job(number).status.terminal)
    return clock.epoch(result(served.hub, number)["started_at"]) - called
