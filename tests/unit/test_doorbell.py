"""Doorbells: real sockets in real folders."""

from __future__ import annotations

import os
import select
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from whirr.store.doorbell import SUFFIX, Doorbell, remove, ring

BELL = """
import sys
from pathlib import Path
from whirr.store.doorbell import Doorbell
bell = Doorbell(Path(sys.argv[1]), sys.argv[2])
print("hung", flush=True)
sys.stdin.read()
"""


@contextmanager
def hung(folder: Path, *names: str) -> Iterator[list[Doorbell]]:
    bells = [Doorbell(folder, name) for name in names]
    try:
        yield bells
    finally:
        for bell in bells:
            bell.close()


def rings(bell: Doorbell, wait_s: float = 0) -> bool:
    return bool(select.select([bell], [], [], wait_s)[0])


def test_every_bell_rings_until_it_is_heard(tmp_path: Path) -> None:
    with hung(tmp_path / "bells", "one", "two") as bells:
        assert not any(map(rings, bells))
        ring(tmp_path / "bells")
        assert all(map(rings, bells))
        bells[0].drain()
        assert [rings(bell) for bell in bells] == [False, True]
        bells[0].drain()


def test_a_bell_is_silent_once_it_is_taken_down(tmp_path: Path) -> None:
    with hung(tmp_path, "one", "two") as (one, two):
        one.close()
        ring(tmp_path)
        assert rings(two)
        assert [path.name for path in tmp_path.iterdir()] == [f"two{SUFFIX}"]


def test_where_nobody_listens_ringing_does_nothing(tmp_path: Path) -> None:
    ring(tmp_path / "nowhere")
    ring(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("length", [108, 400, 3000])
def test_a_path_longer_than_a_socket_may_have(tmp_path: Path, length: int) -> None:
    folder = tmp_path
    while len(os.fsencode(folder)) < length:
        folder /= "é" * 50
    with hung(folder / "bells", "w" * 70) as (bell,):
        ring(folder / "bells")
        assert rings(bell)


def test_a_dead_bell_keeps_nobody_from_the_others(tmp_path: Path) -> None:
    command = [sys.executable, "-c", BELL, str(tmp_path), "a-dead-one"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as dead:
        assert dead.stdout is not None
        assert dead.stdout.readline() == "hung\n"
        dead.kill()
    assert (tmp_path / f"a-dead-one{SUFFIX}").exists()
    (tmp_path / f"b-no-socket{SUFFIX}").write_text("a file")
    with hung(tmp_path, "living") as (living,):
        ring(tmp_path)
        assert rings(living)
        remove(tmp_path, "a-dead-one")
        remove(tmp_path, "never-there")
        assert not (tmp_path / f"a-dead-one{SUFFIX}").exists()


def test_a_bell_that_nobody_can_hear_any_more_is_taken_down(tmp_path: Path) -> None:
    for name in ("server-killed", "just-being-hung"):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as left:
            left.bind(str(tmp_path / f"{name}{SUFFIX}"))
    with hung(tmp_path, "living") as (living,):
        for name in ("server-killed", "living"):
            os.utime(tmp_path / f"{name}{SUFFIX}", (0, 0))
        ring(tmp_path)
        assert rings(living)
        there = sorted(path.name for path in tmp_path.iterdir())
        assert there == [f"just-being-hung{SUFFIX}", f"living{SUFFIX}"]


def test_a_full_bell_keeps_nobody_waiting(tmp_path: Path) -> None:
    with hung(tmp_path, "full", "other") as (full, other):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sender:
            with suppress(BlockingIOError):
                while True:
                    sender.sendto(b"!", str(tmp_path / f"full{SUFFIX}"))
            ring(tmp_path)
        assert rings(full)
        assert rings(other)
        full.drain()
        assert not rings(full)
        ring(tmp_path)
        assert rings(full)


def test_other_files_are_no_bells(tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("x")
    with hung(tmp_path, "one") as (one,):
        ring(tmp_path)
        assert rings(one)
    assert (tmp_path / "note.txt").read_text() == "x"


def test_two_bells_of_one_name_are_refused(tmp_path: Path) -> None:
    with hung(tmp_path, "one") as (one,):
        with pytest.raises(OSError, match="in use"):
            Doorbell(tmp_path, "one")
        ring(tmp_path)
        assert rings(one)


def test_no_descriptor_is_left_open(tmp_path: Path) -> None:
    with hung(tmp_path, "one"):
        before = os.listdir("/proc/self/fd")
        for _ in range(10):
            ring(tmp_path)
            with pytest.raises(OSError, match="in use"):
                Doorbell(tmp_path, "one")
        assert os.listdir("/proc/self/fd") == before
    Doorbell(tmp_path, "two").close()
    assert list(tmp_path.iterdir()) == []
