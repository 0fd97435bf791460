"""``whirr doctor``: what it finds, and what ``--fix`` does about it."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from helpers import start, stored_meta, wait_until
from hubs import worker as worker_info
from queue_cli import PYTHON, WHIRR, ask, drain, job, reaches, submit, worker, workers
from run_folders import out_of_reach

from whirr import clock
from whirr.connect import open_hub
from whirr.local import LocalHub
from whirr.worker.task import mark


def findings(place: Path, *words: str, code: int = 0) -> list[dict[str, Any]]:
    answer = ask("doctor", "--json", *words, cwd=place)
    assert answer.code == code, answer.out + answer.err
    return answer.json()


def about(found: list[dict[str, Any]], word: str) -> list[str]:
    return [f"{each['state']}: {each['text']}" for each in found if each["about"] == word]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    submit(tmp_path, "--", "true")
    return tmp_path


def test_all_is_well(place: Path) -> None:
    answer = ask("doctor", cwd=place)
    assert answer.code == 0
    lines = answer.out.splitlines()
    assert lines[-1] == "no problem found"
    found = findings(place)
    assert about(found, "database")[0].startswith(f"ok: schema 1, SQLite {sqlite3.sqlite_version}, journal ")
    assert about(found, "workers") == ["note: none is running, and 1 job waits"]
    assert {each["state"] for each in found} <= {"ok", "note"}
    looked_at = {each["about"] for each in found}
    assert looked_at >= {"folder", "disk", "database", "left over", "containment", "GPUs", "git", "open files"}


def test_without_a_folder(tmp_path: Path) -> None:
    found = findings(tmp_path)
    assert about(found, "folder")[0].startswith("note: there is no ")
    assert about(found, "queue")[0].startswith("note: there is no queue in ")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"this is no database" * 100, None])
def test_a_damaged_database(place: Path, content: bytes | None) -> None:
    path = place / ".whirr" / "queue" / "queue.db"
    if content is None:  # its pages are overwritten behind the first
        with path.open("r+b") as file:
            file.seek(4096)
            file.write(b"\xa5" * (path.stat().st_size - 4096))
    else:
        path.write_bytes(content)
    answer = ask("doctor", cwd=place)
    assert answer.code == 1
    assert "problem" in answer.out
    assert "1 problem found" in answer.out


def test_damaged_runs(place: Path) -> None:
    assert about(findings(place), "runs") == ["ok: the documents of 1 run can be read"]
    submit(place, "--", "true")
    (place / ".whirr" / "runs" / "job-2" / "meta.json").write_text("{")
    assert about(findings(place, code=1), "runs") == ["problem: 1 of 2 have damaged or missing files, such as job-2"]


def test_a_dead_worker(place: Path) -> None:
    number = submit(place, "--priority", "1", "--", "sleep", "1000")
    with worker(place, "--name", "smith") as process:
        reaches(place, number, "running")
        assert about(findings(place), "workers")[0].endswith(f"alive, holds job {number}")
        process.kill()
        process.wait()
        assert f"dead, holds job {number}" in about(findings(place, code=1), "workers")[-1]
        # Its supervisor ends the job first; until then there is nothing to be mended.
        wait_until(lambda: ask("doctor", "--fix", cwd=place) and not workers(place), 60)
    assert job(place, number)["status"] == "queued"
    assert about(findings(place), "workers") == ["note: none is running, and 2 jobs wait"]


def test_a_stopped_worker_is_unseen(place: Path) -> None:
    def stopped_and_long_ago() -> bool:
        process.send_signal(signal.SIGSTOP)
        try:
            database.execute("UPDATE workers SET seen_at = ?", (clock.stamp(clock.at(time.time() - 3600)),))
        except sqlite3.OperationalError:  # stopped in the middle of a transaction
            process.send_signal(signal.SIGCONT)
            return False
        return True

    number = str(submit(place, "--grace", "0", "--", "sleep", "1000"))
    with (
        worker(place) as process,
        closing(
            sqlite3.connect(place / ".whirr" / "queue" / "queue.db", timeout=0.2, isolation_level=None)
        ) as database,
    ):
        reaches(place, int(number), "running")
        try:
            wait_until(stopped_and_long_ago)
            assert "not seen for " in about(findings(place, code=1), "workers")[-1]
            assert "worker not seen for " in ask("status", cwd=place).out
            for words in ("logs", "-f", number), ("cancel", number), ("cancel", number, "--wait"):
                waiting = start([*WHIRR, *words], place)
                assert waiting.stderr is not None
                told = next(line for line in iter(waiting.stderr.readline, "") if "not been seen" in line)
                assert told.startswith(f"job {number}: its worker has not been seen for ")
                assert told.endswith("its jobs stay its own until it goes on (kill -CONT) or is gone\n")
                waiting.kill()
                waiting.communicate(timeout=60)
        finally:
            process.send_signal(signal.SIGCONT)


def test_workers_elsewhere_that_are_long_gone(place: Path) -> None:
    hub = open_hub(place / ".whirr")
    for days in (0.5, 2, 8, 9):
        seen_at = clock.stamp(clock.at(time.time() - days * 86400))
        elsewhere = worker_info(f"silent-{days}", host=f"node-{days}", lease_s=60.0)
        LocalHub(hub.root, hub.database, stamp=lambda at=seen_at: at).register(elsewhere)
    hub.close()
    assert [each["name"] for each in workers(place)] == ["silent-0.5"]
    assert ask("status", cwd=place).out.count("worker not seen for ") == 1
    told = "2 workers without a job, not seen for a week or longer"
    assert f"note: {told}" in about(findings(place, code=1), "workers")
    assert f"fixed: {told}: forgotten" in about(findings(place, "--fix", code=1), "workers")
    left = about(findings(place, code=1), "workers")
    assert [line.split()[1] for line in left if line.startswith("problem")] == ["silent-0.5", "silent-2"]
    assert not any("a week or longer" in line for line in left)


def test_a_process_that_was_left_over(place: Path) -> None:
    drain(place)
    environ = {**os.environ, "WHIRR_MARK": mark(place / ".whirr" / "queue", 1, 1)}
    left = subprocess.Popen(["sleep", "1000"], env=environ)
    try:
        found = findings(place, code=1)
        assert about(found, "left over") == [f"problem: job 1, attempt 1, has ended, but not process {left.pid}"]
        assert left.poll() is None
        assert about(findings(place, "--fix"), "left over")[0].endswith(": 1 process ended")
        assert left.wait(60) == -signal.SIGKILL
    finally:
        left.kill()
    assert about(findings(place), "left over") == ["ok: no process of an ended attempt is left"]


def test_a_run_folder_that_could_not_be_written(place: Path) -> None:
    folder = place / ".whirr" / "runs" / "job-1"
    with out_of_reach(folder):
        answer = ask("cancel", "1", cwd=place)
        assert (answer.code, answer.out) == (0, "job 1  cancelled\n")
        assert f"cannot write into {folder}: " in answer.err
        assert job(place, 1)["status"] == "cancelled"
        found = about(findings(place, code=1), "jobs")
        assert found == ["problem: meta.json says another state than the queue, which could not write it: job 1"]
        assert "it could not be fixed" in about(findings(place, "--fix", code=1), "jobs")[0]
    assert about(findings(place, "--fix"), "jobs")[0].endswith(": brought up to date")
    assert stored_meta(folder)["status"] == "cancelled"
    assert about(findings(place), "jobs") == []


def test_a_job_that_runs_is_not_left_over(place: Path) -> None:
    number = submit(place, "--priority", "1", "--", PYTHON, "-c", "import time; time.sleep(1000)")
    with worker(place):
        reaches(place, number, "running")
        wait_until(lambda: job(place, number)["attempts"], 60)
        assert about(findings(place, "--fix"), "left over") == ["ok: no process of an ended attempt is left"]
        assert job(place, number)["status"] == "running"


def test_folders_and_locks_that_nobody_needs(place: Path) -> None:
    long_ago = time.time() - 7200
    runs, queue = place / ".whirr" / "runs", place / ".whirr" / "queue"
    old, young = runs / ".submit-000000000001", runs / ".submit-000000000002"
    locks = [queue / "workers" / "gone-1.lock", queue / "attempts" / "job-1.7.lock"]
    for folder in (old, young):
        folder.mkdir()
    for lock in locks:
        lock.parent.mkdir(exist_ok=True)
        lock.touch()
    for path in (old, *locks):
        os.utime(path, (long_ago, long_ago))
    texts = about(findings(place), "left over")
    assert "note: 2 locks that nobody holds" in texts
    assert "note: 1 submission that did not come to an end" in texts
    assert {each["state"] for each in findings(place, "--fix") if each["about"] == "left over"} == {"ok", "fixed"}
    assert [path.exists() for path in (old, young, *locks)] == [False, True, False, False]


def test_checkouts_are_counted(place: Path) -> None:
    code = place / ".whirr" / "runs" / "job-1" / "code"
    code.mkdir()
    (code / "train.py").write_bytes(b"x" * 2000)
    assert about(findings(place), "checkouts") == ["note: 1 checkout of submitted code, 2.0 kB"]


def test_git_is_missing(place: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    empty = tmp_path_factory.mktemp("empty")
    answer = ask("doctor", "--json", cwd=place, PATH=str(empty))
    assert "note: it is not installed" in about(answer.json(), "git")
