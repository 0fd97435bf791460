"""A proxy on the way to a server that loses, delays, tears and repeats what passes, as told while it runs.

It is given whole requests to decide about, so that a fault meets a request at a known place: before the server has seen
it, after a part of it, or between the server's work and the answer.
"""

from __future__ import annotations

import fcntl
import random
import socket
import struct
import termios
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse

from helpers import wait_until

HEAD_END = b"\r\n\r\n"
BLOCK = 1 << 16
PATIENCE_S = 30.0


@dataclass(frozen=True)
class Request:
    """A request as it came: its first line, and all its bytes."""

    line: str
    data: bytes


class Broken(Exception):
    """This connection is over."""


class Connection:
    """One client, and the server as this client sees it."""

    def __init__(self, proxy: FaultyProxy, client: socket.socket) -> None:
        self.proxy, self.client = proxy, client
        self._upstream: socket.socket | None = None

    def serve(self) -> None:
        """Take requests until somebody ends."""
        try:
            while (request := self._read()) is not None:
                self.proxy.fault(self, request)
        except (OSError, HTTPException, Broken):
            self.reset()
        finally:
            self.close()

    def _read(self) -> Request | None:
        data = b""
        while HEAD_END not in data:
            block = self.client.recv(BLOCK)
            if not block:
                return None
            data += block
        head, _, _ = data.partition(HEAD_END)
        words = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
        if words.get(b"transfer-encoding") == b"chunked":
            while not data.endswith(b"0\r\n\r\n"):
                data += self._more()
        else:
            size = len(head) + len(HEAD_END) + int(words.get(b"content-length", b"0"))
            while len(data) < size:
                data += self._more()
        return Request(head.partition(b"\r\n")[0].decode(), data)

    def _more(self) -> bytes:
        block = self.client.recv(BLOCK)
        if not block:
            raise Broken
        return block

    def forward(self, request: Request) -> None:
        """Hand a request on; the answer follows by itself, however long it lasts."""
        if self._upstream is None:
            self._upstream = self._connect()
            threading.Thread(target=self._answers, args=[self._upstream], daemon=True).start()
        self._upstream.sendall(request.data)

    def aside(self, data: bytes) -> bytes:
        """Send bytes to the server on a connection of their own, and take in the whole answer."""
        with self._connect() as server:
            server.sendall(data)
            with HTTPResponse(server) as answer:
                answer.begin()
                return answer.read()

    def torn(self, data: bytes) -> None:
        """Send bytes to the server on a connection of their own, and break it."""
        with self._connect() as server:
            server.sendall(data)
            _reset(server)

    def _connect(self) -> socket.socket:
        server = socket.create_connection(self.proxy.server, PATIENCE_S)
        server.settimeout(None)
        self.proxy.keep(server)
        return server

    def _answers(self, server: socket.socket) -> None:
        with suppress(OSError):
            while block := server.recv(BLOCK):
                if self.proxy.dark.is_set():
                    self.proxy.wait_for_light()
                    break  # what was under way is lost
                self.client.sendall(block)
        with suppress(OSError):
            self.client.shutdown(socket.SHUT_RDWR)

    def delivered(self) -> None:
        """Wait until all that was sent has arrived at the client's side: a reset drops what has not."""
        wait_until(lambda: not fcntl.ioctl(self.client, termios.TIOCOUTQ, b"\0" * 4).strip(b"\0"))

    def reset(self) -> None:
        """Break the client's connection."""
        with suppress(OSError):
            _reset(self.client)

    def close(self) -> None:
        """Let go of both sides."""
        for side in (self.client, self._upstream):
            if side is not None:
                with suppress(OSError):
                    side.shutdown(socket.SHUT_RDWR)
                side.close()


Fault = Callable[[Connection, Request], None]


