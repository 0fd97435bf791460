"""Process trees and costs that only real processes have."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers import wait_until

from whirr.sampler import Sampler

pytest.importorskip("psutil")

FAMILY = """
import subprocess, sys, threading
grow = bytearray(b"x" * 40 * 2**20)
child = [sys.executable, "-c", "import sys; print('up', flush=True); sys.stdin.read()"]
def start():
    started = subprocess.Popen(child, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    started.stdout.readline()
    children.append(started)
children = []
start()
thread = threading.Thread(target=lambda: (start(), over.wait()))  # a child belongs to the thread that made it
over = threading.Event()
thread.start()
while len(children) < 2: pass
print("up", flush=True)
sys.stdin.read()
[(one.stdin.close(), one.wait()) for one in children]
over.set()
"""


@pytest.fixture
def family() -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", FAMILY], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        yield process


def test_descendants_are_counted(family: subprocess.Popen[str], tmp_path: Path) -> None:
    sampler = Sampler(tmp_path, pid=family.pid)
    found = sampler.sample()
    assert found["process_count"] == 3
    assert found["process_memory_mb"] > 40
    assert family.stdin is not None
    family.stdin.close()
    family.wait()
    gone = sampler.sample()
    assert gone.get("process_count", 0) == 0
    assert "memory_percent" in gone


def test_without_the_kernels_list_of_children(family: subprocess.Popen[str], tmp_path: Path) -> None:
    found = Sampler(tmp_path, pid=family.pid, proc_root=tmp_path).sample()
    assert found["process_count"] == 3
    assert found["process_memory_mb"] > 40


def test_the_time_of_children_that_have_ended_counts(tmp_path: Path) -> None:
    now = [0.0]
    sampler = Sampler(tmp_path, elapsed=lambda: now[0])
    sampler.sample()
    busy = "import time\nwhile time.process_time() < 0.3: pass"
    subprocess.run([sys.executable, "-c", busy], check=True)
    now[0] = 1.0
    assert sampler.sample()["process_cpu_percent"] >= 25


def test_the_machine_is_busy_while_a_process_is(tmp_path: Path) -> None:
    sampler = Sampler(tmp_path)
    sampler.sample()
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as process:
        try:
            assert wait_until(lambda: sampler.sample().get("cpu_percent", 0) > 0)
        finally:
            process.kill()
