"""The queue's database in one SQLite file, for the processes of one machine.

One connection a thread, every write in ``BEGIN IMMEDIATE``. The journal is WAL only where the SQLite library is free
of the bug that can damage a database when its WAL is reset (https://sqlite.org/wal.html), else TRUNCATE.

Durability (https://sqlite.org/pragma.html#pragma_synchronous): in WAL mode ``synchronous=NORMAL`` never damages and may
lose the last commits in a power cut, ``FULL`` loses nothing. In TRUNCATE mode only ``FULL`` keeps a power cut from
damaging the database, and as it also syncs the truncated journal, every commit there is durable.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

from whirr import clock
from whirr.errors import StoreError
from whirr.store import filesystem
from whirr.store.database import SQL_FOLDER, WAIT_S, BootClock, Clock, Database, Row, Share, Transaction
from whirr.store.migrate import CREATE, INSERT, NEWEST
from whirr.store.queries import SQLITE, Statement, Statements
from whirr.store.sqlite_errors import is_busy, locked, moved, told
from whirr.store.turns import Turns

APPLICATION_ID = 0x77686972
"""Stands in the head of the file: "whir"."""

SLICE_S = 0.25
"""SQLite itself waits so long for a lock before Python looks whether Ctrl-C was pressed."""

WAL_FIXED = ((3, 44, 6), (3, 50, 7), (3, 51, 3))
"""The versions that mend the WAL-reset bug: in their own series, and the last in all that follow."""

TOGETHER = 64
"""So many works of waiting threads share a commit at most."""

T = TypeVar("T")
BAD_VALUES = (OverflowError, UnicodeError)
"""What the driver raises for a value that no column can hold."""


def wal_is_safe(version: tuple[int, ...] = sqlite3.sqlite_version_info) -> bool:
    """Whether a SQLite library of this version is free of the WAL-reset bug."""
    return version >= WAL_FIXED[-1] or any(version[:2] == fixed[:2] and version >= fixed for fixed in WAL_FIXED)


class SqliteTransaction(Transaction):
    """See ``Transaction``."""

    def __init__(self, database: SqliteDatabase, connection: sqlite3.Connection, statements: Statements) -> None:
        super().__init__(statements, database.clock)
        self._database = database
        self._connection = connection

    def _notify(self, text: str) -> None:
        """Nobody listens."""

    def _read_clock(self) -> float:
        raise AssertionError("SQLite has no clock of its own")

    def _execute(self, statement: Statement, params: Mapping[str, object]) -> tuple[list[Row], int]:
        with self._database.telling():
            cursor = self._database.execute(self._connection, statement.sql, params)
            if cursor.description is None:
                return [], cursor.rowcount
            names = [column[0] for column in cursor.description]
            rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
            return rows, len(rows)


class SqliteDatabase(Database):
    """See ``Database``.

    Args:
        path: the file; made where it is missing.
        wal: whether a new file may have a WAL (default: where the library is known to be safe).
        wait_s: seconds to wait for a lock that another program holds.
        sql_folder: where the named statements are.
        mountinfo: where mounted file systems are listed.

    Raises:
        StoreError: the file cannot be opened, is no database of whirr, or lies on a network file system.
    """

    kind = SQLITE

    def __init__(
        self,
        path: str,
        *,
        clock: Clock | None = None,
        wal: bool | None = None,
        wait_s: float = WAIT_S,
        sql_folder: str = SQL_FOLDER,
        mountinfo: str = filesystem.MOUNTINFO,
    ) -> None:
        self.url = os.path.abspath(os.path.expanduser(path))
        self.clock: Clock = clock or BootClock()
        self._wal = wal_is_safe() if wal is None else wal
        self._wait_s = wait_s
        self._statements = Statements(sql_folder, SQLITE)
        self._connections: dict[int, sqlite3.Connection] = {}
        self._left_to_parent: list[sqlite3.Connection] = []
        self._turns = Turns()
        self._shares: deque[Share[Any]] = deque()
        self._pid = os.getpid()
        self._closed = False
        filesystem.refuse_network(os.path.dirname(self.url), mountinfo)
        with self.telling():
            self._connections[threading.get_ident()] = self._open()
        self._file = os.stat(self.url)

    @contextmanager
    def transaction(self, *, durable: bool = False) -> Iterator[Transaction]:
        """See ``Database``."""
        connection = self._connection()
        with self.telling():
            connection.execute("PRAGMA query_only=OFF")
            if self.journal_mode == "wal":
                connection.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
        with self._turn(), self._block(connection, "BEGIN IMMEDIATE") as tx:
            yield tx

    def retry(self, work: Callable[[Transaction], T], *, durable: bool = False) -> T:
        """See ``Database``."""
        return self.together([work])[0].result() if durable else super().retry(work)

    def together(self, works: Sequence[Callable[[Transaction], T]]) -> list[Share[T]]:
        """See ``Database``. Threads that wait for the disk are served together: one commit for all of them."""
        self._connection()  # or say why there can be none
        mine = [Share(work) for work in works]
        self._shares.extend(mine)
        try:
            with self._turn():
                while not all(share.over for share in mine):
                    self._commit_together()
        finally:
            for share in mine:
                with suppress(ValueError):
                    self._shares.remove(share)
        return mine

    def _commit_together(self) -> None:
        shares = [self._shares.popleft() for _ in range(min(len(self._shares), TOGETHER))]
        try:
            with self.transaction(durable=True):
                for share in shares:
                    self._do(self._connections[threading.get_ident()], share)
        except StoreError as error:  # of the disk: for all of them
            for share in shares:
                share.error = share.error or error
        except BaseException:  # Ctrl-C, for this thread
            self._shares.extendleft(reversed(shares))
            raise
        for share in shares:
            share.over = True

    def _do(self, connection: sqlite3.Connection, share: Share[Any]) -> None:
        """One of several works, undone alone where it fails."""
        tx = SqliteTransaction(self, connection, self._statements)
        with self.telling():
            self.execute(connection, "SAVEPOINT share")
            share.do(tx)
            if share.error is not None:
                if not connection.in_transaction:  # the disk is full, or failing: all is undone
                    raise share.error
                self.execute(connection, "ROLLBACK TO share")
            self.execute(connection, "RELEASE share")

    @contextmanager
    def snapshot(self) -> Iterator[Transaction]:
        """See ``Database``."""
        connection = self._connection()
        with self.telling():
            connection.execute("PRAGMA query_only=ON")
        with self._block(connection, "BEGIN") as tx:
            yield tx

    def close(self) -> None:
        """See ``Database``."""
        self._closed = True
        self._forget_parents()
        while self._connections:
            self._connections.popitem()[1].close()

    def schema_version(self) -> int:
        """See ``Database``."""
        with self.telling():
            return self._schema_version(self._connection())

    def apply(self, version: int, name: str, statements: Sequence[Statement]) -> None:
        """See ``Database``."""
        connection = self._connection()
        # Rebuilding a table would otherwise undo what points at it (https://sqlite.org/lang_altertable.html, 7).
        connection.executescript("PRAGMA query_only=OFF; PRAGMA foreign_keys=OFF")
        try:
            with self._block(connection, "BEGIN IMMEDIATE"), self.telling():
                if self._schema_version(connection) < version:
                    self._apply(connection, version, name, statements)
        finally:
            with suppress(sqlite3.ProgrammingError):  # closed, as nothing could be undone
                connection.execute("PRAGMA foreign_keys=ON")

    def execute(
        self, connection: sqlite3.Connection, sql: str, params: Mapping[str, object] | None = None
    ) -> sqlite3.Cursor:
        """Run one statement, waiting for locks that others hold; raises sqlite3's errors."""
        deadline: float | None = None
        while True:
            try:
                return connection.execute(sql, params or {})
            except sqlite3.OperationalError as error:
                if not is_busy(error):
                    raise
                now = time.monotonic()
                deadline = now + self._wait_s - SLICE_S if deadline is None else deadline
                if now >= deadline:
                    raise
                time.sleep(0.01)  # sometimes SQLite gives up without having waited

    @contextmanager
    def telling(self) -> Iterator[None]:
        """Say what sqlite3 raises as a ``StoreError``."""
        try:
            yield
        except (sqlite3.Error, *BAD_VALUES) as error:
            raise told(error, self.url, self._wait_s) from error

    @contextmanager
    def _turn(self) -> Iterator[None]:
        turns = self._turns
        if turns.owner == threading.get_ident():
            yield
            return
        if not turns.take(self._wait_s):
            raise locked(self.url, self._wait_s)
        try:
            yield
        finally:
            turns.pass_on()

    @contextmanager
    def _block(self, connection: sqlite3.Connection, begin: str) -> Iterator[Transaction]:
        tx = SqliteTransaction(self, connection, self._statements)
        try:
            with self.telling():
                self.execute(connection, begin)
            yield tx
            if tx.failed is not None:
                raise tx.failed
            with self.telling():
                self.execute(connection, "COMMIT")
        finally:
            tx.ended = True
            if connection.in_transaction:
                self._roll_back(connection)

    def _roll_back(self, connection: sqlite3.Connection) -> None:
        try:
            connection.execute("ROLLBACK")
        except sqlite3.Error:  # the disk does not answer: closing leaves the journal for the next one to roll back
            self._connections.pop(threading.get_ident(), None)
            with suppress(sqlite3.Error):
                connection.close()

    def _connection(self) -> sqlite3.Connection:
        """This thread's connection. A later thread of the same number, whose owner is gone, takes it over."""
        if self._closed:
            raise StoreError(f"{self.url} was closed", hint="open the database again")
        self._forget_parents()
        if not self._is_in_place():
            raise moved(self.url)
        number = threading.get_ident()
        if number not in self._connections:
            with self.telling():
                self._connections[number] = self._open()
        connection = self._connections[number]
        if connection.in_transaction:
            raise RuntimeError("transactions of one thread do not nest")
        return connection

    def _is_in_place(self) -> bool:
        """SQLite itself says so of writes only, and reads on what nobody else can find."""
        try:
            return os.path.samestat(self._file, os.stat(self.url))
        except (FileNotFoundError, NotADirectoryError):
            return False

    def _forget_parents(self) -> None:
        """In a forked child, leave the parent's connections alone: even closing one could undo what the parent does."""
        if self._pid != os.getpid():
            self._left_to_parent += self._connections.values()
            self._connections = {}
            self._turns = Turns()  # a thread that is not here may have had its turn
            self._shares = deque()
            self._pid = os.getpid()

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.url, timeout=SLICE_S, isolation_level=None, check_same_thread=False)
        try:
            self.journal_mode = self._set_journal(connection)
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute("PRAGMA foreign_keys=ON")
        except BaseException:
            connection.close()
            raise
        return connection

    def _set_journal(self, connection: sqlite3.Connection) -> str:
        """A file that has a WAL keeps it where that is safe; one that has none never gets one later."""
        # In this order: whoever makes the file sets its journal before its first table.
        fresh = self._ask(connection, "PRAGMA schema_version") == 0
        has_wal = self._ask(connection, "PRAGMA journal_mode") == "wal"
        wanted = "wal" if self._wal and (has_wal or fresh) else "truncate"
        if has_wal and wanted != "wal":
            return self._end_wal(connection)
        return str(self._ask(connection, f"PRAGMA journal_mode={wanted}"))

    def _end_wal(self, connection: sqlite3.Connection) -> str:
        try:
            return str(connection.execute("PRAGMA journal_mode=truncate").fetchone()[0])
        except sqlite3.OperationalError as error:
            if not is_busy(error):
                raise
            raise StoreError(
                f"{self.url} is in use by a newer SQLite, in a way in which {sqlite3.sqlite_version} may damage it",
                hint="stop the other programs that use this queue once, or use the same Python as they do",
            ) from error

    def _ask(self, connection: sqlite3.Connection, sql: str) -> object:
        """The first value of the first row."""
        row = self.execute(connection, sql).fetchone()
        return None if row is None else row[0]

    def _schema_version(self, connection: sqlite3.Connection) -> int:
        # In this order: another process may be making the first tables, and it sets the mark together with them.
        empty = self._ask(connection, "SELECT COUNT(*) FROM sqlite_master") == 0
        mark = self._ask(connection, "PRAGMA application_id")
        if mark == APPLICATION_ID:
            version = self._ask(connection, NEWEST)
            assert isinstance(version, int)
            return version
        if mark != 0 or not empty:
            raise StoreError(
                f"{self.url} is a database of another program", hint="move it away, or set WHIRR_DIR to another folder"
            )
        return 0

    def _apply(self, connection: sqlite3.Connection, version: int, name: str, statements: Sequence[Statement]) -> None:
        connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
        connection.execute(CREATE)
        for statement in statements:
            self.execute(connection, statement.sql)
        if broken := connection.execute("PRAGMA foreign_key_check").fetchone():
            raise StoreError(f"{self.url}: migration {version} leaves a row of {broken[0]} pointing at nothing")
        connection.execute(INSERT.sql, {"version": version, "name": name, "applied_at": clock.stamp()})
