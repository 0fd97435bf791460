"""The disk is full, the database is locked or restarted, the output is huge: what was acknowledged is kept."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from helpers import outputs, program, start, wait_until
from postgres import Server, running_server
from queues import PYTHON, a_queue

from whirr.model import JobStatus

ON_FULL_DISK = """
import json, os, sys
sys.path[:0] = [sys.argv[1]]
from pathlib import Path
from helpers import wait_until
from queues import a_queue
from whirr.errors import WhirrError
from whirr.model import JobStatus

disk, outside = Path("disk").absolute(), Path.cwd()

def fill():
    with open(disk / "filler", "ab", buffering=0) as file:
        for size in (65536, 4096, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                pass

with a_queue(disk) as queue:
    worker = queue.worker("--slots", "2")
    wait = f"echo begun >> {outside}/begun; until [ -e {outside}/go ]; do sleep 0.02; done; echo done >> {outside}/ends"
    jobs = [queue.submit("sh", "-c", wait) for _ in range(4)]  # two run, two wait
    wait_until(lambda: (outside / "begun").exists() and len((outside / "begun").read_text().split()) == 2, 60)
    fill()
    refused = []
    try:
        queue.submit("true")
    except WhirrError as error:
        refused.append(str(error))
    (outside / "go").touch()
    wait_until(lambda: (outside / "ends").exists() and len((outside / "ends").read_text().split()) == 2, 60)
    worker.says("trying again")
    running = [str(queue.job(number).status) for number in jobs]
    (disk / "filler").unlink()
    queue.completes(*jobs)
    after = queue.submit("true")
    queue.completes(after)
    print(json.dumps({
        "refused": refused, "running": running, "outcomes": [queue.outcomes(number) for number in jobs],
        "metas": [queue.meta(number)["status"] for number in jobs], "count": len(queue.hub.jobs()),
        "alive": worker.process.poll() is None, "said": worker.said(), "runs": sorted(os.listdir(disk / ".whirr/runs")),
    }))
"""


@pytest.mark.needs_root
def test_the_disk_is_full_while_jobs_run(tmp_path: Path) -> None:
    driver = program(tmp_path / "driver.py", ON_FULL_DISK)
    (tmp_path / "disk").mkdir()
    words = shlex.join([sys.executable, str(driver), str(Path(__file__).parents[1])])
    command = f"mount -t tmpfs -o size=2m whirr-test disk && exec {words}"
    process = start([*namespace(), "sh", "-c", command], tmp_path)
    out, err = outputs(process, timeout=120)
    assert process.returncode == 0, err
    told = json.loads(out)
    assert "No space left" in told["refused"][0] or "full" in told["refused"][0]
    assert told["running"] == ["running", "running", "queued", "queued"]
    assert told["metas"] == ["completed"] * 4
    assert told["outcomes"][:2] == [["completed"]] * 2
    assert [outcomes[-1] for outcomes in told["outcomes"]] == ["completed"] * 4
    assert (told["count"], told["alive"]) == (5, True)
    assert told["runs"] == [f"job-{number}" for number in range(1, 6)]  # nothing of what was refused


def namespace() -> list[str]:
    """A command prefix for a mount namespace of one's own; skips where none can be had."""
    wrapper = ["unshare", "--mount"]
    try:
        subprocess.run([*wrapper, "mount", "-t", "tmpfs", "whirr-test", "/mnt"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no file system of its own can be mounted here: {error}")
    return wrapper


LOCKER = """
import sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1], timeout=30, isolation_level=None)
connection.execute("BEGIN EXCLUSIVE")
print("locked", flush=True)
time.sleep(10)
connection.execute("ROLLBACK")
print("free", flush=True)
"""


def test_another_program_locks_the_database_for_ten_seconds(tmp_path: Path) -> None:
    with a_queue(tmp_path) as queue, ThreadPoolExecutor(8) as pool:
        worker = queue.worker("--slots", "3")
        ending = queue.record("until", "go")
        unwanted = queue.record("first", "deaf")
        for number in (ending, unwanted):
            queue.tells("ready", number)
        locker = start([sys.executable, program(tmp_path / "locker.py", LOCKER), queue.hub.database.url], tmp_path)
        assert locker.stdout is not None
        assert locker.stdout.readline() == "locked\n"
        submitted = [pool.submit(queue.record, "exit", 0) for _ in range(4)]
        cancelled = pool.submit(queue.hub.cancel, unwanted, "somebody")
        queue.let("go")
        wait_until(lambda: queue.journal("end", ending))
        assert not any(each.done() for each in (*submitted, cancelled))
        assert outputs(locker)[0] == "free\n"
        new = [each.result(60) for each in submitted]
        assert cancelled.result(60).status in (JobStatus.CANCELLING, JobStatus.CANCELLED)
        queue.completes(ending, *new)
        queue.becomes(unwanted, JobStatus.CANCELLED)
        assert sorted(new) == [3, 4, 5, 6]
        assert [queue.outcomes(number) for number in (ending, *new)] == [["completed"]] * 5
        assert worker.process.poll() is None
        assert "locked" not in worker.said()


BLOCKS = 1024
POUR = f"""
import os, time

def until(name):
    while not os.path.exists(name):
        time.sleep(0.01)

open("ready", "w").close()
until("go")
for number in range({BLOCKS}):
    block = number.to_bytes(8, "big") * 2**17
    while block:
        block = block[os.write(1 + number % 2, block):]
until("stop")
"""


def test_a_job_writes_a_gigabyte(tmp_path: Path) -> None:
    with a_queue(tmp_path) as queue:
        worker = queue.worker()
        number = queue.submit(*PYTHON, program(tmp_path / "pour.py", POUR))
        wait_until((tmp_path / "ready").exists, 60)
        [supervisor] = [found.pid for found in queue.processes() if found.parent == worker.pid and children(found.pid)]
        wait_until(
            lambda: len(children(worker.pid)) == 2
        )  # the next supervisor is ready, the worker as large as it gets
        before = [peak(worker.pid), peak(supervisor)]
        queue.let("go")
        output = queue.folder(number) / "output.log"
        wait_until(lambda: output.stat().st_size >= BLOCKS * 2**20, 120)
        after = [peak(worker.pid), peak(supervisor)]
        queue.let("stop")
        queue.completes(number)
        with output.open("rb") as file:
            assert all(file.read(2**20) == block(count) for count in range(BLOCKS))
            assert file.read() == b""
        assert after[0] - before[0] < 2**20 * 16  # system metrics, sampled meanwhile, load psutil
        assert after[1] - before[1] < 2**20


def peak(pid: int) -> int:
    """The most memory in bytes that a process has had so far."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


def children(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def block(count: int) -> bytes:
    return count.to_bytes(8, "big") * 2**17


@pytest.fixture
def own_server() -> Iterator[Server]:
    with running_server() as server:
        yield server


def test_the_postgresql_server_is_restarted(own_server: Server, tmp_path: Path) -> None:
    name = own_server.create_database()
    with a_queue(tmp_path, own_server.url(name)) as queue:
        workers = [queue.worker("--slots", "2") for _ in range(2)]
        kept = queue.record("until", "go")
        queue.tells("ready", kept)
        jobs = [queue.record("sleep", 0.05) for _ in range(24)]
        for count, act in enumerate((own_server.end_sessions, own_server.end_sessions)):
            wait_until(lambda count=count: len(queue.journal("end")) > 4 * (count + 1), 60)
            assert act(name) > 0
        wait_until(lambda: len(queue.journal("end")) > 12, 60)
        own_server.stop()
        queue.let("go")
        wait_until(lambda: queue.journal("end", kept))
        own_server.start()
        queue.completes(kept, *jobs)
        more = [queue.record("exit", 0) for _ in range(2)]
        queue.completes(*more)
        assert [queue.outcomes(number) for number in (kept, *jobs, *more)] == [["completed"]] * 27
        assert len(queue.journal("start")) == 27
        assert [worker.process.poll() for worker in workers] == [None, None]
