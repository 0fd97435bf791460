"""The queue on a PostgreSQL server: addresses, passwords that are never shown, listeners."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from helpers import wait_until
from postgres import PASSWORD, QUOTED_PASSWORD, Server, free_port
from store_cases import Schema

from whirr.errors import StoreError
from whirr.store import open_database
from whirr.store.database import Database, Listener
from whirr.store.postgres import PostgresDatabase
from whirr.store.postgres_listen import PostgresListener
from whirr.store.postgres_pool import Address


@pytest.fixture
def db(tmp_path: Path, postgres_url: str) -> Iterator[Database]:
    database = Schema(tmp_path / "schema").open(postgres_url)
    yield database
    database.close()


def everything_said(error: BaseException | None) -> str:
    """The texts of an error and of all that it came from."""
    text = ""
    while error is not None:
        text += f"{error} {getattr(error, 'hint', '')} {error!r} "
        error = error.__cause__ or error.__context__
    return text


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda url: url.replace(QUOTED_PASSWORD, "wrongsecret"), "authentication failed"),
        (lambda url: url.replace("whirr_", "nothing_"), "does not exist"),
        (lambda url: url.replace("//whirr:", "//nobody:"), "authentication failed"),
        (lambda url: url.replace("127.0.0.1", "host.invalid"), "host.invalid"),
        (lambda url: url.replace(url.split(":")[3].split("/")[0], str(free_port())), "refused"),
    ],
    ids=["password", "database", "user", "host", "port"],
)
def test_what_is_wrong_is_told_at_once_without_the_password(
    postgres_url: str, change: Callable[[str], str], match: str
) -> None:
    with pytest.raises(StoreError, match=match) as refused:
        open_database(change(postgres_url))
    said = everything_said(refused.value)
    assert refused.value.hint
    assert not [secret for secret in (PASSWORD, QUOTED_PASSWORD, "wrongsecret") if secret in said]


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:se@cret@host/db",
        "postgresql://me:secret/more@host/db",
        "postgresql://me:se%cret@host/db",
        "postgresql://me:secret@host:port/db",
        "postgresql://me:secret@host/db?nonsense=secret",
        "postgresql://me:se?cret@host/db",
        "postgresql://me:se#cret@host/db",
    ],
)
def test_an_address_with_raw_signs_in_its_password_is_refused_unseen(url: str) -> None:
    with pytest.raises(StoreError) as refused:
        open_database(url)
    assert "cret" not in everything_said(refused.value)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://me:secret@host:5433/db?sslmode=require", "postgresql://me@host:5433/db"),
        ("postgres://host/db?password=secret&user=me", "postgresql://me@host/db"),
        ("postgresql:///db?host=/run/postgresql", "postgresql:///run/postgresql/db"),
        ("postgresql://", "postgresql://"),
        ("postgresql://me@one:5432,two:5433/db", "postgresql://me@one,two:5432,5433/db"),
    ],
)
def test_the_address_is_shown_without_its_password(url: str, shown: str) -> None:
    database = PostgresDatabase(url)  # connects to nothing yet
    assert database.url == shown
    assert "secret" not in repr(database)
    database.close()


def test_without_psycopg_the_extra_is_named() -> None:
    code = """
import sys
sys.modules["psycopg"] = None  # as if it were not installed
from whirr.errors import MissingExtra
from whirr.store import open_database
try:
    open_database("postgresql://host/db")
except MissingExtra as error:
    print(error, "|", error.hint)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == (
        "a queue in PostgreSQL needs psycopg | in whirr's source tree: pip install '.[postgres]'\n",
        "",
    )


def test_a_read_only_user_is_told(postgres_url: str, postgres_server: Server) -> None:
    name = postgres_url.rpartition("/")[2]
    open_database(postgres_url).close()
    postgres_server.ask(f"CREATE ROLE guest_{name} LOGIN PASSWORD 'guest'")
    try:
        url = f"postgresql://guest_{name}:guest@127.0.0.1:{postgres_server.port}/{name}"
        with pytest.raises(StoreError, match="permission denied") as refused:
            open_database(url)
        assert "grant" in str(refused.value.hint)
    finally:
        postgres_server.ask(f"DROP ROLE guest_{name}")


def test_no_connection_is_kept_in_a_transaction(db: Database, postgres_server: Server) -> None:
    with db.transaction() as tx:
        tx.run("add_plain", name="a", amount=1)
    states = postgres_server.ask(f"SELECT state FROM pg_stat_activity WHERE datname = '{db.url.rpartition('/')[2]}'")
    assert states == [("idle",)]


def test_a_transaction_that_stands_still_does_not_block_others(tmp_path: Path, postgres_url: str) -> None:
    """As the process of one that was stopped: the server ends it, and it is told."""
    schema = Schema(tmp_path / "schema")
    still, other = schema.open(postgres_url, wait_s=0.5), schema.open(postgres_url, wait_s=20)

    def stand_still() -> None:
        with still.transaction() as tx:
            tx.run("add_plain", name="a", amount=1)
            with other.transaction() as meanwhile:
                meanwhile.run("add_plain", name="a", amount=2)  # waits for the one that stands still
            tx.run("add_plain", name="b", amount=1)

    with pytest.raises(StoreError):
        stand_still()
    with still.snapshot() as tx:
        assert [(row["name"], row["amount"]) for row in tx.all("things")] == [("a", 2)]
    still.close()
    other.close()


def heard(listener: Listener) -> list[str]:
    """What a listener hears next."""
    assert select.select([listener], [], [], 10)[0], "nothing was heard"
    return listener.drain()


def test_what_is_committed_is_heard(db: Database) -> None:
    listener = db.listen()

    def undone() -> None:
        with db.transaction() as tx:
            tx.notify("undone")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        undone()
    with db.transaction() as tx:
        tx.notify("one 'é' %")
        tx.notify("two")
        assert listener.drain() == []
    found: list[str] = []
    while len(found) < 2:
        found += heard(listener)
    assert found == ["one 'é' %", "two"]
    assert listener.drain() == []
    assert not select.select([listener], [], [], 0)[0]
    listener.close()
    listener.close()


def test_a_listener_tries_its_connection_and_misses_nothing(postgres_url: str, db: Database) -> None:
    listener = PostgresListener(Address(postgres_url, 5), heartbeat_s=0.001)
    for number in range(200):
        with db.transaction() as tx:
            tx.notify(str(number))
    found: list[str] = []
    while "199" not in found:
        found += heard(listener)
    assert found == [str(number) for number in range(200)]
    listener.close()


def test_a_listener_lets_go_of_all(postgres_url: str, db: Database) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        db.listen().close()
    wait_until(lambda: len(os.listdir("/proc/self/fd")) == before)
