"""Servers for tests: one in a thread of the test, over a hub with the test's clock; and real ones, as processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from helpers import wait_until
from hubs import Ticker

from whirr.connect import open_hub
from whirr.credentials import Credentials
from whirr.dashboard.app import application
from whirr.hub import Hub
from whirr.local import LocalHub
from whirr.model import Role
from whirr.remote import RemoteHub
from whirr.server.serve import Server, configured, open_socket
from whirr.transport import Transport

WHIRR = str(Path(sys.executable).with_name("whirr"))


@contextmanager
def serving(hub: LocalHub, *, prefix: str = "") -> Iterator[str]:
    """The address, without its path prefix, of a server of a hub: a thread behind a real socket."""
    server = Server(configured(application(hub, prefix=prefix)))
    listening = open_socket("127.0.0.1", 0)
    thread = threading.Thread(target=lambda: server.run(sockets=[listening]))
    thread.start()
    wait_until(lambda: server.started)
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.end()
        thread.join(30)
        listening.close()
        assert not thread.is_alive()


@contextmanager
def hub_of_kind(kind: str, root: Path, request: pytest.FixtureRequest, clock: Ticker) -> Iterator[Hub]:
    """A hub of a kind such as ``sqlite`` or ``http+postgresql``, the suites' parameters."""
    remote, _, database = kind.rpartition("+")
    url = None if database == "sqlite" else request.getfixturevalue("postgres_url")
    made = open_hub(root, url, now=clock, serving=bool(remote))
    try:
        if remote:
            with served(made) as far:
                yield far
        else:
            yield made
    finally:
        made.close()


@contextmanager
def served(hub: LocalHub, role: Role = Role.ADMIN) -> Iterator[RemoteHub]:
    """A hub's remote double, over a server in a thread."""
    with serving(hub) as url:
        remote = RemoteHub(Transport(url, hub.tokens.create(f"test-{os.urandom(4).hex()}", role)))
        try:
            yield remote
        finally:
            remote.close()


class Served:
    """A server as a process of its own.

    Attributes:
        environ: what clients of this user need.
    """

    def __init__(self, place: Path, options: tuple[str, ...], environ: Mapping[str, str] | None) -> None:
        self.place = place
        self.root = place / ".whirr"
        home = place / "home"
        home.mkdir(parents=True, exist_ok=True)
        self.environ = {**os.environ, "HOME": str(home), **(environ or {})}
        self.environ.pop("XDG_CONFIG_HOME", None)
        self.environ.pop("XDG_STATE_HOME", None)
        self.log = place / "server.log"
        self._options = options
        self.port = 0
        self.start()

    def start(self) -> None:
        """Start it, at the port it had before if it had one."""
        before = self.log.stat().st_size if self.log.exists() else 0
        command = [WHIRR, "server", "--port", str(self.port), "--data-dir", str(self.root), *self._options]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, cwd=self.place, env=self.environ, stderr=log, stdout=log)
        wait_until(lambda: b" at http" in self.log.read_bytes()[before:] or self.process.poll() is not None)
        told = self.log.read_bytes()[before:].decode()
        assert self.process.poll() is None, told
        self.url = next(word for word in told.split() if word.startswith("http")).strip(",")
        self.port = int(self.url.partition("://")[2].partition("/")[0].rpartition(":")[2])
        wait_until(lambda: self.is_up() or self.process.poll() is not None)

    def is_up(self) -> bool:
        """Whether it answers."""
        import httpx

        try:
            return httpx.get(f"{self.url}/health", verify=False).status_code == 200
        except httpx.HTTPError:
            return False

    @property
    def token(self) -> str:
        """The admin's."""
        token = Credentials(self.environ).token_for(self.url)
        assert token is not None
        return token

    def hub(self, token: str | None = None) -> RemoteHub:
        """A new remote hub."""
        return RemoteHub(Transport(self.url, token or self.token))

    def stop(self) -> int:
        """End it gracefully; its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)

    def kill(self) -> None:
        """End it at once."""
        self.process.kill()
        self.process.wait(30)


@contextmanager
def running_server(place: Path, *options: str, environ: Mapping[str, str] | None = None) -> Iterator[Served]:
    """A real ``whirr server`` over ``place/.whirr``."""
    made = Served(place, options, environ)
    try:
        yield made
    finally:
        if made.process.poll() is None:
            made.kill()
