"""A server as a process: its socket, its protocol with bounds, its graceful end."""

from __future__ import annotations

import asyncio
import ctypes
import errno
import gc
import resource
import socket
import ssl
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from whirr.errors import UsageError
from whirr.server.guard import BehindProxy

BACKLOG = 2048
CONNECTIONS = 5000
LAST_ANSWERS_S = 5.0
KEEP_S = 75
HEAD_WITHIN_S = 20.0
"""A connection that has not sent the whole head of a request after so long is closed."""

HEAD_LIMIT = 1 << 19
"""Bytes of a head that is not whole yet; it may come with other requests (``guard`` has the real bound)."""

M_ARENA_MAX, ARENAS = -8, 2
"""The parameter of that name in ``malloc.h``, and what it is set to."""

SPARE_FILES = 256
"""Open files that are not for connections."""


class Protocol(HttpToolsProtocol):
    """HTTP/1.1 with a bound on the head of a request, in bytes and in time; beyond it the connection is closed."""

    def connection_made(self, transport: Any) -> None:
        """Wait for the first request."""
        super().connection_made(transport)
        self._in_head, self._head_bytes = False, 0
        self._late = self.loop.call_later(HEAD_WITHIN_S, self._give_up)

    def _give_up(self) -> None:
        if not self.transport.is_closing():
            self.transport.close()

    def data_received(self, data: bytes) -> None:
        """Take what was sent. The parser keeps a head that is not whole, however long it is."""
        super().data_received(data)
        if self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > HEAD_LIMIT:
                self._give_up()

    def on_message_begin(self) -> None:
        """A request begins."""
        self._in_head, self._head_bytes = True, 0
        self._late.cancel()
        self._late = self.loop.call_later(HEAD_WITHIN_S, self._give_up)
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """The head is whole."""
        self._in_head = False
        self._late.cancel()
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """It is over."""
        self._late.cancel()
        super().connection_lost(exc)


class Server(uvicorn.Server):
    """Ends the streams of bells and events first when it is told to stop, since they have no end of their own.

    Uvicorn would then raise the signal again, and so die of it: here a stop that was asked for is a good end.
    """

    def handle_exit(self, sig: int, frame: Any) -> None:
        """Begin to stop; told so again, stop at once."""
        self._end_streams()
        self.force_exit = self.should_exit
        self.should_exit = True

    def end(self) -> None:
        """Begin to stop, from another thread."""
        self._end_streams()
        self.should_exit = True

    def _end_streams(self) -> None:
        app: Any = self.config.app
        for streams in (app.state.bells, app.state.events):
            self._loop.call_soon_threadsafe(streams.close)

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until told to stop."""
        self._loop = asyncio.get_running_loop()
        await super().serve(sockets)


def open_socket(host: str, port: int) -> socket.socket:
    """A socket to listen at; port 0: any free one.

    Raises:
        UsageError: it cannot be had.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        made = socket.socket(family, socket.SOCK_STREAM)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((host, port))
        made.listen(BACKLOG)
    except OSError as error:
        taken = error.errno == errno.EADDRINUSE
        hint = "is another server running there? Give another --port" if taken else "see --host and --port"
        raise UsageError(f"cannot listen at {host}:{port}: {error.strerror or error}", hint=hint) from None
    return made


class Tls(NamedTuple):
    """Files in PEM: the certificate, with those that lead to its issuer, and its key."""

    certfile: Path
    keyfile: Path


def check(tls: Tls) -> None:
    """See whether certificate and key can be used.

    Raises:
        UsageError: they cannot.
    """
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(tls.certfile, tls.keyfile)
    except (OSError, ssl.SSLError) as error:
        hint = "give the certificate and its key, both as PEM"
        raise UsageError(f"certificate and key cannot be used: {error}", hint=hint) from None


def serve(app: FastAPI, listening: socket.socket, tls: Tls | None = None, *, behind_proxy: bool = False) -> None:
    """Serve until SIGTERM or SIGINT.

    Args:
        behind_proxy: who asks is told by a proxy (``X-Forwarded-For``), and nobody else can reach the server.
    """
    _share_memory()
    gc.freeze()  # what there is now stays: a collection that looks at all of it stops every answer for 50 ms
    if behind_proxy:
        app.add_middleware(BehindProxy)
    Server(configured(app, tls)).run(sockets=[listening])


def _share_memory() -> None:
    """Let the threads share memory: glibc would give each an arena of its own, from which little comes back."""
    with suppress(OSError, AttributeError):  # another C library
        ctypes.CDLL(None).mallopt(M_ARENA_MAX, ARENAS)


def configured(app: FastAPI, tls: Tls | None = None) -> uvicorn.Config:
    """How the application is served."""
    return uvicorn.Config(
        app,
        http=Protocol,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_S,
        timeout_graceful_shutdown=int(LAST_ANSWERS_S),
        limit_concurrency=_most_connections(),
        ssl_certfile=tls.certfile if tls else None,
        ssl_keyfile=tls.keyfile if tls else None,
    )


def _most_connections() -> int:
    """As many as this process may have files open; it asks for as many as it is given."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = CONNECTIONS + SPARE_FILES
    if soft < wanted:
        soft = min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return max(min(CONNECTIONS, soft - SPARE_FILES), soft // 2)
