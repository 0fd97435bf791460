"""Files on their way to a server: a line, until it can be read there, and very many bytes at once."""

from __future__ import annotations

import http.client
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import median

from benchmarks.measure import Effort, Row, absolute, python, scratch
from benchmarks.queues import until
from benchmarks.servers import Served, remote_worker, server
from whirr.hub import Target
from whirr.intake import BLOBS
from whirr.model import JobSpec
from whirr.remote import RemoteHub
from whirr.sync import Shipment

BYTES_PER_RECORD = 1000
BLOCK = 1 << 20
ROUNDS = 3
GIGABYTE = 10**9
"""The goal is for so much: less stays in memory that is warm already, and there a bare upload takes half the time."""

LINE = b"epoch 1, loss 0.123456, accuracy 0.987654\n"

TALKING = "import time\nwhile True: print(time.time(), flush=True); time.sleep(0.05)"

BARE = """
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

class Upload(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_PUT(self):
        left = int(self.headers["Content-Length"])
        with open(sys.argv[1], "wb") as file:
            while left:
                block = self.rfile.read(min(left, 1 << 20))
                file.write(block)
                left -= len(block)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *words):
        pass

server = HTTPServer(("127.0.0.1", 0), Upload)
print(server.server_port, flush=True)
server.serve_forever()
"""


def rows(effort: Effort) -> Iterator[Row]:
    """Single lines, then one file as an artifact and one that has grown."""
    size = effort.records * BYTES_PER_RECORD
    with scratch() as folder, server(folder) as served:
        remote = served.remote()
        yield absolute("append a line to a log at the server, median", "ms", _append_ms(remote, effort), 2)
        yield absolute(
            "a line of a remote job, until it is there, worst", "ms", _visible_ms(served, folder, effort), 1000
        )
        source = folder / "source"
        with source.open("wb") as file:
            for _ in range(max(size // BLOCK, 1)):
                file.write(os.urandom(BLOCK))
        total = source.stat().st_size / 1e6
        # In turn, and all deleted before the next: a virtual machine's first touch of memory costs more than all else.
        times = [
            [_cleanly(folder, partial(send, remote, folder, source)) for send in (_bare_s, _artifact_s, _log_s)]
            for _ in range(ROUNDS)
        ]
        bare, *ours = (median(column) for column in zip(*times, strict=True))
        for name, taken in zip(("artifact", "log"), ours, strict=True):
            what = f"ship {total:,.0f} MB, {name}; limit: bare upload"
            goal = 0.5 if size >= GIGABYTE else None
            yield Row(what, "MB", total / bare, total / taken, bare / taken, goal, "{:.2f} x", at_least=True)
        remote.close()


def _append_ms(remote: RemoteHub, effort: Effort) -> float:
    target = Target("local-20260101-000000-abcdef")
    remote.inbox.begin(target)
    times, size = [], 0
    for _ in range(effort.repeats * 40):
        since = time.perf_counter()
        size = remote.inbox.append(target, "output.log", size, LINE)
        times.append(time.perf_counter() - since)
    return median(times) * 1000


def _visible_ms(served: Served, folder: Path, effort: Effort) -> float:
    """The longest time between the writing of a line by a job and its appearance at the server."""
    with remote_worker(served, folder):
        number = served.hub.submit(JobSpec(tuple(python(TALKING)), str(folder))).id
        output = served.hub.run_dir(number) / "output.log"
        until(lambda: output.exists() and output.stat().st_size)
        worst, seen = 0.0, output.read_bytes().count(b"\n")
        for _ in range(effort.repeats * 4):
            lines = until(lambda before=seen: output.read_bytes().splitlines()[before:])
            worst = max(worst, time.time() - float(lines[0]))
            seen += len(lines)
        served.hub.cancel(number, "benchmark")
        until(lambda: served.hub.job(number).status.terminal)
    return worst * 1000


def _cleanly(folder: Path, send: Callable[[], float]) -> float:
    """What it gives; then nothing of what was sent is left, and the disk is at rest."""
    taken = send()
    for sent in (folder / ".whirr" / BLOBS, *folder.glob("local-*"), *folder.glob(".whirr/runs/*")):
        shutil.rmtree(sent, ignore_errors=True)
    (folder / "bare").unlink(missing_ok=True)
    os.sync()
    return taken


def _bare_s(_: RemoteHub, folder: Path, source: Path) -> float:
    with subprocess.Popen([sys.executable, "-c", BARE, str(folder / "bare")], stdout=subprocess.PIPE) as receiver:
        assert receiver.stdout is not None
        connection = http.client.HTTPConnection("127.0.0.1", int(receiver.stdout.readline()))
        since = time.perf_counter()
        with source.open("rb") as file:
            connection.request("PUT", "/", body=file, headers={"Content-Length": str(source.stat().st_size)})
            connection.getresponse().read()
        taken = time.perf_counter() - since
        connection.close()
        receiver.kill()
    return taken


def _artifact_s(remote: RemoteHub, folder: Path, source: Path) -> float:
    return _shipped_s(remote, folder, source, "weights.bin", "local-20260101-000000-000001")


def _log_s(remote: RemoteHub, folder: Path, source: Path) -> float:
    return _shipped_s(remote, folder, source, "output.log", "local-20260101-000000-000002")


def _shipped_s(remote: RemoteHub, folder: Path, source: Path, path: str, run_id: str) -> float:
    """Seconds until all of it is there, compared and on disk."""
    sent = folder / run_id
    sent.mkdir()
    os.link(source, sent / path)
    since = time.perf_counter()
    Shipment(remote.inbox, Target(run_id), sent).complete()
    return time.perf_counter() - since