class FaultyProxy:
    """A proxy in a thread.

    Attributes:
        fault: what is done with each request; may be set at any time.
        dark: while it is set nothing passes in either direction, and nobody is told.
        count: how many requests a fault has met.
    """

    def __init__(self, port: int) -> None:
        self.server = ("127.0.0.1", port)
        self.fault: Fault = pass_on
        self.dark = threading.Event()
        self.count = 0
        self._light = threading.Event()
        self._light.set()
        self._lock = threading.Lock()
        self._sockets: set[socket.socket] = set()
        self._port = 0
        self.open()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def open(self) -> None:
        """Listen, at the port it had before if it had one."""
        self._listening = socket.create_server(("127.0.0.1", self._port), backlog=128)
        self._port = self._listening.getsockname()[1]
        threading.Thread(target=self._accept, args=[self._listening], daemon=True).start()

    def refuse(self) -> None:
        """Listen no more and break every connection, as when the server has been killed; until `open`."""
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
        self._listening.close()
        self.break_all()

    def break_all(self) -> None:
        """Break every connection that there is."""
        with self._lock:
            sockets, self._sockets = self._sockets, set()
        for each in sockets:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def go_dark(self) -> None:
        """Let nothing pass, as when a cable is cut; until `lighten`."""
        self._light.clear()
        self.dark.set()

    def lighten(self) -> None:
        """Let new connections pass again; those from before are dead."""
        self.dark.clear()
        self._light.set()
        self.break_all()

    def wait_for_light(self) -> None:
        self._light.wait()

    def close(self) -> None:
        self.refuse()
        self._light.set()

    def keep(self, connection: socket.socket) -> None:
        """Know a socket, so that it can be broken."""
        with self._lock:
            self._sockets = {each for each in self._sockets if each.fileno() != -1} | {connection}

    def met(self) -> None:
        """Count a fault."""
        with self._lock:
            self.count += 1

    def _accept(self, listening: socket.socket) -> None:
        while True:
            try:
                client, _ = listening.accept()
            except OSError:
                return
            self.keep(client)
            threading.Thread(target=self._take, args=[client], daemon=True).start()

    def _take(self, client: socket.socket) -> None:
        if self.dark.is_set():
            self.wait_for_light()
            client.close()
        else:
            Connection(self, client).serve()


def pass_on(connection: Connection, request: Request) -> None:
    """No fault."""
    if connection.proxy.dark.is_set():
        connection.proxy.wait_for_light()
        raise Broken
    connection.forward(request)


def lost(connection: Connection, request: Request) -> None:
    """The connection breaks before the server has seen anything."""
    raise Broken


def unanswered(connection: Connection, request: Request) -> None:
    """The server does what it is asked; the answer is lost."""
    connection.aside(request.data)
    raise Broken


def repeated(connection: Connection, request: Request) -> None:
    """The server is asked twice; the client sees the second answer."""
    connection.aside(request.data)
    connection.forward(request)


def torn(connection: Connection, request: Request, share: float = 0.5) -> None:
    """The connection breaks when a part of the request has come through."""
    connection.torn(request.data[: int(len(request.data) * share)])
    raise Broken


def slow(connection: Connection, request: Request, seconds: float = 0.3) -> None:
    """The request lies on the way for a while."""
    threading.Event().wait(seconds)
    connection.forward(request)


def crumbled(connection: Connection, request: Request) -> None:
    """The request comes in many small pieces."""
    size = max(len(request.data) // 20, 1)
    for start in range(0, len(request.data), size):
        connection.forward(Request(request.line, request.data[start : start + size]))
        threading.Event().wait(0.005)


def some(seed: int, share: float, *faults: Fault) -> Fault:
    """One of these faults for this share of all requests but bells, which have no end."""
    seeded, lock = random.Random(seed), threading.Lock()

    def fault(connection: Connection, request: Request) -> None:
        with lock:
            chosen = seeded.choice(faults) if seeded.random() < share else pass_on
        if chosen is pass_on or "/bell" in request.line:
            pass_on(connection, request)
        else:
            connection.proxy.met()
            chosen(connection, request)

    return fault


def _reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


@contextmanager
def proxy_for(port: int) -> Iterator[FaultyProxy]:
    """A proxy to a server on this machine, without faults so far."""
    proxy = FaultyProxy(port)
    try:
        yield proxy
    finally:
        proxy.close()
