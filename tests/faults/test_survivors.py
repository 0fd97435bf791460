"""Whatever dies, no process of a job is left: counted among descendants that do their best to stay."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from executors_helpers import Identity, Worker, alive, identity, python, result, task
from helpers import outputs, program, start, wait_until

from whirr.executors import sweep
from whirr.executors.base import Ending, Fault, StopReason
from whirr.locks import is_held

KINDS = ("plain", "nohup", "deaf", "setsid", "daemon")

FAMILY = """
import os, signal, sys, time

def linger(kind):
    with open(kind + ".new", "w") as file:
        file.write(str(os.getpid()))
    os.rename(kind + ".new", kind)
    while True:
        time.sleep(1000)

def nohup():
    signal.signal(signal.SIGHUP, signal.SIG_IGN)

def deaf():
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)

def daemon():
    os.setsid()
    if os.fork():
        os._exit(0)
    nothing = os.open(os.devnull, os.O_RDWR)
    for standard in range(3):
        os.dup2(nothing, standard)

ways = {"plain": lambda: None, "nohup": nohup, "deaf": deaf, "setsid": os.setsid, "daemon": daemon}
for kind, prepare in ways.items():
    if not os.fork():
        prepare()
        linger(kind)
while sys.argv[1:] != ["leave"] or not all(map(os.path.exists, ways)):
    time.sleep(0.02)
sys.exit(7)
"""


def family(place: Path, *words: str) -> Worker:
    """A worker with a job of five descendants."""
    return Worker(task(place, sys.executable, program(place / "family.py", FAMILY), *words))


def members(place: Path, kinds: tuple[str, ...] = KINDS) -> list[Identity]:
    """The descendants, once all have told their pids."""
    wait_until(lambda: all((place / kind).exists() for kind in kinds), 30)
    found = [identity(int((place / kind).read_text())) for kind in kinds]
    assert all(map(alive, found))
    return found


def survivors(found: list[Identity]) -> list[int]:
    return [int(alive(who)) for who in found]


def released(worker: Worker) -> None:
    """Wait for the moment from which others may take the job: its lock is free."""
    wait_until(lambda: not is_held(worker.task.lock), 30)


NONE = [0, 0, 0, 0, 0]


def test_after_cancel(tmp_path: Path) -> None:
    worker = family(tmp_path)
    found = members(tmp_path)
    worker.stop(StopReason.CANCEL)
    released(worker)
    assert survivors(found) == NONE
    ending = worker.ending()
    worker.end()
    assert (ending.reason, ending.killed, ending.leftovers) == (StopReason.CANCEL, 1, 0)


def test_after_the_worker_was_killed(tmp_path: Path) -> None:
    worker = family(tmp_path)
    found = members(tmp_path)
    worker.end()
    released(worker)
    assert survivors(found) == NONE
    assert result(tmp_path).reason is StopReason.WORKER_LOST


def test_after_the_leader_left(tmp_path: Path) -> None:
    worker = family(tmp_path, "leave")
    ending = worker.ending()
    found = [(tmp_path / kind).read_text() for kind in KINDS]
    worker.end()
    assert [int(Path(f"/proc/{pid}").exists()) for pid in found] == NONE
    assert (ending.exit_code, ending.reason, ending.leftovers, ending.killed) == (7, None, 5, 1)


def lose_supervisor(worker: Worker) -> Ending:
    """SIGKILL the supervisor; how the attempt ended for its worker."""
    os.kill(worker.event("supervisor"), signal.SIGKILL)
    ending = worker.ending()
    assert worker.event("left") == 0  # no zombie either
    worker.end()
    assert ending.error is Fault.SUPERVISOR_LOST
    assert (ending.exit_code, ending.signal, ending.reason) == (None, None, None)
    assert not worker.task.lock.exists()
    assert not list(worker.place.glob(".result*"))
    return ending


def test_after_the_supervisor_was_killed(tmp_path: Path) -> None:
    worker = family(tmp_path)
    leader = worker.event("pid")
    found = members(tmp_path)
    os.kill(worker.event("supervisor"), signal.SIGKILL)
    released(worker)
    assert survivors(found) == NONE
    ending = worker.ending()
    worker.end()
    assert (ending.error, ending.pid) == (Fault.SUPERVISOR_LOST, leader)


def lose_both(worker: Worker) -> None:
    """SIGKILL worker and supervisor so that neither can do anything about the other's death."""
    worker.process.send_signal(signal.SIGSTOP)
    os.kill(worker.event("supervisor"), signal.SIGKILL)
    worker.end()


def test_after_worker_and_supervisor_were_killed_and_a_sweep(tmp_path: Path) -> None:
    worker = family(tmp_path)
    leader = identity(worker.event("pid"))
    found = members(tmp_path)
    lose_both(worker)
    released(worker)
    wait_until(lambda: not alive(leader))  # it does not outlive its supervisor
    assert survivors(found) == [1, 1, 1, 1, 1]
    left = sweep.find(worker.task.mark, worker.task.output)
    assert sorted(left) == sorted(pid for pid, _ in found)
    assert sweep.find_all(str(tmp_path)) == {worker.task.mark: left}
    assert sweep.clear(worker.task.mark, worker.task.output) == 5
    assert survivors(found) == NONE
    assert sweep.clear(worker.task.mark, worker.task.output) == 0


