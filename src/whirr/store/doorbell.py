"""Doorbells: how whoever changes a queue in SQLite wakes its workers, within a fraction of a millisecond.

A worker binds a Unix datagram socket in a folder beside the database; ringing sends each of them a byte. A bell that
is full rings already; one that nobody hears any more, whose worker or server was killed, is taken down. (Measured:
0.24 ms from insert to claim, against 5.7 ms for ``PRAGMA data_version`` every 10 ms.)
"""

from __future__ import annotations

import _socket  # not socket, whose enums cost every `whirr submit` 5 ms
import os
import time
from contextlib import suppress
from pathlib import Path

SUFFIX = ".bell"
FORGET_AFTER_S = 60.0
"""A bell is hung up a moment before it can ring: only one that is older and refuses to is taken down."""


class Doorbell:
    """The bell of one worker.

    Args:
        folder: where the bells hang; made where it is missing.
        name: the worker's id.

    Raises:
        OSError: the socket cannot be made.
    """

    def __init__(self, folder: Path, name: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / f"{name}{SUFFIX}"
        self._socket = _socket.socket(
            _socket.AF_UNIX, _socket.SOCK_DGRAM | _socket.SOCK_NONBLOCK | _socket.SOCK_CLOEXEC
        )
        try:
            with _opened(folder) as place:
                self._socket.bind(f"{place}/{self._path.name}")
        except BaseException:
            self._socket.close()
            raise

    def fileno(self) -> int:
        """A descriptor to wait on."""
        return self._socket.fileno()

    def drain(self) -> None:
        """Take in everything that rang; never waits."""
        with suppress(BlockingIOError):
            while True:
                self._socket.recv(1)

    def close(self) -> None:
        """Take the bell down."""
        self._socket.close()
        self._path.unlink(missing_ok=True)


class _opened:
    """A short name of a folder: the path of a Unix socket has at most 107 bytes, a project's may be longer."""

    def __init__(self, folder: Path) -> None:
        self._handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def __enter__(self) -> str:
        return f"/proc/self/fd/{self._handle}"

    def __exit__(self, *_: object) -> None:
        os.close(self._handle)


def ring(folder: Path) -> None:
    """Ring every bell of a folder; never waits, and where there is no folder there is nobody to wake."""
    try:
        bells = [name for name in os.listdir(folder) if name.endswith(SUFFIX)]
    except FileNotFoundError:
        return
    if not bells:
        return
    sender = _socket.socket(_socket.AF_UNIX, _socket.SOCK_DGRAM | _socket.SOCK_NONBLOCK)
    try:
        with _opened(folder) as place:
            for name in bells:
                with suppress(OSError):  # full: it rings already; gone: nobody is there
                    _ring(sender, f"{place}/{name}")
    finally:
        sender.close()


def _ring(sender: _socket.socket, bell: str) -> None:
    try:
        sender.sendto(b"!", bell)
    except ConnectionRefusedError:  # who listened was killed
        if os.stat(bell).st_mtime < time.time() - FORGET_AFTER_S:
            os.unlink(bell)


def remove(folder: Path, name: str) -> None:
    """Take down the bell of a worker that is dead."""
    (folder / f"{name}{SUFFIX}").unlink(missing_ok=True)
