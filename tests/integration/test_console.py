"""The copy of the console in programs that print: bars, forks, kills, signals, full files, IPython."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import termios
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers import wait_until

PRELUDE = """
import os, sys, time
from whirr.console import ConsoleTee
tee = ConsoleTee("output.log")
tee.start()
"""

Run = Callable[[str], subprocess.CompletedProcess[str]]


@pytest.fixture
def printed(tmp_path: Path) -> Run:
    def run(script: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", PRELUDE + script]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)

    return run


def on_a_terminal(script: str, folder: Path) -> str:
    """What a terminal is sent by a program that runs on it."""
    main, side = pty.openpty()
    termios.tcsetwinsize(side, (24, 80))
    with subprocess.Popen(
        [sys.executable, "-c", PRELUDE + script], cwd=folder, stdin=side, stdout=side, stderr=side
    ) as process:
        os.close(side)
        sent = b""
        try:
            while piece := os.read(main, 65536):
                sent += piece
        except OSError:  # how a terminal tells the end on Linux
            pass
        os.close(main)
    assert process.returncode == 0, sent
    return sent.decode()


BARS = """
from tqdm import tqdm, trange
for epoch in trange(2, desc="epochs", mininterval=0):
    for batch in tqdm(range(100), desc="batches", leave=False, mininterval=0):
        if batch % 10 == 0: tee.flush_partial()
        if batch == 50: tqdm.write(f"half of {epoch}")
    print("loss", epoch, sys.stdout.isatty())
for _ in trange(500, desc="test", mininterval=0): pass
tee.stop()
"""


@pytest.mark.parametrize("terminal", [True, False])
def test_bars_of_tqdm(terminal: bool, printed: Run, tmp_path: Path) -> None:
    pytest.importorskip("tqdm", reason="tqdm is not installed")
    sent = on_a_terminal(BARS, tmp_path) if terminal else printed(BARS).stderr
    assert sent.count("batches") > 100
    lines = (tmp_path / "output.log").read_text().split("\n")
    assert [line for line in lines if line.startswith("loss")] == [f"loss 0 {terminal}", f"loss 1 {terminal}"]
    assert [line for line in lines if line.startswith("half")] == ["half of 0", "half of 1"]
    assert [line[:11] for line in lines if line.startswith("test")] == ["test: 100%|"]
    assert [line[:13] for line in lines if line.startswith("epochs")] == ["epochs: 100%|"]
    assert not any("batches" in line or "\r" in line or "\x1b[A" in line for line in lines)


def test_lines_survive_a_kill(printed: Run, tmp_path: Path) -> None:
    done = printed("""
print("one")
sys.stderr.write("two\\n")
sys.stderr.write("\\r100%\\n")
sys.stderr.write("Loading")
tee.flush_partial()
os.kill(os.getpid(), 9)
""")
    assert done.returncode == -signal.SIGKILL
    assert (tmp_path / "output.log").read_bytes() == b"one\ntwo\n100%\nLoading"


def test_a_forked_child_writes_its_lines_and_none_of_the_parents(printed: Run, tmp_path: Path) -> None:
    done = printed("""
sys.stdout.write("parent's half")
child = os.fork()
if child == 0:
    sys.stdout.write("child's line\\n")
    sys.stderr.write("child's bar\\n")
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
sys.stdout.write(" and the other\\n")
tee.stop()
""")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "output.log").read_text() == "child's line\nchild's bar\nparent's half and the other\n"


def test_a_fork_while_another_thread_prints(printed: Run, tmp_path: Path) -> None:
    done = printed("""
import threading
over = threading.Event()
def chat():
    while not over.is_set(): sys.stdout.write("chat\\n")
thread = threading.Thread(target=chat)
thread.start()
for count in range(50):
    child = os.fork()
    if child == 0:
        sys.stderr.write(f"child {count}\\n")
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
over.set()
thread.join()
tee.stop()
""")
    assert done.returncode == 0, done.stderr
    lines = (tmp_path / "output.log").read_text().splitlines()
    assert [line for line in lines if line != "chat"] == [f"child {count}" for count in range(50)]


def test_a_signal_handler_that_prints(printed: Run, tmp_path: Path) -> None:
    done = printed("""
