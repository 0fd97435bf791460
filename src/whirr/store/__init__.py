"""The queue's database: connections, transactions, named statements, migrations; SQLite and PostgreSQL alike."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from whirr.store.database import Clock, Database

POSTGRES_SCHEMES = ("postgresql://", "postgres://")


def open_database(
    place: str | os.PathLike[str], *, clock: Clock | None = None, wait_s: float | None = None
) -> Database:
    """Open the queue's database and bring its schema up to date.

    Args:
        place: ``postgresql://...``, or the path of a SQLite file, which is made where it is missing; its folder exists.
        clock: what ``Transaction.now`` reads, in place of the database's own clock.
        wait_s: seconds to wait for a lock, or for a server that is away; None: half a minute.

    Raises:
        StoreError: it cannot be reached, read or written, or it is another program's.
        SchemaTooNew: a newer whirr has written it.
        MissingExtra: PostgreSQL is asked for and psycopg is not installed.
    """
    from whirr.store.database import WAIT_S
    from whirr.store.migrate import migrate

    database: Database
    patience = WAIT_S if wait_s is None else wait_s
    text = os.fspath(place)
    if text.startswith(POSTGRES_SCHEMES):
        from whirr.store.postgres import PostgresDatabase

        database = PostgresDatabase(text, clock=clock, wait_s=patience)
    else:
        from whirr.store.sqlite import SqliteDatabase

        database = SqliteDatabase(text, clock=clock, wait_s=patience)
    try:
        migrate(database)
    except BaseException:
        database.close()
        raise
    return database
