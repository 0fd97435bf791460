"""The queue's database on a PostgreSQL server, for many machines. Needs psycopg: imported only where it is used."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from whirr import clock
from whirr.errors import CommitUnknown, MissingExtra, StoreError, how_to_install
from whirr.store.database import SQL_FOLDER, WAIT_S, Clock, Database, Row, Share, Transaction
from whirr.store.migrate import CREATE, INSERT, NEWEST
from whirr.store.queries import POSTGRESQL, Statement, Statements, translate

try:
    import psycopg

    from whirr.store.postgres_listen import CHANNEL, PostgresListener
    from whirr.store.postgres_pool import Address, Connection, Pool
except ImportError:
    raise MissingExtra("a queue in PostgreSQL needs psycopg", hint=how_to_install("postgres")) from None

MIGRATING = 0x77686972
"""The advisory lock of whoever changes the schema: "whir"."""

READ_WRITE = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"
READ_ONLY = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"

NOW = Statement("SELECT EXTRACT(EPOCH FROM clock_timestamp())::double precision AS now", frozenset())
SAVE = b"SAVEPOINT share"
KEEP = b"RELEASE SAVEPOINT share; SAVEPOINT share"
UNDO = b"ROLLBACK TO SAVEPOINT share"
NOTIFY = Statement("SELECT pg_notify(%(channel)s, %(text)s)", frozenset({"channel", "text"}))

T = TypeVar("T")


class PostgresTransaction(Transaction):
    """See ``Transaction``."""

    def __init__(self, connection: Connection, address: Address, statements: Statements, clock: Clock | None) -> None:
        super().__init__(statements, clock)
        self._connection = connection
        self._address = address
        self._told: dict[str, None] = {}

    def each(self, shares: Sequence[Share[Any]]) -> None:
        """Do several works, each undone alone where it fails."""
        with self._address.telling():
            self._connection.execute(SAVE)
            for share in shares:
                part = PostgresTransaction(self._connection, self._address, self._statements, self._clock)
                part._told = self._told
                share.do(part)
                self._connection.execute(KEEP if share.error is None else UNDO)

    def _notify(self, text: str) -> None:
        self._told[text] = None

    def send_notes(self) -> None:
        """Send what was told, each once, as the transaction ends."""
        for text in self._told:
            self._execute(NOTIFY, {"channel": CHANNEL, "text": text})

    def _read_clock(self) -> float:
        rows, _ = self._guarded(lambda: self._execute(NOW, {}))
        return float(rows[0]["now"])

    def _execute(self, statement: Statement, params: Mapping[str, object]) -> tuple[list[Row], int]:
        # SQLite has no other booleans than 0 and 1.
        plain = {name: int(value) if isinstance(value, bool) else value for name, value in params.items()}
        with self._address.telling():
            cursor = self._connection.execute(statement.sql.encode(), plain)
            found = cursor.pgresult  # cursor.description would make an object of each column
            rows: list[Row] = cursor.fetchall() if found is not None and found.nfields else []
            return rows, cursor.rowcount


class PostgresDatabase(Database):
    """See ``Database``. Every commit is durable.

    Args:
        url: ``postgresql://user:password@host:port/name?option=value``, as libpq reads it.
        wait_s: seconds to wait for a lock, for a server that is restarting, or for a connection to become free.
        most_connections: how many transactions may run at once; further threads wait.
        sql_folder: where the named statements are.

    Raises:
        StoreError: the address cannot be understood.
    """

    kind = POSTGRESQL

    def __init__(
        self,
        url: str,
        *,
        clock: Clock | None = None,
        wait_s: float = WAIT_S,
        most_connections: int = 8,
        sql_folder: str = SQL_FOLDER,
    ) -> None:
        self._address = Address(url, wait_s)
        self.url = self._address.shown
        self._clock = clock
        self._wait_s = wait_s
        self._statements = Statements(sql_folder, POSTGRESQL)
        self._inside: set[int] = set()
        self._most = most_connections
        self._pool = Pool(self._address, most_connections)

    @contextmanager
    def transaction(self, *, durable: bool = False) -> Iterator[PostgresTransaction]:
        """See ``Database``."""
        with self._block(READ_WRITE) as tx:
            yield tx

    def together(self, works: Sequence[Callable[[Transaction], T]]) -> list[Share[T]]:
        """See ``Database``."""
        shares = [Share(work) for work in works]
        alone = shares
        if len(shares) > 1:
            self._in_one(shares)
            alone = [share for share in shares if isinstance(share.error, StoreError) and self.is_conflict(share.error)]
        for share in alone:
            share.settle(lambda work=share.work: self.retry(work, durable=True))  # type: ignore[misc]
        return shares

    def _in_one(self, shares: Sequence[Share[Any]]) -> None:
        try:
            with self.transaction() as tx:
                tx.each(shares)
        except StoreError as error:
            for share in shares:
                share.error = share.error or error

    @contextmanager
    def snapshot(self) -> Iterator[Transaction]:
        """See ``Database``."""
        with self._block(READ_ONLY) as tx:
            yield tx

    def is_conflict(self, error: StoreError) -> bool:
        """See ``Database``."""
        return isinstance(error.__cause__, psycopg.errors.DeadlockDetected | psycopg.errors.SerializationFailure)

    def listen(self) -> PostgresListener:
        """See ``Database``."""
        return PostgresListener(self._address)

    def close(self) -> None:
        """See ``Database``."""
        self._pool.close()

    def schema_version(self) -> int:
        """See ``Database``."""
        with self._begun(READ_ONLY) as connection, self._address.telling():
            return self._schema_version(connection)

    def apply(self, version: int, name: str, statements: Sequence[Statement]) -> None:
        """See ``Database``."""
        with self._begun(READ_WRITE) as connection, self._address.telling():
            connection.execute("SET LOCAL lock_timeout = 0")  # whoever migrates may take long
            connection.execute("SELECT pg_advisory_xact_lock(%s)", (MIGRATING,))
            connection.execute(CREATE)
            if self._schema_version(connection) < version:
                for statement in (*statements, *translate(INSERT.sql, POSTGRESQL)):
                    values = {"version": version, "name": name, "applied_at": clock.stamp()}
                    connection.execute(statement.sql.encode(), values)
            connection.execute("COMMIT")

    def _schema_version(self, connection: Connection) -> int:
        try:
            row = connection.execute(NEWEST).fetchone()
        except psycopg.errors.UndefinedTable:
            return 0
        except psycopg.errors.UndefinedColumn:
            raise StoreError(
                f"{self.url} is a database of another program", hint="make one for whirr alone: createdb whirr"
            ) from None
        assert row is not None
        return int(row["version"])

    @contextmanager
    def _block(self, begin: str) -> Iterator[PostgresTransaction]:
        with self._begun(begin) as connection:
            tx = PostgresTransaction(connection, self._address, self._statements, self._clock)
            try:
                yield tx
                if tx.failed is not None:
                    raise tx.failed
                tx.send_notes()
                self._commit(connection)
            finally:
                tx.ended = True

    @contextmanager
    def _begun(self, begin: str) -> Iterator[Connection]:
        """A connection on which a transaction has begun; what is not committed at the end is undone."""
        thread = threading.get_ident()
        if thread in self._inside:
            raise RuntimeError("transactions of one thread do not nest")
        self._inside.add(thread)
        try:
            connection = self._pool.take(begin)
            try:
                yield connection
            finally:
                self._pool.give(connection)
        finally:
            self._inside.discard(thread)

    def _commit(self, connection: Connection) -> None:
        try:
            with self._address.telling():
                connection.execute("COMMIT")
        except StoreError as error:
            if not connection.closed:
                raise
            raise CommitUnknown(
                f"{self._address.place}: the connection was lost while a change was being committed",
                hint="look whether the change was made before trying again",
            ) from error
