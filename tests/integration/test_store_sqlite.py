"""The queue in one SQLite file: where it may lie, what can be wrong with it, and its journal."""

from __future__ import annotations

import os
import re
import shlex
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import outputs, program, start
from store_cases import Schema

from whirr.errors import StoreError
from whirr.store import open_database
from whirr.store.sqlite import SqliteDatabase


@pytest.fixture
def schema(tmp_path: Path) -> Schema:
    return Schema(tmp_path / "schema")


def refused(path: Path | str, match: str) -> StoreError:
    with pytest.raises(StoreError, match=match) as found:
        open_database(path)
    assert found.value.hint
    return found.value


@pytest.mark.parametrize("name", ["queue.db", "a b %20 ?x=1#.db", "é漢'\".db", os.fsdecode(b"\xff.db"), ":memory:"])
def test_any_path_is_a_file(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    database = open_database(path)
    assert database.url == str(path)
    database.close()
    assert path.stat().st_size > 0


def test_home_and_the_working_directory_are_understood(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(workplace))
    for place in ("~/queue.db", "file:queue.db"):
        database = open_database(place)
        os.chdir("/")
        with database.transaction() as tx:
            assert tx.all("jobs", limit=1, before=9) == []
        os.chdir(workplace)
        database.close()
    assert sorted(os.listdir(workplace)) == ["file:queue.db", "file:queue.db-journal", "queue.db", "queue.db-journal"]


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    refused(tmp_path / "none" / "queue.db", "there is no folder .*none")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_in_place_of_the_file(tmp_path: Path) -> None:
    refused(tmp_path, "is a folder")


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    path = tmp_path / "queue.db"
    path.write_bytes(b"no database at all. " * 100)
    refused(path, "no SQLite database")
    assert path.read_bytes().startswith(b"no database")


def test_a_database_of_another_program(tmp_path: Path) -> None:
    path = tmp_path / "queue.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE theirs (x)")
    connection.close()
    before = path.read_bytes()
    refused(path, "another program")
    assert path.read_bytes() == before


def test_a_damaged_database(tmp_path: Path) -> None:
    path = tmp_path / "queue.db"
    open_database(path).close()
    data = bytearray(path.read_bytes())
    data[100:] = b"\x55" * len(data[100:])
    path.write_bytes(data)
    refused(path, "damaged")


def test_a_network_file_system(tmp_path: Path) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text("27 1 0:1 / / rw - nfs4 server:/ rw\n")
    with pytest.raises(StoreError, match="network file system"):
        SqliteDatabase(str(tmp_path / "queue.db"), mountinfo=str(mounts))
    assert not (tmp_path / "queue.db").exists()


def test_a_file_deleted_while_in_use(tmp_path: Path) -> None:
    path = tmp_path / "queue.db"
    database = open_database(path)
    for name in os.listdir(tmp_path):
        (tmp_path / name).unlink()
    with pytest.raises(StoreError, match="deleted"), database.transaction() as tx:
        tx.run("insert_tag", job_id=1, tag="a")
    with pytest.raises(StoreError, match="deleted"), database.snapshot() as tx:
        tx.all("workers")
    assert not path.exists()
    open_database(path).close()
    with pytest.raises(StoreError, match="deleted"), database.snapshot() as tx:
        tx.all("workers")
    database.close()


TELL = """
import sys
from whirr.errors import StoreError
from whirr.store import open_database

def told(work):
    try:
        work()
        print("no error")
    except StoreError as error:
        print(error, "|", error.hint)
"""

FULL = """
import os
database = open_database("queue.db")
with open("filler", "wb") as file:
    try:
        while True:
            os.write(file.fileno(), b"x" * 512)
    except OSError:
        pass

def submit(size):
    with database.transaction() as tx:
        about = {"workdir": "/", "snapshot": 0, "submission": None, "priority": 0, "gpus": None, "blocked": 0}
        tx.run("insert_job", spec="x" * size, submitted_at="now", **about)

told(lambda: submit(200_000))
os.unlink("filler")
told(lambda: submit(200))
with database.snapshot() as tx:
    print([len(row["spec"]) for row in tx.all("jobs", limit=9, before=99)])
database.close()
"""

READ_ONLY = """
import subprocess
open_database("queue.db").close()
subprocess.run(["mount", "-o", "remount,ro", "."], check=True)
database = open_database("queue.db")
with database.snapshot() as tx:
    print(tx.all("jobs", limit=9, before=99))

def write():
    with database.transaction() as tx:
        tx.run("set_blocked", blocked=1, id=1)

told(write)
database.close()
told(lambda: open_database("other.db"))
"""


def on_own_disk(place: Path, body: str) -> list[str]:
    """The lines that a program tells which runs in a file system of its own, of 400 kB."""
    wrapper = ["unshare", "--mount"] if os.getuid() == 0 else ["unshare", "--user", "--map-root-user", "--mount"]
    mount = "mount -t tmpfs -o size=400k whirr-test"
    if subprocess.run([*wrapper, "sh", "-c", f"{mount} /mnt"], capture_output=True).returncode:
        pytest.skip("no file system of its own can be mounted here")
    script = program(place / "tell.py", TELL + body)
    (place / "disk").mkdir()
    words = shlex.join([sys.executable, str(script)])
    process = start([*wrapper, "sh", "-c", f"{mount} disk && cd disk && exec {words}"], place)
    told, errors = outputs(process)
    assert (process.returncode, errors) == (0, "")
    return told.splitlines()


