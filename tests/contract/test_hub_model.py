"""The queue against a model of it, under crashes, pauses, reboots and bad lines; and the proof that this can fail."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from far_queue_machine import FarQueueMachine
from hubs import Ticker
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test
from postgres import Server
from queue_machine import MortalPostgres, MortalSqlite, OpenDatabase, QueueMachine

from whirr import transport
from whirr.errors import StoreError
from whirr.store.database import SQL_FOLDER
from whirr.store.migrate import migrate

TABLES = "jobs, workers, worker_folders, attempts, dependencies, job_tags, gpus_in_use"
SLOW = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]


def check(make: Callable[[], QueueMachine], **about: object) -> None:
    given = {"stateful_step_count": 40, "suppress_health_check": SLOW, "deadline": None, **about}
    run_state_machine_as_test(make, settings=settings(**given))


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


@pytest.fixture
def over_postgresql(postgres_server: Server, postgres_url: str) -> OpenDatabase:
    first = MortalPostgres(postgres_url)
    migrate(first)
    first.close()
    name = postgres_url.rpartition("/")[2]

    def open_database(_: Path, clock: Ticker) -> MortalPostgres:
        postgres_server.ask(f"TRUNCATE {TABLES} RESTART IDENTITY", name)
        return MortalPostgres(postgres_url, clock=clock)

    return open_database


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is sent again is sent again at once."""
    monkeypatch.setattr(transport, "FIRST_PAUSE_S", 0.0)


def test_the_queue_over_sqlite(empty: Path) -> None:
    check(lambda: QueueMachine(over_sqlite(empty)), max_examples=50)


def test_the_queue_over_postgresql(over_postgresql: OpenDatabase) -> None:
    check(lambda: QueueMachine(over_postgresql), max_examples=8, database=None)


@pytest.mark.usefixtures("at_once")
def test_the_queue_over_http_and_sqlite(empty: Path) -> None:
    check(lambda: FarQueueMachine(over_sqlite(empty)), max_examples=10)


@pytest.mark.usefixtures("at_once")
def test_the_queue_over_http_and_postgresql(over_postgresql: OpenDatabase) -> None:
    check(lambda: FarQueueMachine(over_postgresql), max_examples=4, database=None)


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
    weak = over_sqlite(empty, weakened(tmp_path / "sql", guard, weaker))
    with pytest.raises((AssertionError, StoreError), match=told):
        check(lambda: QueueMachine(weak), **SEARCH)


@pytest.mark.usefixtures("at_once")
def test_a_submission_without_its_key_is_found_out(empty: Path) -> None:
    with pytest.raises(AssertionError):
        check(lambda: FarQueueMachine(over_sqlite(empty), without="Idempotency-Key"), **SEARCH)


@pytest.mark.usefixtures("at_once")
def test_a_report_that_is_not_heard_twice_is_found_out(tmp_path: Path, empty: Path) -> None:
    forgets = over_sqlite(empty, weakened(tmp_path / "sql", "AND reported = 1", "AND reported = 2"))
    with pytest.raises(AssertionError, match=r"holds, and was refused|was reported, and is refused"):
        check(lambda: FarQueueMachine(forgets), **SEARCH)


def weakened(folder: Path, guard: str, weaker: str) -> str:
    """A copy of the statements, one of them changed."""
    shutil.copytree(SQL_FOLDER, folder)
    path = folder / "leases.sql"
    text = path.read_text()
    assert text.count(guard) == 1
    path.write_text(text.replace(guard, weaker))
    return str(folder)