BARE = """
import os, sys
if not os.fork():
    os.setsid()
    if CLOSED:
        os.dup2(os.open(os.devnull, os.O_RDWR), 1)
        os.dup2(1, 2)
    with open("bare.new", "w") as file:
        file.write(str(os.getpid()))
    os.rename("bare.new", "bare")
    os.execve("/bin/sleep", ["sleep", "1000"], {})
os.wait()
"""


def bare(place: Path, *, closed: bool) -> tuple[Worker, list[Identity]]:
    """A worker with a job whose child has no environment, and no descriptor of the output either where `closed`."""
    worker = Worker(python(place, BARE.replace("CLOSED", str(closed))))
    found = members(place, ("bare",))
    cmdline = Path(f"/proc/{found[0][0]}/cmdline")
    wait_until(lambda: cmdline.read_bytes() == b"sleep\x001000\x00")
    return worker, found


@pytest.mark.parametrize("closed", [False, True])
def test_a_child_without_environment_when_cancelled(tmp_path: Path, closed: bool) -> None:
    worker, found = bare(tmp_path, closed=closed)
    worker.stop(StopReason.CANCEL)
    released(worker)
    assert survivors(found) == [0]
    worker.end()


@pytest.mark.parametrize("closed", [False, True])
def test_a_child_without_environment_when_the_supervisor_is_lost(tmp_path: Path, closed: bool) -> None:
    worker, found = bare(tmp_path, closed=closed)
    lose_supervisor(worker)
    assert survivors(found) == [0]


def test_a_child_without_environment_is_swept_by_what_it_writes_to(tmp_path: Path) -> None:
    worker, found = bare(tmp_path, closed=False)
    lose_both(worker)
    wait_until(lambda: sweep.find(worker.task.mark) == [])  # the leader is gone, the mark does not tell
    reader = subprocess.Popen(["tail", "-f", str(worker.task.output)], stdout=subprocess.DEVNULL)
    try:
        wait_until(lambda: str(worker.task.output) in map(os.path.realpath, Path(f"/proc/{reader.pid}/fd").iterdir()))
        assert sweep.clear(worker.task.mark, worker.task.output) == 1
        assert survivors(found) == [0]
        assert reader.poll() is None  # whoever only reads is left alone
    finally:
        reader.kill()
        reader.wait()


HOPPER = """
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if not os.fork():
    open("ready", "w").close()
    end = time.monotonic() + 60  # should a test ever lose it
    while time.monotonic() < end:  # a process that is always another one, as a fork bomb has them, but one at a time
        if os.fork():
            os._exit(0)
        PREPARE
signal.pause()
"""


@pytest.mark.parametrize("prepare", ["pass", "os.setsid()"])
@pytest.mark.parametrize("end", ["cancel", "worker", "supervisor"])
def test_a_job_that_keeps_forking(tmp_path: Path, prepare: str, end: str) -> None:
    worker = Worker(python(tmp_path, HOPPER.replace("PREPARE", prepare)))
    wait_until((tmp_path / "ready").exists)
    acts: dict[str, Callable[[], object]] = {
        "cancel": lambda: worker.stop(StopReason.CANCEL, 0.1),
        "worker": worker.end,
        "supervisor": lambda: os.kill(worker.event("supervisor"), signal.SIGKILL),
    }
    acts[end]()
    released(worker)
    assert sweep.find(worker.task.mark) == []
    worker.end()


def test_the_disk_is_full_at_the_end(tmp_path: Path) -> None:
    body = f"""
        import json, os, sys
        sys.path[:0] = {[str(Path(__file__).parents[1])]!r}
        from pathlib import Path
        from executors_helpers import run, task
        from whirr.errors import FolderError
        from whirr.executors.base import read_result
        from whirr.executors.process import ProcessExecutor

        place = Path.cwd()
        executor = ProcessExecutor()
        found = run(executor, task(place, "sh", "-c", "cat /dev/zero; exit 9"))
        told = read_result(place / "result.json").as_dict()
        os.rename("result.json", "first.json")
        try:
            executor.start(task(place, "true"))
        except FolderError as error:
            told["refusal"] = str(error)
        executor.close()
        told["names"] = sorted(os.listdir())
        print(json.dumps(told))
    """
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = f"mount -t tmpfs -o size=256k whirr-test {shlex.quote(str(disk))} && cd {shlex.quote(str(disk))}"
    words = shlex.join([sys.executable, str(program(tmp_path / "driver.py", body))])
    process = start([*namespace(), "sh", "-c", f"{mount} && exec {words}"], tmp_path)
    out, err = outputs(process)
    assert process.returncode == 0, err
    told = json.loads(out)
    assert told["exit_code"] == 9
    assert "No space left" in told["refusal"]
    assert told["names"] == ["first.json", "output.log"]


def namespace() -> list[str]:
    """A command prefix for a mount namespace of one's own; skips where none can be had."""
    wrapper = ["unshare", "--mount"] if os.getuid() == 0 else ["unshare", "--user", "--map-root-user", "--mount"]
    try:
        subprocess.run([*wrapper, "mount", "-t", "tmpfs", "whirr-test", "/mnt"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no file system of its own can be mounted here: {error}")
    return wrapper
