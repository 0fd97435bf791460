"""Connections to PostgreSQL: where to, kept for the next transaction, replaced when they are dead.

psycopg_pool was weighed and left out: after an outage its growing is blocked by a back-off that doubles up to minutes,
a wrong password shows as a time-out, and it costs 120 ms of import and four threads.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg
from psycopg.adapt import Buffer, Loader
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq import TransactionStatus
from psycopg.rows import dict_row

from whirr.errors import StoreError

Connection = psycopg.Connection[dict[str, Any]]

DEFAULTS = {
    "application_name": "whirr",
    "client_encoding": "utf8",
    "connect_timeout": 10,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 40_000,
}
"""What the address may say otherwise. A network that swallows everything is noticed after 40 to 60 s."""

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.05, 1.0
"""Between two attempts at connecting to a server that does not answer."""

HINTS: list[tuple[type[psycopg.Error], str]] = [
    (psycopg.errors.InsufficientPrivilege, "grant this user the right, or let whirr have a database of its own"),
    (psycopg.errors.ReadOnlySqlTransaction, "this server takes no writes: name the primary"),
    (psycopg.errors.DiskFull, "make room on the server's disk"),
    (psycopg.errors.LockNotAvailable, "see in pg_stat_activity who holds the lock"),
    (psycopg.errors.DuplicateTable, "this database holds another program's tables: createdb whirr"),
    (psycopg.OperationalError, "look whether the server runs and WHIRR_DATABASE_URL is right"),
]


class Address:
    """Where a server is, and how its errors are told: never with the password.

    Args:
        url: as libpq reads it.
        wait_s: seconds to wait for a lock, or for a server that is restarting.

    Attributes:
        shown: the address without its password.
        place: the same in words.

    Raises:
        StoreError: it cannot be understood.
    """

    def __init__(self, url: str, wait_s: float) -> None:
        self.wait_s = wait_s
        self._given = _parsed(url)
        self.shown = _shown(self._given)
        self.place = f"PostgreSQL at {self.shown}"

    def connect(self) -> Connection:
        """A new connection, ready for ``BEGIN``.

        Raises:
            StoreError: the server does not answer or does not let us in.
        """
        with self.telling():
            connection = psycopg.connect(
                make_conninfo(**{**DEFAULTS, **self._given}), autocommit=True, row_factory=dict_row
            )
            try:
                _prepare(connection, self.wait_s)
            except BaseException:
                connection.close()
                raise
            return connection

    @contextmanager
    def telling(self) -> Iterator[None]:
        """Say what psycopg raises as a ``StoreError``."""
        try:
            yield
        except (psycopg.Error, UnicodeError) as error:
            hint = next((text for kind, text in HINTS if isinstance(error, kind)), None)
            raise StoreError(f"{self.place}: {self._first_line(error)}", hint=hint) from error

    def _first_line(self, error: Exception) -> str:
        line = (str(error).strip() or type(error).__name__).splitlines()[0]
        password = str(self._given.get("password") or "")
        return line.replace(password, "***") if password else line


def _parsed(url: str) -> dict[str, Any]:
    """The parts of an address. libpq's own words about a bad one may quote a password that holds '@' or '/'."""
    try:
        given = conninfo_to_dict(url)
    except psycopg.Error:
        given = {"host": "@"}
    port = str(given.get("port") or "")
    if "@" in str(given.get("host") or "") or port.replace(",", "").strip("0123456789"):
        raise StoreError(
            "the address of the PostgreSQL database cannot be understood",
            hint="postgresql://user:password@host:port/name, with @ / : ? # % of a password written as %40 %2F %3A ...",
        )
    return given


def _shown(given: dict[str, Any]) -> str:
    user = f"{given['user']}@" if given.get("user") else ""
    port = f":{given['port']}" if given.get("port") else ""
    name = f"/{given['dbname']}" if given.get("dbname") else ""
    return f"postgresql://{user}{given.get('host') or given.get('hostaddr') or ''}{port}{name}"


def _prepare(connection: Connection, wait_s: float) -> None:
    # A process that is stopped in the middle of a transaction must not keep all others waiting for its locks.
    limit = max(int(wait_s * 1000), 1)
    connection.execute(f"SET lock_timeout = {limit}; SET idle_in_transaction_session_timeout = {limit}")
    connection.adapters.register_loader("numeric", _Number)


class _Number(Loader):
    """Sums and means as SQLite has them: int or float, no Decimal."""

    def load(self, data: Buffer) -> int | float:
        text = bytes(data)
        return int(text) if text.lstrip(b"-").isdigit() else float(text)


class Pool:
    """Connections that wait for their next transaction, the one used last first; nothing runs in the background.

    Args:
        most: so many are in use at once.
    """

    def __init__(self, address: Address, most: int) -> None:
        self._address = address
        self._most = most
        self._left_to_parent: list[Connection] = []
        self._closed = False
        self._reached = False
        self._begin_empty()

    def _begin_empty(self) -> None:
        self._pid = os.getpid()
        self._idle: list[Connection] = []
        self._free = threading.BoundedSemaphore(self._most)

    def take(self, begin: str) -> Connection:
        """A connection on which ``begin`` has been run; one that died while it waited is replaced.

        Raises:
            StoreError: the server cannot be reached, at once the first time and later after ``wait_s``.
        """
        if self._closed:
            raise StoreError(f"{self._address.place} was closed", hint="open the database again")
        if self._pid != os.getpid():  # a forked child: closing the parent's would end them for the parent, too
            self._left_to_parent += self._idle
            self._begin_empty()
        if not self._free.acquire(timeout=self._address.wait_s):
            raise StoreError(
                f"{self._address.place}: all {self._most} connections of this process were busy for "
                f"{self._address.wait_s:g} s"
            )
        try:
            return self._take(begin)
        except BaseException:
            self._free.release()
            raise

    def give(self, connection: Connection) -> None:
        """Take a connection back; what it has not committed is undone."""
        try:
            if connection.info.transaction_status != TransactionStatus.IDLE:
                connection.execute("ROLLBACK")
        except BaseException as error:
            connection.close()
            if not isinstance(error, psycopg.Error):
                raise
        finally:
            if not connection.closed:
                self._idle.append(connection)
            if self._closed:  # looked at last: another thread may be closing it at this moment
                self.close()
            self._free.release()

    def close(self) -> None:
        """Close what is idle now, and the rest when it is given back."""
        self._closed = True
        if self._pid == os.getpid():
            while self._idle:
                self._idle.pop().close()

    def _take(self, begin: str) -> Connection:
        deadline = time.monotonic() + self._address.wait_s
        while True:
            connection = self._idle_one() or self._new_one(deadline)
            try:
                with self._address.telling():
                    connection.execute(begin.encode())
                return connection
            except BaseException as error:
                died = connection.closed
                connection.close()
                if not (isinstance(error, StoreError) and died) or time.monotonic() >= deadline:
                    raise

    def _idle_one(self) -> Connection | None:
        with suppress(IndexError):  # another thread took the last
            return self._idle.pop()
        return None

    def _new_one(self, deadline: float) -> Connection:
        pause = FIRST_PAUSE_S
        while True:
            try:
                connection = self._address.connect()
            except StoreError:
                # Where it was never reached the address is wrong, more likely than that the server restarts.
                if not self._reached or time.monotonic() + pause >= deadline:
                    raise
            else:
                self._reached = True
                return connection
            time.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE_S)
