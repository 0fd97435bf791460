"""What two hundred idle workers cost their server."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from urllib.parse import urlsplit

from benchmarks.measure import Effort, Row, absolute, scratch
from benchmarks.servers import Served, processor_s, server
from whirr import clock, process
from whirr.model import WorkerInfo

WORKERS = 200
SECONDS_PER_REPEAT = 1.2


def rows(effort: Effort) -> Iterator[Row]:
    """Their bells are open, and nothing rings."""
    with scratch() as folder, server(folder) as served, ExitStack() as stack:
        for number in range(WORKERS):
            stack.enter_context(_listening(served, number))
        time.sleep(0.5)
        before, since = processor_s(served.pid), time.monotonic()
        time.sleep(SECONDS_PER_REPEAT * effort.repeats)
        share = (processor_s(served.pid) - before) / (time.monotonic() - since) * 100
    yield absolute(f"the server's share of a core, {WORKERS} idle workers", "%", share, 5)


def _listening(served: Served, number: int) -> socket.socket:
    """A worker's open bell, which has rung for the first time."""
    now = clock.stamp()
    worker = WorkerInfo(f"w-{number}", "w", process.identity(), 1, (), 300.0, now, now, remote=True)
    served.hub.register(worker)
    at = urlsplit(served.url)
    bell = socket.create_connection((at.hostname, at.port))
    head = f"GET /api/v1/workers/{worker.id}/bell HTTP/1.1\r\nHost: {at.netloc}\r\nAuthorization: Bearer {served.token}"
    bell.sendall(f"{head}\r\n\r\n".encode())
    heard = b""
    while b"data: ring" not in heard:
        block = bell.recv(4096)
        assert block, heard
        heard += block
    return bell
