"""The queue against a model of it, under crashes, pauses and reboots; and the proof that this test can fail."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from hubs import Ticker
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test
from postgres import Server
from queue_machine import MortalPostgres, MortalSqlite, OpenDatabase, QueueMachine

from whirr.errors import StoreError
from whirr.store.database import SQL_FOLDER
from whirr.store.migrate import migrate

TABLES = "jobs, workers, worker_folders, attempts, dependencies, job_tags, gpus_in_use"
SLOW = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]


def check(open_database: OpenDatabase, **about: object) -> None:
    given = {"stateful_step_count": 40, "suppress_health_check": SLOW, "deadline": None, **about}
    run_state_machine_as_test(lambda: QueueMachine(open_database), settings=settings(**given))


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    """A database file with the queue's schema and nothing in it."""
    path = tmp_path / "empty.db"
    database = MortalSqlite(str(path), wal=False)
    migrate(database)
    database.close()
    return path


def over_sqlite(empty: Path, sql_folder: str = SQL_FOLDER) -> OpenDatabase:
    def open_database(place: Path, clock: Ticker) -> MortalSqlite:
        shutil.copy(empty, place / "queue.db")
        return MortalSqlite(str(place / "queue.db"), clock=clock, sql_folder=sql_folder)

    return open_database


def test_the_queue_over_sqlite(empty: Path) -> None:
    check(over_sqlite(empty), max_examples=50)


def test_the_queue_over_postgresql(postgres_server: Server, postgres_url: str) -> None:
    first = MortalPostgres(postgres_url)
    migrate(first)
    first.close()
    name = postgres_url.rpartition("/")[2]

    def open_database(_: Path, clock: Ticker) -> MortalPostgres:
        postgres_server.ask(f"TRUNCATE {TABLES} RESTART IDENTITY", name)
        return MortalPostgres(postgres_url, clock=clock)

    check(open_database, max_examples=8, database=None)


SEARCH = {"max_examples": 300, "derandomize": True, "database": None, "phases": [Phase.generate]}
"""The same search each time, for any counterexample rather than the shortest."""

FINISH = "WHERE id = :id AND attempt = :attempt AND worker = :worker AND status IN ('running', 'cancelling')"
RENEW = " AND (lease_until >= :now AND era = :era);"
STALE = r"a stale token was accepted|constraint failed"

WEAKER = {
    "finish by id": (FINISH, "WHERE id = :id", STALE),
    "finish by id and state": (FINISH, "WHERE id = :id AND status IN ('running', 'cancelling')", STALE),
    "finish by id and worker": (FINISH, "WHERE id = :id AND worker = :worker", STALE),
    "renew whatever it held": (RENEW, ";", "is told that it holds"),
}


@pytest.mark.parametrize("case", WEAKER)
def test_a_weaker_guard_is_found_out(tmp_path: Path, empty: Path, case: str) -> None:
    guard, weaker, told = WEAKER[case]
    with pytest.raises((AssertionError, StoreError), match=told):
        check(over_sqlite(empty, weakened(tmp_path / "sql", guard, weaker)), **SEARCH)


def weakened(folder: Path, guard: str, weaker: str) -> str:
    """A copy of the statements, one of them changed."""
    shutil.copytree(SQL_FOLDER, folder)
    path = folder / "leases.sql"
    text = path.read_text()
    assert text.count(guard) == 1
    path.write_text(text.replace(guard, weaker))
    return str(folder)
