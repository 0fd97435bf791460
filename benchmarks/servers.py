"""What the parts about the server share: a server and remote workers as users start them, and a PostgreSQL."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from benchmarks.measure import clean_environment
from benchmarks.queues import TICKS, WHIRR, until
from whirr.connect import open_hub
from whirr.local import LocalHub
from whirr.model import Role
from whirr.remote import RemoteHub
from whirr.transport import Transport


class Served(NamedTuple):
    """A running server.

    Attributes:
        hub: its own queue and folder, as this machine sees them.
        token: an administrator's.
    """

    url: str
    hub: LocalHub
    token: str
    pid: int
    environ: Mapping[str, str]

    def remote(self) -> RemoteHub:
        """A client's view of it."""
        return RemoteHub(Transport(self.url, self.token))


@contextmanager
def server(folder: Path, database_url: str | None = None) -> Iterator[Served]:
    """``whirr server`` over ``folder/.whirr``."""
    environ = {
        **clean_environment(),
        "HOME": str(folder),
        "XDG_CONFIG_HOME": str(folder),
        "XDG_STATE_HOME": str(folder),
    }
    database = ["--database-url", database_url] if database_url else []
    root, log = folder / ".whirr", folder / "server.log"
    command = [WHIRR, "server", "--port", "0", "--data-dir", str(root), *database]
    with log.open("wb") as file:
        process = subprocess.Popen(command, cwd=folder, env=environ, stdout=file, stderr=file)
    try:
        until(lambda: b"on another machine" in log.read_bytes() or process.poll() is not None)
        url = next(word for word in log.read_text().split() if word.startswith("http")).strip(",")
        hub = open_hub(root, database_url)
        try:
            yield Served(url, hub, hub.tokens.create("benchmark", Role.ADMIN), process.pid, environ)
        finally:
            hub.close()
    finally:
        process.terminate()
        process.wait()


@contextmanager
def remote_worker(served: Served, folder: Path) -> Iterator[int]:
    """A worker of a server with a disk of its own; its pid."""
    command = [WHIRR, "worker", "--server", served.url, "--gpus", "none"]
    with (folder / "worker.log").open("wb") as log:
        environ = {**served.environ, "WHIRR_TOKEN": served.token}
        process = subprocess.Popen(command, cwd=folder, env=environ, stdout=log, stderr=log)
    try:
        until(lambda: served.hub.workers())
        yield process.pid
    finally:
        process.terminate()
        process.wait()


@contextmanager
def postgresql() -> Iterator[str | None]:
    """The address of an empty PostgreSQL database; None where the development extra is not installed."""
    tests = str(Path(__file__).parents[1] / "tests")
    with ExitStack() as stack:
        sys.path.append(tests)
        try:
            from postgres import running_server  # type: ignore[import-not-found]

            found = stack.enter_context(running_server())
        except ImportError:
            yield None
            return
        finally:
            sys.path.remove(tests)
        yield found.url(found.create_database())


def processor_s(pid: int) -> float:
    """Seconds of a processor that a process has had."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:13])) / TICKS
