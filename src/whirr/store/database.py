"""What both databases have in common: ``Database``, ``Transaction``, ``Listener``, ``Clock``."""

from __future__ import annotations

import os
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Generic, Protocol, TypeVar, cast

from whirr.errors import StoreError
from whirr.store.queries import Statement, Statements

HERE = os.path.dirname(os.path.abspath(__file__))
SQL_FOLDER = os.path.join(HERE, "sql")

Row = dict[str, Any]
T = TypeVar("T")

WAIT_S = 30.0
"""Seconds to wait for a lock that another program holds, or for a server that is restarting."""

CONFLICTS = 10
"""So often a transaction is tried that the database undoes because it clashed with another."""


class Clock(Protocol):
    """Gives the seconds that leases are counted in; they are compared only within one era."""

    @property
    def era(self) -> str:
        """Names the stretch of time in which the clock runs on without a break."""

    def __call__(self) -> float:
        """The current moment in seconds."""


class BootClock:
    """Seconds since this machine was booted, suspended or not: no step of the wall clock moves them."""

    def __init__(self) -> None:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            self.era = file.read().strip()

    def __call__(self) -> float:
        return time.clock_gettime(time.CLOCK_BOOTTIME)


class Transaction(ABC):
    """Named statements that take effect together; good only inside its ``with`` block.

    After a statement has failed nothing of the transaction takes effect, even where the caller goes on. A ``bool`` is
    kept as 0 or 1.

    Attributes:
        era: of the clock that ``now`` reads: the boot id on SQLite, ``""`` on PostgreSQL.
    """

    def __init__(self, statements: Statements, clock: Clock | None) -> None:
        self.era = "" if clock is None else clock.era
        self._statements = statements
        self._clock = clock
        self._now: float | None = None
        self.ended = False
        self.failed: StoreError | None = None

    def all(self, name: str, /, **params: object) -> list[Row]:
        """The rows of a named statement.

        Raises:
            StoreError: the database refuses it or cannot be reached.
            LookupError: there is no such statement.
            TypeError: a parameter is missing.
        """
        return self._call(name, params)[0]

    def one(self, name: str, /, **params: object) -> Row | None:
        """The first row of a named statement, or None; raises as ``all`` does."""
        rows = self._call(name, params)[0]
        return rows[0] if rows else None

    def run(self, name: str, /, **params: object) -> int:
        """How many rows a named statement changed; raises as ``all`` does."""
        return self._call(name, params)[1]

    def rows(self, statement: Statement, params: Mapping[str, object]) -> list[Row]:
        """The rows of a statement that stands in no file; raises as ``all`` does."""
        return self._guarded(lambda: self._execute(statement, params))[0]

    def now(self) -> float:
        """The current moment in seconds, read once in a transaction."""
        if self._now is None:
            self._now = self._read_clock() if self._clock is None else self._clock()
        return self._now

    def notify(self, text: str) -> None:
        """Tell every listener once this transaction is committed; on SQLite there are none.

        Args:
            text: at most 7999 bytes.
        """
        self._guarded(lambda: self._notify(text))

    @abstractmethod
    def _notify(self, text: str) -> None: ...

    @abstractmethod
    def _read_clock(self) -> float: ...

    @abstractmethod
    def _execute(self, statement: Statement, params: Mapping[str, object]) -> tuple[list[Row], int]:
        """The rows and how many there are, or were changed."""

    def _call(self, name: str, params: Mapping[str, object]) -> tuple[list[Row], int]:
        statement = self._statements.get(name)
        if missing := statement.parameters.difference(params):
            raise TypeError(f"{name} needs {', '.join(sorted(missing))}")
        return self._guarded(lambda: self._execute(statement, params))

    def _guarded(self, work: Callable[[], T]) -> T:
        if self.ended:
            raise RuntimeError("this transaction has ended")
        if self.failed is not None:
            raise self.failed
        try:
            return work()
        except StoreError as error:
            self.failed = error
            raise


