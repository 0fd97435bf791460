"""The database when many processes use it at once, and when they are killed, on SQLite and on PostgreSQL."""

from __future__ import annotations

import random
import signal
import sqlite3
import sys
from pathlib import Path

import pytest
from helpers import Process, outputs, program, start
from store_cases import Schema

from whirr.errors import StoreError
from whirr.store.database import Database

TESTS = str(Path(__file__).parents[1])

ROUNDS = 30
"""So often a writer is killed."""

HEAD = """
import sys
from pathlib import Path
from store_cases import Schema

class Existing(Schema):
    def __init__(self, folder):
        self.sql, self.migrations = folder / "sql", folder / "migrations"

schema = Existing(Path("schema"))
"""

PROGRAMS = {
    "adding": """
sys.stdin.readline()
db = schema.open(sys.argv[1], wal="wal" in sys.argv)
for n in range(5):
    with db.transaction() as tx:
        tx.run("add_plain", name=f"{sys.argv[2]}-{n}", amount=n)
db.close()
""",
    # For each line on stdin: a writer is forked and killed after so many commits, in whatever it then does. Its
    # commits are told, in one line.
    "killing": """
import os, signal

def write(number, told):
    db = schema.open(sys.argv[1])
    for n in range(10**6):
        with db.transaction() as tx:
            tx.run("add_plain", name=f"{number}-{n}", amount=0)
            tx.run("raise", id=1, by=1)
            for _ in range(20):
                tx.run("add_part", thing=1)
        os.write(told, f"{number}-{n}\\n".encode())

for number, line in enumerate(sys.stdin):
    reading, told = os.pipe()
    child = os.fork()
    if child == 0:
        write(number, told)
    os.close(told)
    with os.fdopen(reading) as file:
        names = [file.readline().strip() for _ in range(int(line))]
        os.kill(child, signal.SIGKILL)
        names += file.read().split()
    os.waitpid(child, 0)
    print(*names, flush=True)
""",
    "holding": """
import sqlite3
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN EXCLUSIVE")
print("held", flush=True)
sys.stdin.readline()
connection.execute("COMMIT")
""",
    "interrupted": """
db = schema.connect(sys.argv[1])
try:
    print("waiting", flush=True)
    with db.transaction() as tx:
        pass
except KeyboardInterrupt:
    print("interrupted", flush=True)
db.close()
""",
}


@pytest.fixture
def schema(tmp_path: Path) -> Schema:
    for name, body in PROGRAMS.items():
        program(tmp_path / f"{name}.py", HEAD + body)
    return Schema(tmp_path / "schema")


def begin(place: Path, name: str, *words: str) -> Process:
    return start([sys.executable, f"{name}.py", *words], place, piped=True, PYTHONPATH=TESTS)


def say(process: Process, line: str) -> None:
    assert process.stdin is not None
    process.stdin.write(f"{line}\n")
    process.stdin.flush()


def hear(process: Process) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def all_at_once(schema: Schema, place: Path, url: str, *words: str) -> None:
    schema.write(2, "CREATE TABLE more (x {bigint});\nINSERT INTO more VALUES (1);")
    processes = [begin(place, "adding", url, str(number), *words) for number in range(8)]
    for process in processes:
        say(process, "go")
    assert [outputs(process) for process in processes] == [("", "")] * 8
    database = schema.open(url, wal="wal" in words)
    with database.snapshot() as tx:
        assert [row["version"] for row in tx.all("versions")] == [1, 2]
        assert {row["name"] for row in tx.all("things")} == {f"{p}-{n}" for p in range(8) for n in range(5)}
    database.close()


def test_eight_processes_open_an_empty_folder_at_once(schema: Schema, tmp_path: Path, database_url: str) -> None:
    all_at_once(schema, tmp_path, database_url)


def test_eight_processes_open_an_empty_folder_at_once_with_a_wal(schema: Schema, tmp_path: Path) -> None:
    all_at_once(schema, tmp_path, str(tmp_path / "queue.db"), "wal")


def test_a_killed_writer_loses_nothing_and_leaves_nothing_half_done(
    schema: Schema, tmp_path: Path, database_url: str
) -> None:
    database = schema.open(database_url)
    with database.transaction() as tx:
        tx.run("add_plain", name="counter", amount=0)
    chance = random.Random(7)
    told: set[str] = set()
    killing = begin(tmp_path, "killing", database_url)
    for number in range(ROUNDS):
        say(killing, str(chance.randrange(1, 9)))
        told |= set(hear(killing).split())
        assert_whole(database, told, killed=number + 1)
    assert outputs(killing) == ("", "")
    assert len(told) >= ROUNDS
    database.close()
    if database.kind == "sqlite":
        connection = sqlite3.connect(database_url)
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        connection.close()


def assert_whole(database: Database, told: set[str], killed: int) -> None:
    """What was told is there, every transaction has all its parts, and of each killed writer one may be untold."""
    with database.snapshot() as tx:
        names = {row["name"]: row["amount"] for row in tx.all("things")}
        parts = len(tx.all("parts"))
    raised = names.pop("counter")
    assert told <= set(names)
    assert len(names) <= len(told) + killed
    assert (raised, parts) == (len(names), 20 * len(names))


def test_a_lock_that_another_program_holds_is_waited_for(schema: Schema, tmp_path: Path) -> None:
    path = str(tmp_path / "queue.db")
    patient = schema.open(path)
    hasty = schema.open(path, wait_s=0.3)
    holder = begin(tmp_path, "holding", path)
    assert hear(holder) == "held\n"
    for opened in (hasty.transaction, hasty.snapshot):
        with pytest.raises(StoreError, match=r"locked by another program for 0\.3 s") as refused, opened() as tx:
            tx.all("things")
        assert refused.value.hint
    waiting = begin(tmp_path, "adding", path, "waiting")
    say(waiting, "go")
    assert outputs(holder, "let go\n") == ("", "")
    assert outputs(waiting) == ("", "")
    for database in (patient, hasty):
        with database.snapshot() as tx:
            assert len(tx.all("things")) == 5
        database.close()


def test_who_waits_for_a_lock_can_be_interrupted(schema: Schema, tmp_path: Path) -> None:
    path = str(tmp_path / "queue.db")
    schema.open(path).close()
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    process = begin(tmp_path, "interrupted", path)
    assert hear(process) == "waiting\n"
    process.send_signal(signal.SIGINT)
    assert outputs(process) == ("interrupted\n", "")
    connection.close()
