"""A PostgreSQL server that is restarted, or ends sessions, while clients work."""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from helpers import program, start, wait_until
from postgres import Server, remove_leftovers, running_server
from store_cases import Schema

from whirr.errors import StoreError
from whirr.store.database import Database, Listener


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server that may be stopped."""
    with running_server() as found:
        yield found


@pytest.fixture
def name(server: Server) -> str:
    return server.create_database()


@pytest.fixture
def schema(tmp_path: Path) -> Schema:
    return Schema(tmp_path / "schema")


@pytest.fixture
def db(schema: Schema, server: Server, name: str) -> Iterator[Database]:
    database = schema.open(server.url(name))
    yield database
    database.close()


def add(db: Database, name: str) -> None:
    with db.transaction() as tx:
        tx.run("add_plain", name=name, amount=0)


def names(db: Database) -> list[str]:
    with db.snapshot() as tx:
        return [row["name"] for row in tx.all("things")]


def fill(db: Database, connections: int) -> None:
    """Make a database hold so many idle connections."""
    meeting = threading.Barrier(connections)

    def use(_: int) -> None:
        with db.snapshot():
            meeting.wait(30)

    with ThreadPoolExecutor(connections) as pool:
        list(pool.map(use, range(connections)))


def test_ended_sessions_are_replaced_unseen(db: Database, server: Server, name: str) -> None:
    fill(db, 8)
    assert server.end_sessions(name) == 8
    add(db, "a")
    fill(db, 8)
    assert names(db) == ["a"]


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT], ids=["stopped", "crashed"])
def test_who_begins_while_the_server_restarts_waits_for_it(db: Database, server: Server, how: signal.Signals) -> None:
    fill(db, 3)
    server.stop(how)
    with ThreadPoolExecutor(3) as pool:
        adding = [pool.submit(add, db, name) for name in "abc"]
        server.start()
        for one in adding:
            one.result(40)
    assert sorted(names(db)) == ["a", "b", "c"]


def test_only_the_transaction_in_flight_is_told(db: Database, server: Server, name: str) -> None:
    def cut() -> None:
        with db.transaction() as tx:
            tx.run("add_plain", name="lost", amount=0)
            server.end_sessions(name)
            tx.run("add_plain", name="lost too", amount=0)

    with pytest.raises(StoreError) as told:
        cut()
    assert told.value.hint
    add(db, "kept")
    assert names(db) == ["kept"]


def test_a_commit_that_is_cut_says_that_its_outcome_is_unknown(db: Database, server: Server, name: str) -> None:
    def cut() -> None:
        with db.transaction() as tx:
            tx.run("add_plain", name="lost", amount=0)
            server.end_sessions(name)

    with pytest.raises(StoreError, match="while a change was being committed") as told:
        cut()
    assert "look whether" in str(told.value.hint)
    assert names(db) == []


def test_a_server_that_stays_away_is_told(schema: Schema, server: Server, name: str) -> None:
    database = schema.open(server.url(name), wait_s=0.3)
    add(database, "a")
    server.stop()
    for _ in range(2):
        with pytest.raises(StoreError, match=r"127\.0\.0\.1.*refused"):
            add(database, "b")
    server.start()
    add(database, "c")
    assert names(database) == ["a", "c"]
    database.close()


def test_writers_go_on_through_restarts(db: Database, server: Server, name: str) -> None:
    """Each writer sees at most one error for each time that its session was cut, and what it was told is there."""
    done = threading.Event()
    errors: list[StoreError] = []
    told: list[str] = []

    def write(writer: int) -> None:
        number = 0
        while not done.is_set():
            number += 1
            try:
                add(db, f"{writer}-{number}")
                told.append(f"{writer}-{number}")
            except StoreError as error:
                errors.append(error)

    def progress() -> None:
        before = len(told)
        wait_until(lambda: len(told) > before + 20, timeout=60)

    with ThreadPoolExecutor(3) as pool:
        writers = [pool.submit(write, writer) for writer in range(3)]
        try:
            for _ in range(2):
                progress()
                server.end_sessions(name)
                progress()
                server.stop(signal.SIGINT)
                server.start()
            progress()
        finally:
            done.set()
        for one in writers:
            one.result(60)
    assert len(errors) <= 3 * 4
    assert set(told) <= set(names(db))
    assert len(names(db)) <= len(told) + len(errors)


def heard(listener: Listener, text: str) -> list[str]:
    """What a listener hears until it hears `text`."""
    found: list[str] = []

    def listen() -> bool:
        select.select([listener], [], [], 1)
        found.extend(listener.drain())
        return text in found

    wait_until(listen, timeout=30)
    return found


def test_a_listener_comes_back_and_says_that_it_missed_something(db: Database, server: Server, name: str) -> None:
    listener = db.listen()
    number = listener.fileno()
    server.end_sessions(name)
    assert heard(listener, "*") == ["*"]
    tell(db, "one")
    assert heard(listener, "one") == ["one"]
    server.stop(signal.SIGQUIT)
    assert not select.select([listener], [], [], 0)[0], "a listener without a connection must not spin"
    assert listener.drain() == []
    server.start()
    assert heard(listener, "*") == ["*"]
    tell(db, "two")
    assert heard(listener, "two") == ["two"]
    assert listener.fileno() == number
    listener.close()


def tell(db: Database, text: str) -> None:
    with db.transaction() as tx:
        tx.notify(text)


def test_a_listener_can_be_closed_while_the_server_is_away(db: Database, server: Server) -> None:
    listener = db.listen()
    server.stop()
    listener.close()
    server.start()


KILLED = """
from postgres import Server
server = Server()
server.start()
print(server.folder, flush=True)
input()
"""


def test_a_server_ends_with_the_tests_that_started_it(tmp_path: Path) -> None:
    script = program(tmp_path / "killed.py", KILLED)
    process = start([sys.executable, script], tmp_path, piped=True, PYTHONPATH=str(Path(__file__).parents[1]))
    assert process.stdout is not None
    folder = Path(process.stdout.readline().strip())
    pid = int((folder / "data" / "postmaster.pid").read_text().split()[0])
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    wait_until(lambda: not Path("/proc", str(pid)).exists(), timeout=30)
    remove_leftovers()
    assert not folder.exists()