class Share(Generic[T]):
    """One of several works that are committed together, perhaps by another thread than the one that wants it done.

    Attributes:
        error: why it was not done.
        over: it was done, and committed, or it failed.
    """

    def __init__(self, work: Callable[[Transaction], T]) -> None:
        self.work = work
        self._result: T | None = None
        self.error: Exception | None = None
        self.over = False

    def do(self, tx: Transaction) -> None:
        """Do it; ``error`` tells whether it has failed, and is to be undone."""
        self.settle(lambda: self.work(tx))
        self.error = self.error or tx.failed
        tx.ended = True

    def settle(self, outcome: Callable[[], T]) -> None:
        """Keep what ``outcome`` gives or raises as what came of it."""
        self.error = None
        try:
            self._result = outcome()
        except Exception as error:
            self.error = error

    def result(self) -> T:
        """What came of it; raises what it raised."""
        if self.error is not None:
            raise self.error
        return cast(T, self._result)


class Listener(Protocol):
    """Hears what transactions tell with ``notify``; it connects again by itself."""

    def fileno(self) -> int:
        """A descriptor that is readable when there is something to drain; the same for life."""

    def drain(self) -> list[str]:
        """What was told since the last call, never waiting; ``"*"`` where something may have been missed."""

    def close(self) -> None:
        """Stop listening."""


class Database(ABC):
    """A database of named statements; threads may share one, and a forked child may go on with it.

    Attributes:
        url: where it is, without a password.
        kind: ``sqlite`` or ``postgresql``.
        journal_mode: of SQLite: ``wal`` or ``truncate``; elsewhere ``""``.
    """

    kind: str
    url: str
    journal_mode: str = ""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.url!r})"

    @abstractmethod
    def transaction(self, *, durable: bool = False) -> AbstractContextManager[Transaction]:
        """A transaction that writes: committed at the end of the block, undone where an exception leaves it.

        Transactions of one thread do not nest: that is a ``RuntimeError``.

        Args:
            durable: it must survive a power cut, too. A killed process or a power cut never damages the database, and
                a killed process never loses what was committed, whatever is said here.

        Raises:
            StoreError: the database is locked, full, read-only, damaged or unreachable.
        """

    @abstractmethod
    def snapshot(self) -> AbstractContextManager[Transaction]:
        """A transaction that only reads and keeps nobody from writing for longer than it lasts; see ``transaction``."""

    def retry(self, work: Callable[[Transaction], T], *, durable: bool = False) -> T:
        """What ``work`` returns, done in a transaction; done again where the database undid it for another's sake."""
        for _ in range(CONFLICTS - 1):
            try:
                with self.transaction(durable=durable) as tx:
                    return work(tx)
            except StoreError as error:
                if not self.is_conflict(error):
                    raise
        with self.transaction(durable=durable) as tx:
            return work(tx)

    @abstractmethod
    def together(self, works: Sequence[Callable[[Transaction], T]]) -> list[Share[T]]:
        """Do several works in one durable transaction, in their order; one that fails is undone alone.

        Raises:
            StoreError: as ``transaction``, before any was begun. What goes wrong later is each share's ``error``.
        """

    def is_conflict(self, error: StoreError) -> bool:
        """Whether a transaction was undone only because it clashed with another (deadlock, serialization)."""
        return False

    def listen(self) -> Listener:
        """Listen to ``Transaction.notify``; only PostgreSQL can.

        Raises:
            StoreError: the server cannot be reached.
            TypeError: this database has nothing to listen to.
        """
        raise TypeError(f"{self.kind} has nothing to listen to")

    @abstractmethod
    def close(self) -> None:
        """Close all connections; whoever uses the database afterwards gets a ``StoreError``."""

    @abstractmethod
    def schema_version(self) -> int:
        """The number of the last migration applied, 0 in an empty database.

        Raises:
            StoreError: it belongs to another program.
        """

    @abstractmethod
    def apply(self, version: int, name: str, statements: Sequence[Statement]) -> None:
        """Apply one migration unless another process just did, alone and all of it or nothing."""
