"""Real processes: alive, stopped, a zombie, gone; and what readers are told of their runs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from helpers import QUICK, only_run, program, start, stored_meta, wait_until

import whirr
from whirr.process import ALIVE, GONE, fate, identity, start_ticks

RUN = f"""
import signal
import whirr
with open("/proc/self/comm", "wb") as name:
    name.write(bytes([0xff, 0xfe, 0x29, 0x20, 0x5a]))  # no text in any encoding, and a bracket
run = whirr.init({QUICK})
run.log({{"loss": 0.5}})
print("ready")
signal.pause()
"""


@contextmanager
def running(place: Path) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """A process with a run of its own and what it recorded about itself."""
    process = start([sys.executable, program(place / "train.py", RUN)], cwd=place)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n", process.communicate()
        yield process, stored_meta(only_run(place))["process"]
    finally:
        process.kill()
        process.communicate()


def test_its_own_words_are_right() -> None:
    assert fate(identity()) == ALIVE


def test_alive_stopped_zombie_gone(tmp_path: Path) -> None:
    with running(tmp_path) as (process, recorded):
        run_dir = only_run(tmp_path)
        assert (recorded["pid"], fate(recorded)) == (process.pid, ALIVE)
        assert whirr.read_meta(run_dir)["status"] == "running"
        process.send_signal(signal.SIGSTOP)
        wait_until(lambda: ") T " in Path(f"/proc/{process.pid}/stat").read_text(errors="replace"))
        assert whirr.read_meta(run_dir)["status"] == "running"
        process.kill()
        wait_until(lambda: fate(recorded) == GONE)
        assert Path(f"/proc/{process.pid}/stat").exists()  # nobody has waited for it: a zombie
        assert start_ticks(process.pid) is None
        process.wait()
        found = whirr.read_meta(run_dir)
        assert (fate(recorded), found["status"], found["cause"]["kind"]) == (GONE, "failed", "killed")
        assert [row["loss"] for row in whirr.read_metrics(run_dir)] == [0.5]


def test_a_process_that_took_over_the_number(tmp_path: Path) -> None:
    with running(tmp_path) as (process, recorded):
        earlier = {**recorded, "start_ticks": recorded["start_ticks"] - 1}
        assert (process.poll(), fate(earlier)) == (None, GONE)


def test_a_process_in_a_container_of_its_own(tmp_path: Path) -> None:
    """Seen from another pid namespace only signs of life count."""
    if subprocess.run(["unshare", "--pid", "--fork", "true"], capture_output=True).returncode:
        pytest.skip("this user may not make pid namespaces")
    reader = "import json, sys, whirr; print(json.dumps(whirr.read_meta(sys.argv[1])))"
    with running(tmp_path):
        run_dir = only_run(tmp_path)

        def seen_from_elsewhere() -> str:
            command = ["unshare", "--pid", "--fork", "--mount-proc", sys.executable, "-c", reader, str(run_dir)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            return done.stdout

        assert '"status": "running"' in seen_from_elsewhere()
    for path in run_dir.iterdir():
        os.utime(path, (1, 1))
    assert '"kind": "lost"' in seen_from_elsewhere()
    assert whirr.read_meta(run_dir)["cause"]["kind"] == "killed"


def test_runs_do_not_show_in_git(tmp_path: Path) -> None:
    def git(*words: str) -> str:
        return subprocess.run(["git", *words], cwd=tmp_path, check=True, capture_output=True, text=True).stdout

    git("init", "-q")
    script = program(tmp_path / "deep" / "train.py", f"import whirr; whirr.init({QUICK}).finish()")
    subprocess.run([sys.executable, script], cwd=script.parent, check=True)
    assert git("status", "--porcelain", "-uall") == "?? deep/train.py\n"
    assert os.listdir(script.parent) == ["train.py"]
    assert stored_meta(only_run(tmp_path))["status"] == "completed"


def test_a_heartbeat_however_seldom_it_samples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHIRR_SYSTEM_INTERVAL", "3600")
    with running(tmp_path):
        heartbeat = only_run(tmp_path) / "heartbeat"
        for _ in range(3):  # two rounds soon after the start, the next one after a whole interval
            os.utime(heartbeat, (1, 1))
            wait_until(lambda: heartbeat.stat().st_mtime > 1, timeout=30)


@pytest.mark.needs_root
def test_a_process_that_other_users_may_not_see(tmp_path: Path) -> None:
    """Clusters hide processes of other users: a colleague's live run must not read as killed."""
    reader = "import json, sys; from whirr.process import fate; print(fate(json.loads(sys.argv[1])))"
    hide = 'mount -t proc -o hidepid=2 proc /proc && exec setpriv --reuid 65534 --regid 65534 --clear-groups "$@"'

    def seen_by_nobody(recorded: dict[str, Any]) -> str:
        command = ["unshare", "--mount", "sh", "-c", hide, "sh", sys.executable, "-c", reader, json.dumps(recorded)]
        done = subprocess.run(command, capture_output=True, text=True, cwd="/")
        if "unshare" in done.stderr or "mount" in done.stderr:
            pytest.skip(done.stderr)
        return done.stdout + done.stderr

    with running(tmp_path) as (_, recorded):
        assert seen_by_nobody(recorded) == "elsewhere\n"
    assert seen_by_nobody(recorded) == "gone\n"
