"""The newest runs of very many, listed by a server."""

from __future__ import annotations

import time
from collections.abc import Iterator
from statistics import median

from benchmarks.listing import make_runs
from benchmarks.measure import Effort, Row, absolute, scratch
from benchmarks.servers import server
from whirr.transport import Transport

PAGE = 50


def rows(effort: Effort) -> Iterator[Row]:
    """Once it has looked at them all."""
    with scratch() as folder:
        make_runs(folder / ".whirr", effort.queued)
        with server(folder) as served:
            transport = Transport(served.url, served.token, timeout_s=600)
            first = _page_s(transport)
            times = [_page_s(transport) for _ in range(effort.repeats * 4)]
            transport.close()
    what = f"{PAGE} of {effort.queued:,} runs from the server"
    yield absolute(f"{what}, median", "ms", median(times) * 1000, 50)
    yield Row(f"{what}, the first time", "s", None, first, first, None, "{:.2f} s")


def _page_s(transport: Transport) -> float:
    since = time.perf_counter()
    found = transport.get("/runs", {"limit": PAGE})
    taken = time.perf_counter() - since
    assert found["runs"]
    return taken
