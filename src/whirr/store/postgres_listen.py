"""Hearing what other processes tell through PostgreSQL."""

from __future__ import annotations

import os
import select
import threading
from collections import deque
from contextlib import suppress

import psycopg

from whirr.errors import StoreError
from whirr.store.postgres_pool import LONGEST_PAUSE_S, Address, Connection

CHANNEL = "whirr"

MISSED = "*"
"""Stands for whatever was told while there was no connection."""

HEARTBEAT_S = 30.0
"""Seconds of silence after which the connection is tried."""


class PostgresListener:
    """See ``database.Listener``. A thread holds the connection, so that nobody waits while it is made again.

    Args:
        heartbeat_s: seconds of silence after which the connection is tried.

    Raises:
        StoreError: the server cannot be reached.
    """

    def __init__(self, address: Address, heartbeat_s: float = HEARTBEAT_S) -> None:
        self._address = address
        self._heartbeat_s = heartbeat_s
        self._told: deque[str] = deque()
        connection = self._connect()
        self._bell = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._stop = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._thread = threading.Thread(target=self._run, args=(connection,), name="whirr-listen", daemon=True)
        self._thread.start()

    def fileno(self) -> int:
        """See ``Listener``."""
        return self._bell

    def drain(self) -> list[str]:
        """See ``Listener``."""
        with suppress(BlockingIOError):
            os.eventfd_read(self._bell)
        found = []
        while self._told:
            found.append(self._told.popleft())
        return found

    def close(self) -> None:
        """See ``Listener``."""
        if self._bell < 0:
            return
        os.eventfd_write(self._stop, 1)
        self._thread.join()
        os.close(self._bell)
        os.close(self._stop)
        self._bell = -1

    def _connect(self) -> Connection:
        connection = self._address.connect()
        try:
            with self._address.telling():
                connection.execute(f"LISTEN {CHANNEL}".encode())
        except BaseException:
            connection.close()
            raise
        return connection

    def _run(self, connection: Connection | None) -> None:
        while connection is not None:
            with connection, suppress(psycopg.Error, OSError):
                if self._hear(connection):
                    return
            connection = self._connect_again()

    def _hear(self, connection: Connection) -> bool:
        """Pass on what comes; True when it is time to stop."""
        while True:
            ready = _readable((connection.fileno(), self._stop), self._heartbeat_s)
            if self._stop in ready:
                return True
            if not ready:
                connection.execute("SELECT 1")
            for notify in connection.notifies(timeout=0):
                self._tell(notify.payload)

    def _connect_again(self) -> Connection | None:
        """A new connection, however long it takes; None when it is time to stop."""
        pause = 0.0
        while not _readable((self._stop,), pause):
            with suppress(StoreError):
                connection = self._connect()
                self._tell(MISSED)
                return connection
            pause = min(pause + 0.1, LONGEST_PAUSE_S)
        return None

    def _tell(self, text: str) -> None:
        self._told.append(text)
        os.eventfd_write(self._bell, 1)


def _readable(descriptors: tuple[int, ...], timeout_s: float) -> set[int]:
    """Those that can be read, after ``timeout_s`` seconds at the most."""
    poll = select.poll()  # select.select takes no number above 1023
    for descriptor in descriptors:
        poll.register(descriptor, select.POLLIN)
    return {descriptor for descriptor, _ in poll.poll(timeout_s * 1000)}
