"""What every ``Database`` keeps to, on SQLite and on PostgreSQL."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
from helpers import outputs, program, start
from store_cases import Schema

from whirr.errors import SchemaTooNew, StoreError
from whirr.store import open_database
from whirr.store.database import Database, Transaction
from whirr.store.migrate import migrate


class GivenClock:
    """A clock that says what it is told."""

    era = "an era"

    def __init__(self) -> None:
        self.seconds = 0.5

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def schema(tmp_path: Path) -> Schema:
    return Schema(tmp_path / "schema")


@pytest.fixture
def opened(schema: Schema, database_url: str) -> Iterator[Callable[[], Database]]:
    """Opens the same database again and again."""
    found: list[Database] = []

    def open_one() -> Database:
        found.append(schema.open(database_url))
        return found[-1]

    yield open_one
    for database in found:
        database.close()


@pytest.fixture
def db(opened: Callable[[], Database]) -> Database:
    return opened()


def add(db: Database, *names: str, amount: int = 0) -> list[int]:
    with db.transaction() as tx:
        return [tx.all("add", name=name, amount=amount, weight=None, note=None)[0]["id"] for name in names]


def amounts(db: Database) -> dict[str, int]:
    with db.snapshot() as tx:
        return {row["name"]: row["amount"] for row in tx.all("things")}


def test_values_come_back_as_they_went_in(db: Database) -> None:
    name, note = "it's 100% %s :x {y} 'é' 漢 😀", '{"a": "b;c"}'
    with db.transaction() as tx:
        given = tx.one("add", name=name, amount=2**62, weight=0.1, note=note)
        assert given == {"id": 1, "name": name, "amount": 2**62, "weight": 0.1, "note": note}
        assert type(given) is dict
        other = tx.one("add", name="", amount=True, weight=3, note=None)
        assert other == {"id": 2, "name": "", "amount": 1, "weight": 3.0, "note": None}
        assert type(other["amount"]) is int
    with db.snapshot() as tx:
        assert tx.all("things") == [given, other]
        assert type(tx.all("things")[1]["weight"]) is float
        assert tx.one("numbers") == {
            "count": 2,
            "total": 2**62 + 1,
            "mean": pytest.approx(2.0**61),
            "text": "100%",
            "rest": 3,
        }


def test_defaults_of_a_migration_are_kept_to_the_letter(db: Database) -> None:
    with db.transaction() as tx:
        tx.run("add_plain", name="a", amount=1)
        assert [row["note"] for row in tx.all("things")] == ["{}; :no %"]


def test_one_is_the_first_row_or_none(db: Database) -> None:
    add(db, "a", "b")
    with db.snapshot() as tx:
        first = tx.one("things")
        assert first is not None
        assert first["name"] == "a"
        assert tx.one("thing", id=3) is None
        assert tx.all("thing", id=3) == []


def test_run_counts_the_rows_that_changed(db: Database) -> None:
    add(db, "a", "b", "c")
    with db.transaction() as tx:
        assert tx.run("add_plain", name="d", amount=5) == 1
        assert tx.run("set_amount", amount=9, below=5) == 3
        assert tx.run("set_amount", amount=9, below=5) == 0
        assert tx.run("raise", id=1, by=1) == 1
        assert tx.run("raise", id=77, by=1) == 0


def test_what_is_committed_is_seen_by_all(opened: Callable[[], Database]) -> None:
    one, two = opened(), opened()
    add(one, "a", amount=1)
    assert amounts(two) == {"a": 1}
    with two.transaction(durable=True) as tx:
        tx.run("raise", id=1, by=2)
    assert amounts(one) == {"a": 3}


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_exception_undoes_everything(db: Database, error: type[BaseException]) -> None:
    def interrupted() -> None:
        with db.transaction() as tx:
            tx.run("add_plain", name="a", amount=1)
            raise error

    with pytest.raises(error):
        interrupted()
    assert amounts(db) == {}
    add(db, "b")
    assert amounts(db) == {"b": 0}


def test_after_a_refused_statement_nothing_takes_effect(db: Database) -> None:
    def going_on() -> None:
        with db.transaction() as tx:
            tx.run("add_plain", name="b", amount=1)
            with suppress(StoreError):
                tx.run("add_plain", name="a", amount=1)
            with pytest.raises(StoreError):
                tx.one("things")

    add(db, "a")
    with pytest.raises(StoreError) as refused:
        going_on()
    assert db.url in str(refused.value)
    assert amounts(db) == {"a": 0}
    add(db, "c")


@pytest.mark.parametrize("amount", [-1, 2**64, "x\ud800", object(), None])
def test_values_that_no_column_holds_are_told(db: Database, amount: object) -> None:
    with pytest.raises(StoreError), db.transaction() as tx:
        tx.run("add_plain", name="a", amount=amount)
    assert amounts(db) == {}


def test_foreign_keys_hold(db: Database) -> None:
    add(db, "a")
    with pytest.raises(StoreError), db.transaction() as tx:
        tx.run("add_part", thing=2)
    with db.transaction() as tx:
        tx.run("add_part", thing=1)
        tx.run("remove", id=1)
        assert tx.all("parts") == []


def test_numbers_are_never_given_out_twice(db: Database) -> None:
    assert add(db, "a", "b") == [1, 2]
    with db.transaction() as tx:
        tx.run("remove", id=2)
    assert add(db, "c") == [3]


@pytest.mark.parametrize("statement", ["add_plain", "add"])
def test_a_snapshot_does_not_write(db: Database, statement: str) -> None:
    with pytest.raises(StoreError), db.snapshot() as tx:
        tx.all(statement, name="a", amount=1, weight=None, note=None)
    add(db, "b")
    assert amounts(db) == {"b": 0}


def test_a_snapshot_sees_one_moment(opened: Callable[[], Database]) -> None:
    reader, writer = opened(), opened()
    add(writer, "a")
    with ThreadPoolExecutor(1) as pool:
        with reader.snapshot() as tx:
            assert len(tx.all("things")) == 1
            adding = pool.submit(add, writer, "b")
            with suppress(TimeoutError):
                adding.result(0.3)  # PostgreSQL writes meanwhile, SQLite waits for readers to leave
            assert len(tx.all("things")) == 1
        adding.result(10)
    assert list(amounts(reader)) == ["a", "b"]


def test_errors_of_the_programmer_are_told_at_once(db: Database) -> None:
    with db.transaction() as tx:
        with pytest.raises(LookupError, match="no_such"):
            tx.all("no_such")
        with pytest.raises(TypeError, match="amount, name"):
            tx.run("add_plain")
        tx.run("add_plain", name="a", amount=1, more="ignored")
    with pytest.raises(RuntimeError, match="ended"):
        tx.all("things")
    with pytest.raises(RuntimeError, match="ended"):
        tx.notify("a")


def test_transactions_of_a_thread_do_not_nest(db: Database) -> None:
    with db.transaction() as tx:
        tx.run("add_plain", name="a", amount=1)
        for nested in (db.transaction, db.snapshot):
            with pytest.raises(RuntimeError, match="nest"), nested():
                pass
        tx.run("add_plain", name="b", amount=2)
    assert amounts(db) == {"a": 1, "b": 2}


def test_time_is_read_once_in_a_transaction(db: Database) -> None:
    boot = time.CLOCK_BOOTTIME if db.kind == "sqlite" else time.CLOCK_REALTIME
    before = time.clock_gettime(boot)
    with db.transaction() as tx:
        first = tx.now()
        assert tx.now() == first
    with db.snapshot() as later:
        assert before - 0.001 <= first < later.now() <= time.clock_gettime(boot) + 0.001
    eras = {"sqlite": Path("/proc/sys/kernel/random/boot_id").read_text().strip(), "postgresql": ""}
    assert tx.era == later.era == eras[db.kind]


def test_a_given_clock_is_read_instead(schema: Schema, database_url: str) -> None:
    clock = GivenClock()
    database = schema.open(database_url, clock=clock)
    with database.transaction() as tx:
        assert (tx.now(), tx.era) == (0.5, "an era")
        clock.seconds = 2.5
        assert tx.now() == 0.5
    with database.snapshot() as tx:
        assert tx.now() == 2.5
    database.close()


def test_threads_share_a_database(db: Database) -> None:
    add(db, "a")

    def work(_: int) -> None:
        for _ in range(10):
            with db.transaction() as tx:
                row = tx.one("lock", id=1)
                assert row is not None
                tx.run("raise", id=1, by=1)

    with ThreadPoolExecutor(12) as pool:  # more than there are connections
        list(pool.map(work, range(12)))
    assert amounts(db) == {"a": 120}


def test_two_claims_get_two_rows(opened: Callable[[], Database]) -> None:
    one, two = opened(), opened()
    add(one, "a", "b")
    with ThreadPoolExecutor(1) as pool:
        with one.transaction() as tx:
            first = tx.one("next")
            assert first is not None
            claiming = pool.submit(claim, two)
            with suppress(TimeoutError):
                claiming.result(0.3)  # SQLite waits for its turn
            tx.run("remove", id=first["id"])
        assert claiming.result(10) == 2


def claim(db: Database) -> int:
    with db.transaction() as tx:
        row = tx.one("next")
        assert row is not None
        return int(row["id"])


def test_retry_does_it_again_after_a_deadlock(db: Database) -> None:
    add(db, "a", "b")
    both_hold_one = threading.Barrier(2) if db.kind == "postgresql" else threading.Barrier(1)
    first_time = threading.local()

    def raise_both(order: tuple[int, int]) -> None:
        def work(tx: Transaction) -> None:
            tx.run("raise", id=order[0], by=1)
            if not hasattr(first_time, "over"):
                first_time.over = True
                both_hold_one.wait(10)
            tx.run("raise", id=order[1], by=1)

        db.retry(work)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(raise_both, [(1, 2), (2, 1)]))
    assert amounts(db) == {"a": 2, "b": 2}


def test_retry_gives_what_the_work_gave_and_raises_what_it_raised(db: Database) -> None:
    tries = []

    def failing(tx: Transaction) -> None:
        tries.append(tx)
        raise StoreError("not a conflict")

    assert db.retry(lambda tx: tx.run("add_plain", name="a", amount=1), durable=True) == 1
    with pytest.raises(StoreError, match="not a conflict"):
        db.retry(failing)
    assert len(tries) == 1
    assert amounts(db) == {"a": 1}


def test_threads_that_commit_together_get_each_its_own(db: Database) -> None:
    def work(number: int) -> int:
        def add_one(tx: Transaction) -> int:
            tx.run("add_plain", name=f"{number}", amount=number)
            if number % 3 == 0:
                raise LookupError(f"no {number}")
            if number % 3 == 1:  # even where the error is not passed on
                with suppress(StoreError):
                    tx.run("add_plain", name=None, amount=number)
            return number

        return db.retry(add_one, durable=True)

    with ThreadPoolExecutor(12) as pool:
        tasks = [pool.submit(work, number) for number in range(60)]
    for number, task in enumerate(tasks):
        error = task.exception()
        assert (task.result() == number) if error is None else (number % 3 != 2)
        assert error is None or isinstance(error, StoreError if number % 3 else LookupError)
        assert error is None or number % 3 or f"no {number}" in str(error)
    assert amounts(db) == {f"{number}": number for number in range(60) if number % 3 == 2}


def test_what_is_done_together_is_committed_together_but_for_what_fails(db: Database) -> None:
    def adding(number: int) -> Callable[[Transaction], int]:
        def add_one(tx: Transaction) -> int:
            seen = len(tx.all("things"))  # also what the others before it have done
            tx.run("add_plain", name=f"{number}", amount=seen)
            if number == 2:
                raise LookupError("no 2")
            if number == 3:
                with suppress(StoreError):
                    tx.run("add_plain", name=None, amount=0)
            assert amounts_elsewhere() == {}
            return number

        return add_one

    def amounts_elsewhere() -> dict[str, int]:
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(amounts, db).result(10)

    shares = db.together([adding(number) for number in range(5)])
    assert [share.result() for share in (shares[0], shares[1], shares[4])] == [0, 1, 4]
    assert isinstance(shares[2].error, LookupError)
    assert isinstance(shares[3].error, StoreError)
    assert amounts(db) == {"0": 0, "1": 1, "4": 2}
    assert db.together([]) == []


def test_of_works_done_together_one_that_clashed_is_done_again(db: Database) -> None:
    add(db, "a", "b")
    both_hold_one = threading.Barrier(2) if db.kind == "postgresql" else threading.Barrier(1)
    first_time = threading.local()

    def raise_both(order: tuple[int, int]) -> None:
        def first(tx: Transaction) -> None:
            tx.run("raise", id=order[0], by=1)

        def second(tx: Transaction) -> None:
            if not hasattr(first_time, "over"):
                first_time.over = True
                both_hold_one.wait(10)
            tx.run("raise", id=order[1], by=1)

        for share in db.together([first, second]):
            share.result()

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(raise_both, [(1, 2), (2, 1)]))
    assert amounts(db) == {"a": 2, "b": 2}


FORKING = """
import os, sys
from pathlib import Path
from store_cases import Schema