def test_a_full_disk_is_told_and_survived(tmp_path: Path) -> None:
    first, second, rows = on_own_disk(tmp_path, FULL)
    assert "the disk is full" in first
    assert (second, rows) == ("no error", "[200]")


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    rows, write, other = on_own_disk(tmp_path, READ_ONLY)
    assert rows == "[]"
    assert "cannot be written" in write
    assert "permissions" in write
    assert "other.db cannot be opened" in other


def test_a_new_file_has_the_journal_that_is_safe(schema: Schema, tmp_path: Path) -> None:
    for wal, mode in ((True, "wal"), (False, "truncate")):
        path = str(tmp_path / f"{mode}.db")
        database = schema.open(path, wal=wal)
        assert database.journal_mode == mode
        database.close()
        again = schema.open(path, wal=True)  # what has no WAL gets none later
        assert again.journal_mode == mode
        again.close()


def test_an_unsafe_library_ends_the_wal_or_leaves_the_file_alone(schema: Schema, tmp_path: Path) -> None:
    path = str(tmp_path / "queue.db")
    safe = schema.open(path, wal=True)
    with safe.transaction() as tx:
        tx.run("add_plain", name="a", amount=1)
    with pytest.raises(StoreError, match="newer SQLite"):
        schema.open(path, wal=False, wait_s=0.1)
    safe.close()
    unsafe = schema.open(path, wal=False)
    assert unsafe.journal_mode == "truncate"
    with unsafe.snapshot() as tx:
        assert len(tx.all("things")) == 1
    unsafe.close()


SYNCS = """
import sys
from pathlib import Path
from store_cases import Schema

database = Schema(Path("schema")).open("queue.db", wal=sys.argv[1] == "wal")
with database.transaction() as tx:
    tx.run("add_plain", name="first", amount=0)
for durable in (False, True):
    print(durable, file=sys.stderr, flush=True)
    with database.transaction(durable=durable) as tx:
        tx.run("add_plain", name=str(durable), amount=0)
print("end", file=sys.stderr, flush=True)
database.close()
"""


def forced(place: Path, mode: str) -> tuple[list[str], list[str]]:
    """The calls that force a usual and a durable commit to disk, or cut a file."""
    if subprocess.run(["sh", "-c", "strace true"], capture_output=True).returncode:
        pytest.skip("no strace here")
    script = program(place / "syncs.py", SYNCS)
    calls = ["strace", "-f", "-e", "trace=fsync,fdatasync,ftruncate,write", "-o", "calls"]
    process = start([*calls, sys.executable, script, mode], place, PYTHONPATH=str(Path(__file__).parents[1]))
    assert outputs(process)[0] == ""
    assert process.returncode == 0
    _, usual, durable = re.split(r'write\(2, "(?:False|True)', (place / "calls").read_text().partition('"end')[0])
    return re.findall(r"(sync|ftruncate)\(", usual), re.findall(r"(sync|ftruncate)\(", durable)


def test_a_wal_is_forced_to_disk_where_that_is_asked_for(tmp_path: Path) -> None:
    assert forced(tmp_path, "wal") == ([], ["sync"])


def test_without_a_wal_every_commit_is_forced_to_disk_to_its_end(tmp_path: Path) -> None:
    for calls in forced(tmp_path, "truncate"):
        assert calls.count("sync") >= 4
        assert calls[-2:] == ["ftruncate", "sync"]


def test_rebuilding_a_table_keeps_what_points_at_it(schema: Schema, tmp_path: Path) -> None:
    path = str(tmp_path / "queue.db")
    database = schema.open(path)
    with database.transaction() as tx:
        tx.run("add_plain", name="a", amount=1)
        tx.run("add_part", thing=1)
    database.close()
    rebuild = """
        CREATE TABLE new (id {identity}, name TEXT NOT NULL, amount {bigint}, weight {real}, note TEXT);
        INSERT INTO new SELECT * FROM things;
        DROP TABLE things;
        ALTER TABLE new RENAME TO things;
    """
    schema.write(2, rebuild)
    database = schema.open(path)
    with database.snapshot() as tx:
        assert tx.all("parts") == [{"id": 1, "thing": 1}]
    with pytest.raises(StoreError), database.transaction() as tx:
        tx.run("add_part", thing=2)
    database.close()


def test_a_migration_that_leaves_rows_pointing_at_nothing_is_undone(schema: Schema, tmp_path: Path) -> None:
    path = str(tmp_path / "queue.db")
    database = schema.open(path)
    with database.transaction() as tx:
        tx.run("add_plain", name="a", amount=1)
        tx.run("add_part", thing=1)
    schema.write(2, "DELETE FROM things;")
    with pytest.raises(StoreError, match="pointing at nothing"):
        schema.open(path)
    with database.snapshot() as tx:
        assert len(tx.all("things")) == 1
    database.close()


def test_there_is_nothing_to_listen_to(schema: Schema, tmp_path: Path) -> None:
    database = schema.open(str(tmp_path / "queue.db"))
    with database.transaction() as tx:
        tx.notify("nobody")
    with pytest.raises(TypeError, match="nothing to listen to"):
        database.listen()
    database.close()
