"""Two machines on a cable that can be cut: network namespaces, which reach nothing but each other."""

from __future__ import annotations

import ctypes
import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

SERVER, WORKER = "10.213.7.1", "10.213.7.2"
CLONE_NEWNET = 0x40000000


class Network:
    """The server's end, in which the test itself is, and the worker's.

    Attributes:
        server: the address of the server's end.
        at_worker: a command prefix: to run a program at the worker's end.
    """

    server = SERVER

    def __init__(self) -> None:
        self._name = f"whirr-{os.getpid()}-{threading.get_native_id()}"
        self._ends = (f"{self._name}-s", f"{self._name}-w")
        self.at_worker = ["ip", "netns", "exec", self._ends[1]]

    def make(self) -> None:
        """Make both ends; CalledProcessError or OSError where that cannot be done."""
        for name in leftovers():
            _ip("netns", "delete", name)
        server, worker = self._ends
        _ip("netns", "add", server)
        _ip("netns", "add", worker)
        _ip("-n", server, "link", "add", "to-w", "type", "veth", "peer", "name", "to-s", "netns", worker)
        for end, device, address in ((server, "to-w", SERVER), (worker, "to-s", WORKER)):
            _ip("-n", end, "address", "add", f"{address}/30", "dev", device)
            _ip("-n", end, "link", "set", "lo", "up")
            _ip("-n", end, "link", "set", device, "up")

    def remove(self) -> None:
        for end in self._ends:
            subprocess.run(["ip", "netns", "delete", end], capture_output=True)

    def cut(self) -> None:
        """Cut the cable: nothing passes, and the worker's end sees only that nobody answers."""
        _ip("-n", self._ends[0], "link", "set", "to-w", "down")

    def heal(self) -> None:
        """Mend it."""
        _ip("-n", self._ends[0], "link", "set", "to-w", "up")

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Be at the server's end: this thread, and all it starts."""
        with Path("/proc/thread-self/ns/net").open() as before, Path("/run/netns", self._ends[0]).open() as there:
            _enter(there.fileno())
            try:
                yield
            finally:
                _enter(before.fileno())


def leftovers() -> list[str]:
    """The namespaces of tests that were killed."""
    there = os.listdir("/run/netns") if os.path.isdir("/run/netns") else []
    ours = [name for name in there if name.startswith("whirr-")]
    return [name for name in ours if not Path("/proc", name.split("-")[1]).exists()]


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)


def _enter(handle: int) -> None:
    if ctypes.CDLL(None, use_errno=True).setns(handle, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


@contextmanager
def a_network() -> Iterator[Network]:
    """Two ends, and this thread at the server's; the test is skipped where there can be none."""
    network = Network()
    try:
        try:
            network.make()
        except (OSError, subprocess.CalledProcessError) as error:
            pytest.skip(f"no network of its own can be made here: {getattr(error, 'stderr', None) or error}")
        with network.entered():
            yield network
    finally:
        network.remove()