import signal
beats = 0
def beat(*_):
    global beats
    beats += 1
    sys.stderr.write(f"beat {beats}\\n")
    signal.setitimer(signal.ITIMER_REAL, 0.0005)  # no sooner: streams refuse a write inside a write
signal.signal(signal.SIGALRM, beat)
signal.setitimer(signal.ITIMER_REAL, 0.0005)
count = 0
while beats < 300:
    sys.stdout.write(f"line {count}\\n")
    count += 1
signal.signal(signal.SIGALRM, signal.SIG_IGN)
tee.stop()
""")
    assert done.returncode == 0, done.stderr
    lines = (tmp_path / "output.log").read_text().splitlines()
    told = [line for line in lines if line.startswith("line")]
    beats = [line for line in lines if line.startswith("beat")]
    assert told == [f"line {count}" for count in range(len(told))]
    assert beats == [f"beat {count + 1}" for count in range(len(beats))]
    assert len(told) == len([line for line in done.stdout.splitlines() if line])
    assert len(beats) == len(done.stderr.splitlines())


def test_a_full_file_costs_nothing_that_fits_the_memory(printed: Run, tmp_path: Path) -> None:
    done = printed("""
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (5000, resource.RLIM_INFINITY))
for count in range(1000): print(f"line {count:04}")
assert os.path.getsize("output.log") == 5000
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
tee.flush_partial()
print("end")
tee.stop()
""")
    assert done.returncode == 0, done.stderr
    expected = [*(f"line {count:04}" for count in range(1000)), "end"]
    assert (tmp_path / "output.log").read_text().splitlines() == expected
    assert done.stdout.splitlines() == expected


def test_all_descriptors_closed_and_reused(printed: Run, tmp_path: Path) -> None:
    done = printed("""
print("one")
os.closerange(3, 100)
theirs = [open(f"theirs{count}", "w") for count in range(10)]
print("two")
tee.stop()
for file in theirs: file.write("mine")
""")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "output.log").read_text() == "one\ntwo\n"
    assert {file.read_text() for file in tmp_path.glob("theirs*")} == {"mine"}


def test_a_traceback_is_copied(printed: Run, tmp_path: Path) -> None:
    done = printed("raise RuntimeError('boom')")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "RuntimeError: boom"
    assert (tmp_path / "output.log").read_text() == done.stderr


def test_a_console_that_goes_away(tmp_path: Path) -> None:
    script = "print('one', flush=True)\nsys.stdin.read()\nsys.stdout.write('two\\n')\nsys.stdout.flush()"
    with subprocess.Popen(
        [sys.executable, "-c", PRELUDE + script],
        cwd=tmp_path,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        wait_until(lambda: (tmp_path / "output.log").exists())
        assert process.stdout is not None
        process.stdout.close()
    assert process.returncode != 0  # the program meets what it would have met anyway
    assert "one\ntwo\n" in (tmp_path / "output.log").read_text()


def test_a_cell_of_ipython(tmp_path: Path) -> None:
    pytest.importorskip("IPython", reason="IPython is not installed")
    cells = (
        PRELUDE
        + """
get_ipython().run_cell("print('cell'); 6 * 7")
get_ipython().run_cell("%%capture kept\\nprint('captured')")
get_ipython().run_cell("1 / 0")
tee.stop()
"""
    )
    (tmp_path / "cells.ipy").write_text(cells)
    environ = {**os.environ, "IPYTHONDIR": str(tmp_path), "NO_COLOR": "1"}
    command = [sys.executable, "-m", "IPython", "--no-banner", "--colors=NoColor", "cells.ipy"]
    done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=60)
    copied = (tmp_path / "output.log").read_text()
    assert done.returncode == 0, done.stderr
    assert "cell\n" in copied
    assert "42" in copied
    assert "ZeroDivisionError" in copied
    assert "captured" not in copied
    assert "cell\n" in done.stdout
