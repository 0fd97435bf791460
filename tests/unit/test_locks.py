"""Locks between real processes: death lets go of them, standing still does not."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from helpers import wait_until

from whirr.locks import Held, attempt_lock, is_held, worker_lock

HOLDER = """
import subprocess, sys, time
from pathlib import Path
from whirr.locks import Held
lock = Held(Path(sys.argv[1]))
children = [subprocess.Popen(["sleep", "60"])] if "child" in sys.argv else []
print(*(child.pid for child in children), flush=True)
sys.stdin.read()
"""


@contextmanager
def held_elsewhere(path: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    """Another process holds the lock; it prints the pids of its children."""
    command = [sys.executable, "-c", HOLDER, str(path), *options]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        try:
            wait_until(lambda: is_held(path), timeout=60)
            yield holder
        finally:
            holder.kill()


def stopped(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return worker_lock(tmp_path / "queue", "w-1")


def test_nobody_holds_what_is_not_there(path: Path) -> None:
    assert not is_held(path)
    assert not path.exists()
    assert not path.parent.exists()


def test_one_holds_it_until_it_lets_go(path: Path) -> None:
    lock = Held(path)
    assert is_held(path)
    with pytest.raises(BlockingIOError):
        Held(path)
    assert is_held(path)
    lock.release()
    assert not is_held(path)
    assert path.exists()
    Held(path).release(remove=True)
    assert not path.exists()


def test_a_lock_that_was_moved_is_not_in_place(path: Path) -> None:
    lock = Held(path)
    assert lock.is_in_place()
    path.parent.rename(path.parent.with_name("moved"))
    assert not lock.is_in_place()
    path.parent.mkdir()
    path.touch()
    assert not lock.is_in_place()
    lock.release()


def test_those_who_share_it_keep_out_who_wants_it_alone(path: Path) -> None:
    locks = [Held(path, shared=True), Held(path, shared=True)]
    assert (is_held(path), is_held(path, shared=True)) == (False, True)
    with pytest.raises(BlockingIOError):
        Held(path, patience_s=0)
    for lock in locks:
        lock.release()
    assert not is_held(path, shared=True)
    alone = Held(path)
    assert (is_held(path), is_held(path, shared=True)) == (True, True)
    with pytest.raises(BlockingIOError):
        Held(path, shared=True)
    alone.release()


def test_a_refused_lock_leaves_no_descriptor_open(path: Path) -> None:
    lock = Held(path)
    before = os.listdir("/proc/self/fd")
    for _ in range(5):
        with pytest.raises(BlockingIOError):
            Held(path)
        assert is_held(path)
    assert os.listdir("/proc/self/fd") == before
    lock.release()


def test_looking_takes_nothing(path: Path) -> None:
    Held(path).release()
    for _ in range(3):
        assert not is_held(path)
    Held(path).release()


def test_one_who_only_looks_keeps_nobody_from_taking_it(path: Path) -> None:
    Held(path).release()
    looking = os.open(path, os.O_RDWR)
    fcntl.flock(looking, fcntl.LOCK_SH | fcntl.LOCK_NB)
    with ThreadPoolExecutor() as threads:
        taken = threads.submit(Held, path)
        with pytest.raises(TimeoutError):
            taken.result(timeout=0.05)
        os.close(looking)
        lock = taken.result()
    assert is_held(path)
    lock.release()


def test_what_was_let_go_can_be_taken(path: Path) -> None:
    with held_elsewhere(path) as holder:
        assert holder.stdin is not None
        holder.stdin.close()
        wait_until(lambda: not is_held(path))
        lock = Held(path)
    assert is_held(path)
    lock.release()


def test_death_lets_go_of_it(path: Path) -> None:
    with held_elsewhere(path) as holder:
        with pytest.raises(BlockingIOError):
            Held(path)
        holder.kill()
        holder.wait()
        assert not is_held(path)


def test_a_process_that_stands_still_keeps_it(path: Path) -> None:
    with held_elsewhere(path) as holder:
        holder.send_signal(signal.SIGSTOP)
        wait_until(lambda: stopped(holder.pid))
        assert is_held(path)
        with pytest.raises(BlockingIOError):
            Held(path)


def test_children_do_not_keep_it(path: Path) -> None:
    with held_elsewhere(path, "child") as holder:
        assert holder.stdout is not None
        child = int(holder.stdout.readline())
        try:
            holder.kill()
            holder.wait()
            assert Path(f"/proc/{child}").exists()
            assert not is_held(path)
        finally:
            os.kill(child, signal.SIGKILL)


def test_each_attempt_has_a_lock_of_its_own(tmp_path: Path) -> None:
    locks = {attempt_lock(tmp_path, job, attempt) for job in (1, 11) for attempt in (1, 11)}
    locks |= {worker_lock(tmp_path, "job-1.1"), worker_lock(tmp_path, "w")}
    assert len(locks) == 6


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "queue").write_text("a file")
    with pytest.raises(OSError):  # noqa: PT011 - which one is the system's word
        Held(worker_lock(tmp_path / "queue", "w"))
