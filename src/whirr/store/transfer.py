"""The rows of a queue carried from one database to another, of the same kind or not."""

from __future__ import annotations

import sqlite3
from contextlib import closing

from whirr.errors import StoreError
from whirr.store.database import Database, Row, Transaction
from whirr.store.queries import translate
from whirr.store.sqlite_errors import told

BY_JOB = {"jobs": "id", "job_tags": "job_id", "dependencies": "job_id", "attempts": "job_id"}
"""Tables that grow with the jobs, and their column of the job's number; rows point only at what comes before."""

WHOLE = ("workers", "tokens", "facts")
LEFT = ("transitions", "schema_version", "worker_folders", "gpus_in_use")
"""Made by the migrations, or true only of the moment."""

STEP = 1000
"""Jobs carried at a time."""


def copy_file(source: Database, target: str) -> None:
    """Copy a SQLite database into a new file while others use it, as it is at one moment.

    Raises:
        StoreError: it cannot be read, or the file not be written.
    """
    try:
        with (
            closing(sqlite3.connect(source.url)) as read,
            closing(sqlite3.connect(target)) as write,
        ):
            read.backup(write)
    except sqlite3.Error as error:
        raise told(error, target, 0.0) from error


def copy_rows(source: Database, target: Database) -> None:
    """Carry all rows, as they are at one moment, into a database that has the tables and no jobs.

    Raises:
        StoreError: one of both cannot do it, or there are jobs or tokens already.
    """
    with source.snapshot() as read, target.transaction(durable=True) as write:
        if _rows(write, target, "SELECT id FROM jobs LIMIT 1") or _rows(write, target, "SELECT id FROM tokens LIMIT 1"):
            raise StoreError(
                f"{target.url} is in use: it has jobs or tokens",
                hint="give an empty database: --database-url, WHIRR_DATABASE_URL",
            )
        for table in WHOLE:
            _insert(write, target, table, _rows(read, source, f"SELECT * FROM {table}"))
        last = read.one("last_job")
        highest = 0 if last is None else int(last["id"])
        for table, column in BY_JOB.items():
            for after in range(0, highest, STEP):
                span = (
                    f"SELECT * FROM {table} WHERE {column} > {after} AND {column} <= {after + STEP} ORDER BY {column}"
                )
                _insert(write, target, table, _rows(read, source, span))
        if highest:
            write.run("skip_ids", id=highest)


def _rows(tx: Transaction, database: Database, sql: str) -> list[Row]:
    return tx.rows(translate(sql, database.kind)[0], {})


def _insert(tx: Transaction, database: Database, table: str, rows: list[Row]) -> None:
    if not rows:
        return
    columns = list(rows[0])
    values = ", ".join(f":{column}" for column in columns)
    statement = translate(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({values})", database.kind)[0]
    for row in rows:
        tx.rows(statement, row)
