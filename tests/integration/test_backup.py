"""Backups taken while jobs run and are submitted, and folders made from them."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import threading
from pathlib import Path
from typing import Any

import pytest
from helpers import wait_until
from hubs import outcome, spec, worker
from queue_cli import ask
from queues import Queue

from whirr.backup import back_up, restore
from whirr.connect import open_hub
from whirr.copying import Copying
from whirr.errors import StoreError, UsageError
from whirr.folder import ATTEMPTS, read_meta
from whirr.local import LocalHub
from whirr.model import JobStatus, Role, Verdict
from whirr.store.transfer import BY_JOB, LEFT, WHOLE

QUEUED, COMPLETED = JobStatus.QUEUED, JobStatus.COMPLETED


def said(text: str) -> None:
    """Nobody reads it."""


@pytest.fixture
def hub(tmp_path: Path) -> Any:
    made = open_hub(tmp_path / ".whirr")
    yield made
    made.close()


def restored(source: Path, root: Path, url: str | None = None) -> LocalHub:
    restore(source, root, url, said)
    return open_hub(root, url)


@pytest.fixture(params=["sqlite", "postgresql"])
def queue_url(request: pytest.FixtureRequest) -> str | None:
    return None if request.param == "sqlite" else str(request.getfixturevalue("postgres_url"))


def test_what_was_acknowledged_before_it_began_is_in_it(tmp_path: Path, queue_url: str | None) -> None:
    queue = Queue(tmp_path / "lab", queue_url)
    token = queue.hub.tokens.create("ada", Role.SUBMIT)
    over, busy = threading.Event(), []

    def go_on() -> None:
        while not over.is_set():
            busy.append(queue.record("exit", 0))

    ended = [queue.record("exit", 0) for _ in range(3)]
    running = queue.record("until", "go")
    worker = queue.worker("--slots", "4", "--gpus", "none", "--quiet")
    queue.completes(*ended)
    queue.tells("ready", running)
    submitting = threading.Thread(target=go_on)
    submitting.start()
    try:
        wait_until(lambda: len(busy) > 5, 60)
        before = [*ended, running, *busy]
        done = back_up(queue.hub, tmp_path / "copy", said)
    finally:
        over.set()
        submitting.join()
        (queue.place / "go").touch()
    queue.completes(running, *busy)
    worker.signal(15)
    worker.ends()
    queue.hub.close()
    assert done.jobs >= max(before)
    found = restore(tmp_path / "copy", tmp_path / "new", None, said)
    made = open_hub(tmp_path / "new")
    assert running in found.requeued
    assert made.tokens.check(token) is not None
    for number in before:
        job = made.job(number)
        assert job.status in (QUEUED, COMPLETED)
        assert read_meta(made.run_dir(number))["status"] == job.status
    assert {made.job(number).status for number in ended} == {COMPLETED}
    assert made.workers() == []
    made.close()
    again = Queue.__new__(Queue)
    vars(again).update(vars(queue), hub=open_hub(tmp_path / "new"), url=None, workers=[])
    again.environ = {**queue.environ, "WHIRR_DIR": str(tmp_path / "new")}
    again.environ.pop("WHIRR_DATABASE_URL", None)
    again.worker("--drain", "--slots", "4", "--gpus", "none", "--quiet").ends()
    assert {job.status for job in again.hub.jobs()} == {COMPLETED}
    assert queue.journal("overlap") == []
    again.hub.close()


def test_a_queue_moves_between_kinds_of_database(hub: LocalHub, tmp_path: Path, postgres_url: str) -> None:
    first = hub.submit(spec("true", tags=("a", "b")))
    second = hub.submit(spec("true", after=(first.id,)), key="mine")
    hub.tokens.create("ada", Role.READ)
    server = hub.tokens.server_id()
    back_up(hub, tmp_path / "one", said)
    there = restored(tmp_path / "one", tmp_path / "there", postgres_url)
    assert there.jobs() == hub.jobs()
    assert there.jobs(tag="b") == [hub.job(first.id)]
    assert there.tokens.all() == hub.tokens.all()
    assert there.tokens.server_id() == server
    assert there.submit(spec("true"), key="mine") == second
    assert there.submit(spec("true")).id == second.id + 1
    back_up(there, tmp_path / "two", said)
    there.close()
    back = restored(tmp_path / "two", tmp_path / "back")
    assert [job.id for job in back.jobs()] == [3, 2, 1]
    assert back.submit(spec("true")).id == 4
    back.close()


def test_every_table_is_carried_or_known_to_be_left(hub: LocalHub) -> None:
    with sqlite3.connect(hub.database.url) as connection:
        found = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    connection.close()
    assert found - {"sqlite_sequence"} == {*BY_JOB, *WHOLE, *LEFT}


def test_attempts_begun_after_the_queue_was_copied_are_counted(hub: LocalHub, tmp_path: Path) -> None:
    """The database is copied first; then a worker runs the job twice; then its folder is copied."""
    job = hub.submit(spec("true", retries=3))
    back_up(hub, tmp_path / "copy", said)
    info = worker("w")
    hub.register(info)
    for number in (1, 2):
        claim = hub.claim(info)
        assert claim is not None
        (hub.run_dir(job.id) / "output.log").write_text(f"attempt {number}")
        if number == 1:
            hub.finish(claim.lease, outcome(Verdict.REQUEUE))
    folder = tmp_path / "copy" / "runs" / "job-1"
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    Copying().folder(hub.run_dir(job.id), tmp_path / "copy", "runs/job-1")
    made = restored(tmp_path / "copy", tmp_path / "new")
    found = made.job(job.id)
    assert (found.status, found.attempt) == (QUEUED, 2)
    assert [(one.number, one.outcome, one.worker) for one in made.attempts(job.id)] == [
        (1, "lost", f"w@{info.host}"),
        (2, "lost", f"w@{info.host}"),
    ]
    assert read_meta(made.run_dir(job.id))["status"] == "queued"
    made.register(info)
    claim = made.claim(info)
    assert claim is not None
    assert claim.lease.attempt == 3
    kept = made.run_dir(job.id) / ATTEMPTS
    assert [(kept / str(n) / "output.log").read_text() for n in (1, 2)] == ["attempt 1", "attempt 2"]
    made.close()


def test_contents_stay_one_file_and_an_unchanged_file_is_not_copied_again(hub: LocalHub, tmp_path: Path) -> None:
    blob = hub.root / "blobs" / "ab" / ("ab" * 32)
    blob.parent.mkdir(parents=True)
    blob.write_bytes(b"x" * 100_000)
    run = hub.root / "runs" / "local-1"
    run.mkdir(parents=True)
    os.link(blob, run / "model.bin")
    (run / "log").write_text("one")
    os.mkfifo(run / "pipe")
    (run / "out").symlink_to("/etc/passwd")
    (run / "elsewhere").symlink_to("/etc")
    first = back_up(hub, tmp_path / "one", said)
    assert 100_000 <= first.copied_bytes < 110_000
    copy = tmp_path / "one" / "runs" / "local-1"
    assert (copy / "model.bin").samefile(tmp_path / "one" / "blobs" / "ab" / blob.name)
    assert (os.readlink(copy / "out"), os.readlink(copy / "elsewhere")) == ("/etc/passwd", "/etc")
    assert not (copy / "pipe").exists()
    (run / "log").write_text("one two")
    second = back_up(hub, tmp_path / "two", said, previous=tmp_path / "one")
    assert second.copied_bytes == len("one two")
    assert (tmp_path / "two" / "runs" / "local-1" / "model.bin").samefile(copy / "model.bin")
    made = restored(tmp_path / "two", tmp_path / "new")
    back = made.root / "runs" / "local-1" / "model.bin"
    assert back.read_bytes() == blob.read_bytes()
    assert not back.samefile(copy / "model.bin")
    assert back.samefile(made.root / "blobs" / "ab" / blob.name)
    made.close()


def test_snapshots_come_along(tmp_path: Path) -> None:
    place = tmp_path / "project"
    place.mkdir()
    for words in (["init", "-q"], ["config", "user.email", "a@b"], ["config", "user.name", "a"]):
        assert os.spawnlp(os.P_WAIT, "git", "git", "-C", str(place), *words) == 0
    (place / "job.sh").write_text("echo it ran\n")
    environ = {"WHIRR_DIR": str(tmp_path / "lab")}
    assert ask("submit", "--snapshot", "--", "sh", "job.sh", cwd=place, **environ).code == 0
    answer = ask("backup", tmp_path / "copy", "--json", cwd=place, **environ)
    assert (answer.code, answer.json()["jobs"], answer.json()["runs"]) == (0, 1, 1), answer.err
    answer = ask("restore", tmp_path / "copy", tmp_path / "new", "--json", cwd=tmp_path)
    assert (answer.code, answer.json()["requeued"]) == (0, []), answer.err
    environ = {"WHIRR_DIR": str(tmp_path / "new")}
    (place / "job.sh").unlink()
    assert ask("worker", "--drain", "--gpus", "none", cwd=place, **environ).code == 0
    assert ask("logs", "1", cwd=place, **environ).out == "it ran\n"


def test_nothing_is_overwritten_and_half_a_backup_is_refused(hub: LocalHub, tmp_path: Path, postgres_url: str) -> None:
    hub.submit(spec("true"))
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    with pytest.raises(UsageError, match="not empty"):
        back_up(hub, tmp_path / "full", said)
    back_up(hub, tmp_path / "copy", said)
    with pytest.raises(UsageError, match="not empty"):
        restore(tmp_path / "copy", tmp_path / "full", None, said)
    with pytest.raises(UsageError, match="no whole backup"):
        back_up(hub, tmp_path / "other", said, previous=tmp_path / "full")
    used = open_hub(tmp_path / "used", postgres_url)
    used.submit(spec("true"))
    used.close()
    with pytest.raises(StoreError, match="in use"):
        restore(tmp_path / "copy", tmp_path / "new", postgres_url, said)
    (tmp_path / "copy" / "backup.json").unlink()
    with pytest.raises(UsageError, match="no whole backup"):
        restore(tmp_path / "copy", tmp_path / "newer", None, said)


@pytest.mark.parametrize("harm", ["run", "file", "bytes"])
def test_a_backup_that_was_copied_in_part_is_refused(hub: LocalHub, tmp_path: Path, harm: str) -> None:
    for _ in range(2):
        hub.submit(spec("true"))
    log = hub.run_dir(1) / "output.log"
    log.write_text("all of it")
    back_up(hub, tmp_path / "made", said)
    shutil.copytree(tmp_path / "made", tmp_path / "copy")
    run = tmp_path / "copy" / "runs" / "job-1"
    if harm == "run":
        shutil.rmtree(run)
    elif harm == "file":
        (run / "meta.json").unlink()
    else:
        os.truncate(run / "output.log", 3)
    with pytest.raises(UsageError, match="no whole backup: of what was made there are") as told:
        restore(tmp_path / "copy", tmp_path / "new", None, said)
    assert "bytes" in str(told.value)
    assert ("files" in str(told.value)) == (harm != "bytes")
    assert not (tmp_path / "new").exists()
    restored(tmp_path / "made", tmp_path / "new").close()


def test_the_queue_goes_where_the_next_commands_look_for_it(tmp_path: Path, postgres_url: str) -> None:
    environ = {"WHIRR_DATABASE_URL": postgres_url}
    assert ask("submit", "--dir", tmp_path / "lab", "--", "true", cwd=tmp_path).code == 0
    assert ask("backup", "--dir", tmp_path / "lab", "copy", cwd=tmp_path).code == 0
    answer = ask("restore", "copy", "new", cwd=tmp_path, **environ)
    assert answer.code == 0, answer.err
    assert ask("status", "1", "--dir", "new", "--json", cwd=tmp_path, **environ).json()["status"] == "queued"
    assert not (tmp_path / "new" / "queue" / "queue.db").exists()


def test_wrong_uses_on_the_command_line(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    nothing = ask("backup", tmp_path / "copy", cwd=empty)
    assert (nothing.code, "no queue" in nothing.err) == (3, True)
    assert not (tmp_path / "copy").exists()
    no_backup = ask("restore", empty, tmp_path / "new", cwd=empty)
    assert (no_backup.code, "no whole backup" in no_backup.err) == (2, True)
    assert json.loads(ask("submit", "--json", "--", "true", cwd=empty).out)["job_id"] == 1
    assert ask("backup", "../copy", cwd=empty).out.endswith(" UTC\n")
    assert ask("backup", "../copy", cwd=empty).code == 2
