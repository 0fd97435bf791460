"""Endings that a process cannot record itself: readers find them out."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from ending_cases import PYTHON
from helpers import QUICK, Process, only_run, outputs, program, start, stored_meta, wait_until
from memory_group import kernel_log_names_pids, memory_limit

import whirr

LIVE = f"""
import whirr
run = whirr.init({QUICK})
run.log({{"loss": 0.5}})
print("ready", flush=True)
input()
"""
HOUR = 3600


@contextmanager
def live_run(place: Path, *wrapper: str) -> Iterator[tuple[Process, Path]]:
    """A process with an open run that waits for a line on its input, and the run's folder."""
    script = program(place / "train.py", LIVE)
    process = start([*wrapper, *PYTHON, script], place, piped=True)
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "ready\n", outputs(process)
        yield process, only_run(place)
    finally:
        process.kill()
        process.wait()  # before its input ends, which the program would take for an error
        outputs(process)


def killed_run(place: Path) -> Path:
    with live_run(place) as (_, folder):
        pass
    return folder


def rewrite(folder: Path, **identity: Any) -> None:
    """Let `meta.json` tell of another process."""
    meta = stored_meta(folder)
    meta["process"].update(identity)
    (folder / "meta.json").write_text(json.dumps(meta))


def age(folder: Path, seconds: float) -> None:
    """Let every file of a run have been written last `seconds` ago."""
    moment = time.time() - seconds
    for path in folder.iterdir():
        os.utime(path, (moment, moment))


def verdict(folder: Path) -> tuple[str, str | None]:
    meta = whirr.read_meta(folder)
    return meta["status"], (meta["cause"] or {}).get("kind")


def test_a_live_run_is_running(tmp_path: Path) -> None:
    with live_run(tmp_path) as (_, folder):
        meta = whirr.read_meta(folder)
        assert (meta["status"], meta["cause"], meta["finished_at"]) == ("running", None, None)
        assert meta["last_seen_at"] is not None
        assert meta["duration_seconds"] >= 0


def test_a_live_run_is_running_however_old_its_heartbeat(tmp_path: Path) -> None:
    """A process that was stopped, or a clock that jumped: the process itself is the proof."""
    with live_run(tmp_path) as (_, folder):
        age(folder, HOUR)
        assert verdict(folder) == ("running", None)


def test_a_killed_run(tmp_path: Path) -> None:
    folder = killed_run(tmp_path)
    meta = whirr.read_meta(folder)
    assert (meta["status"], meta["cause"]["kind"]) == ("failed", "killed")
    assert "SIGKILL" in meta["cause"]["message"]
    assert meta["last_seen_at"] is not None
    assert stored_meta(folder)["status"] == "running"  # readers change nothing


def test_a_process_that_nobody_has_reaped_is_gone(tmp_path: Path) -> None:
    with live_run(tmp_path) as (process, folder):
        process.kill()
        wait_until(lambda: verdict(folder) == ("failed", "killed"))
        assert Path(f"/proc/{process.pid}").exists()  # a zombie until it is waited for


def test_a_pid_that_was_given_out_again(tmp_path: Path) -> None:
    folder = killed_run(tmp_path)
    rewrite(folder, pid=os.getpid())
    assert verdict(folder) == ("failed", "killed")


def test_a_reboot(tmp_path: Path) -> None:
    folder = killed_run(tmp_path)
    rewrite(folder, pid=os.getpid(), boot_id="11111111-2222-3333-4444-555555555555")
    assert verdict(folder) == ("failed", "reboot")


ELSEWHERE = {
    "another host": {"host": "node-7", "machine_id": "0" * 32, "boot_id": "1" * 36},
    "another container": {"host": "3f2a9c", "pid_namespace": "pid:[4026539999]"},
}


@pytest.mark.parametrize("where", ELSEWHERE)
def test_a_run_elsewhere_is_judged_by_its_heartbeat(where: str, tmp_path: Path) -> None:
    folder = killed_run(tmp_path)
    rewrite(folder, **ELSEWHERE[where])
    assert verdict(folder) == ("running", None)  # its files are fresh: it may be alive
    age(folder, HOUR)
    assert verdict(folder) == ("failed", "lost")
    assert str(ELSEWHERE[where]["host"]) in whirr.read_meta(folder)["cause"]["message"]
    (folder / "heartbeat").touch()
    assert verdict(folder) == ("running", None)


def in_own_pid_namespace() -> list[str]:
    wrapper = ["unshare", "--fork", "--pid", "--mount-proc", "--kill-child"]
    if os.getuid() != 0:
        wrapper[1:1] = ["--user", "--map-root-user"]
    try:
        subprocess.run([*wrapper, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no pid namespace of its own can be made here: {error}")
    return wrapper


def test_a_real_container(tmp_path: Path) -> None:
    """A pid namespace of its own, where the run's process is pid 1: another process outside has that pid."""
    with live_run(tmp_path, *in_own_pid_namespace()) as (_, folder):
        assert stored_meta(folder)["process"]["pid"] == 1
        assert verdict(folder) == ("running", None)
    assert verdict(folder) == ("running", None)  # killed, but only its silence can tell
    age(folder, HOUR)
    assert verdict(folder) == ("failed", "lost")


def test_a_run_that_wrote_down_its_ending_is_not_judged(tmp_path: Path) -> None:
    with live_run(tmp_path) as (process, folder):
        outputs(process, "\n")
    age(folder, HOUR)
    assert verdict(folder) == ("completed", None)


EATER = f"""
import os, sys
import whirr
with open(sys.argv[1], "w") as group:
    group.write(str(os.getpid()))
run = whirr.init({QUICK})
run.log({{"loss": 0.5}})
hoard = []
while True:
    hoard.append(bytearray(os.urandom(2**20)))
"""


def test_out_of_memory(tmp_path: Path) -> None:
    script = program(tmp_path / "train.py", EATER)
    with memory_limit(64) as group:
        process = start([*PYTHON, script, group], tmp_path)
        _, err = outputs(process)
        assert process.returncode == -9, err
        meta = whirr.read_meta(only_run(tmp_path))
    assert meta["status"] == "failed"
    assert "out of memory" in meta["cause"]["message"]
    by_group = meta["process"]["oom_kills"]["cgroup"] is not None
    if by_group or kernel_log_names_pids():
        assert meta["cause"]["kind"] == "out-of-memory"
    assert [record["loss"] for record in whirr.read_metrics(only_run(tmp_path))] == [0.5]