schema = Schema(Path("schema"))
db = schema.open(sys.argv[1])
with db.transaction() as tx:
    tx.run("add_plain", name="before", amount=0)
for name in ("one", "two"):
    child = os.fork()
    if child == 0:
        with db.transaction() as tx:
            tx.run("add_plain", name=name, amount=0)
        db.close()
        sys.exit(0)
    assert os.waitpid(child, 0)[1] == 0
    with db.transaction() as tx:
        tx.run("add_plain", name="after " + name, amount=0)
with db.snapshot() as tx:
    print(*(row["name"] for row in tx.all("things")), sep=", ")
db.close()
"""


def test_a_forked_child_goes_on_with_connections_of_its_own(tmp_path: Path, database_url: str) -> None:
    place = tmp_path / "place"
    script = program(place / "forking.py", FORKING)
    process = start([sys.executable, script, database_url], place, PYTHONPATH=str(Path(__file__).parents[1]))
    assert outputs(process) == ("before, one, after one, two, after two\n", "")


def test_a_closed_database_says_so(db: Database) -> None:
    db.close()
    db.close()
    for opened in (db.transaction, db.snapshot):
        with pytest.raises(StoreError, match="closed"), opened():
            pass


def test_migrations_are_applied_once(schema: Schema, opened: Callable[[], Database]) -> None:
    add(opened(), "a")
    schema.write(2, "ALTER TABLE things ADD COLUMN colour TEXT DEFAULT 'red';\nUPDATE things SET amount = amount + 1;")
    for _ in range(2):
        with opened().snapshot() as tx:
            assert [(row["amount"], row["colour"]) for row in tx.all("things")] == [(1, "red")]
            assert [row["version"] for row in tx.all("versions")] == [1, 2]


def test_a_migration_that_fails_leaves_nothing(schema: Schema, opened: Callable[[], Database]) -> None:
    database = opened()
    add(database, "a")
    schema.write(2, "CREATE TABLE more (x {bigint});\nINSERT INTO more VALUES (1);\nINSERT INTO nothing VALUES (1);")
    with pytest.raises(StoreError, match="nothing"):
        opened()
    assert amounts(database) == {"a": 0}
    schema.write(2, "CREATE TABLE more (x {bigint});")
    with opened().snapshot() as tx:
        assert len(tx.all("versions")) == 2


def test_a_newer_schema_is_refused(schema: Schema, opened: Callable[[], Database]) -> None:
    schema.write(2, "CREATE TABLE more (x {bigint});")
    add(opened(), "a")
    schema.remove(2)
    with pytest.raises(SchemaTooNew, match="schema 2, this whirr knows 1") as refused:
        opened()
    assert refused.value.hint == "a newer whirr has written it: update this one"


def test_a_database_of_another_program_is_left_alone(schema: Schema, database_url: str) -> None:
    schema.write(1, "CREATE TABLE jobs (id {identity});")
    database = schema.connect(database_url)
    with database.transaction() as tx, pytest.raises(LookupError):
        tx.all("none")
    foreign = "CREATE TABLE schema_version (installed TEXT); CREATE TABLE jobs (x TEXT)"
    if database.kind == "sqlite":
        import sqlite3

        connection = sqlite3.connect(database_url)
        connection.executescript(foreign)
        connection.close()
    else:
        import psycopg

        with psycopg.connect(database_url) as session:
            session.execute(foreign)
    with pytest.raises(StoreError, match="another program") as refused:
        migrate(database, str(schema.migrations))
    assert refused.value.hint
    database.close()


def test_the_real_schema_opens_and_opens_again(database_url: str) -> None:
    for _ in range(2):
        database = open_database(database_url)
        assert database.schema_version() >= 1
        assert database.url in repr(database)
        database.close()
