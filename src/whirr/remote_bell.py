"""A bell that rings when the server's does: one thread keeps a stream open and begins anew when it breaks."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress

from whirr.errors import WhirrError
from whirr.transport import Transport, pause

SILENCE_S = 30.0
"""A stream that is silent for longer is dead: the server says something every ten seconds."""


class RemoteBell:
    """Implements ``hub.Bell``.

    Args:
        path: of the stream, below the API's root.
    """

    def __init__(self, transport: Transport, path: str) -> None:
        self._transport, self._path = transport, path
        self._hear, self._say = socket.socketpair()
        self._hear.setblocking(False)
        self._say.setblocking(False)
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="whirr-bell", daemon=True)
        self._thread.start()

    def fileno(self) -> int:
        """A descriptor to wait on."""
        return self._hear.fileno()

    def drain(self) -> bool:
        """Take in everything that rang; never waits."""
        rang = False
        with suppress(BlockingIOError):
            while self._hear.recv(4096):
                rang = True
        return rang

    def close(self) -> None:
        """Stop listening; the thread ends with its stream."""
        self._closed.set()
        self._hear.close()
        self._say.close()

    def _listen(self) -> None:
        tries = 0
        while not self._closed.is_set():
            try:
                with self._transport.stream(self._path, timeout_s=SILENCE_S) as answer:
                    for line in answer.iter_lines():
                        if self._closed.is_set():
                            return
                        tries = 0
                        if line.startswith("data:"):
                            self._ring()
            except (WhirrError, RuntimeError):  # the second: the client was closed under it
                pass
            tries += 1
            if not self._closed.is_set():
                pause(min(tries, 6))

    def _ring(self) -> None:
        with suppress(BlockingIOError, OSError):
            self._say.send(b"r")
