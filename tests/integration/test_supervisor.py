"""One attempt under a supervisor: how it starts, what it is given, what it writes, how it ends."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from executors_helpers import Worker, alive, ending, identity, python, result, run, started, task
from helpers import program, wait_until

from whirr.errors import FolderError
from whirr.executors import supervisor
from whirr.executors.base import Fault, StopReason, read_result
from whirr.executors.process import ProcessExecutor
from whirr.locks import is_held

MEMORY_GOAL_KB = 12 * 1024


@pytest.fixture
def executor() -> Iterator[ProcessExecutor]:
    made = ProcessExecutor()
    yield made
    made.close()


@pytest.mark.parametrize("code", [0, 1, 85, 255])
def test_exit_codes(tmp_path: Path, executor: ProcessExecutor, code: int) -> None:
    found = run(executor, task(tmp_path, "sh", "-c", f"exit {code}"))
    assert (found.exit_code, found.signal, found.reason, found.error) == (code, None, None, None)
    assert (found.leftovers, found.killed) == (0, 0)
    assert found == read_result(tmp_path / "result.json")


@pytest.mark.parametrize("name", ["SIGKILL", "SIGTERM", "SIGABRT", "SIGHUP", "SIGUSR2"])
def test_signals(tmp_path: Path, executor: ProcessExecutor, name: str) -> None:
    found = run(executor, task(tmp_path, "sh", "-c", f"ulimit -c 0; kill -{name.removeprefix('SIG')} $$"))
    assert (found.exit_code, found.signal, found.reason) == (None, name, None)


def test_what_is_measured(tmp_path: Path, executor: ProcessExecutor) -> None:
    body = "import os\nif not os.fork():\n    b = b'x' * 50_000_000\n    os._exit(0)\nos.wait()"
    found = run(executor, python(tmp_path, body))
    assert found.started_at is not None
    assert found.started_at < found.finished_at
    assert found.duration_s > 0
    assert found.cpu_s > 0
    assert 50_000_000 < found.max_rss_bytes < 500_000_000  # of the child


def refused(executor: ProcessExecutor, what: Any) -> tuple[Fault | None, str]:
    found = run(executor, what)
    assert (found.exit_code, found.signal, found.reason, found.pid) == (None, None, None, None)
    assert found == read_result(what.result)
    assert not what.lock.exists()
    return found.error, found.message or ""


def test_command_not_found(tmp_path: Path, executor: ProcessExecutor) -> None:
    kind, message = refused(executor, task(tmp_path, "no-such-program"))
    assert kind is Fault.COMMAND_NOT_FOUND
    assert "no-such-program" in message
    for words in ({"executable": str(tmp_path / "gone")}, {"env": {"PATH": str(tmp_path)}}):
        assert refused(executor, task(tmp_path, "sh", "-c", "exit 0", **words))[0] is Fault.COMMAND_NOT_FOUND


def test_not_executable(tmp_path: Path, executor: ProcessExecutor) -> None:
    plain, empty, orphan = tmp_path / "plain", tmp_path / "empty", tmp_path / "orphan"
    plain.write_text("#!/bin/sh\n")
    empty.write_text("echo no first line\n")
    orphan.write_text("#!/no/such/interpreter\n")
    empty.chmod(0o755)
    orphan.chmod(0o755)
    for path in (plain, empty, orphan, tmp_path):
        kind, message = refused(executor, task(tmp_path, path))
        assert kind is Fault.NOT_EXECUTABLE
        assert str(path) in message
    assert "interpreter" in refused(executor, task(tmp_path, "./orphan"))[1]


def test_working_directory_gone(tmp_path: Path, executor: ProcessExecutor) -> None:
    kind, message = refused(executor, task(tmp_path, "true", cwd=str(tmp_path / "gone")))
    assert kind is Fault.WORKDIR_MISSING
    assert str(tmp_path / "gone") in message


@pytest.mark.parametrize("word", ["x" * 200_000, "a\0b"], ids=["too long", "null byte"])
def test_other_refusals_of_the_kernel(tmp_path: Path, executor: ProcessExecutor, word: str) -> None:
    assert refused(executor, task(tmp_path, "true", word))[0] is Fault.START_FAILED


def test_a_long_reason_fits_into_the_result(tmp_path: Path, executor: ProcessExecutor) -> None:
    assert refused(executor, task(tmp_path, "\x01" * 3000))[0] is Fault.START_FAILED
    assert (tmp_path / "result.json").stat().st_size < supervisor.PLACEHOLDER_SIZE


def test_a_command_longer_than_a_packet_is_refused_with_its_reason(tmp_path: Path, executor: ProcessExecutor) -> None:
    for length in (66_000, 120_000):  # a single argument of the kernel's is no longer than 131,072 bytes
        kind, message = refused(executor, task(tmp_path, "x" * length))
        assert kind is Fault.START_FAILED
        assert "/xxx" in message
        assert message.endswith("cannot be run: File name too long")


def test_a_reason_is_valid_text(tmp_path: Path, executor: ProcessExecutor) -> None:
    assert refused(executor, task(tmp_path, os.fsdecode(b"no\xff")))[1] == "there is no command no\\udcff"


def test_the_command_is_given_word_for_word(tmp_path: Path, executor: ProcessExecutor) -> None:
    words = ["a b", "", "*", "$HOME", os.fsdecode(b"\xff"), "é"]
    run(executor, task(tmp_path, "any name", "-c", 'printf "%s|" "$0" "$@"; pwd', *words, executable="/bin/sh"))
    expected = b"|".join([*map(os.fsencode, words), os.fsencode(tmp_path)]) + b"\n"
    assert (tmp_path / "output.log").read_bytes() == expected


def test_the_environment_is_the_given_one_and_the_mark(tmp_path: Path, executor: ProcessExecutor) -> None:
    large = {f"LARGE_{number}": "x" * 20_000 for number in range(30)}
    found = run(executor, task(tmp_path, "env", "-0", env={"PATH": os.environ["PATH"], "ODD": "a\nb=\udcff", **large}))
    assert found.exit_code == 0
    lines = dict(line.split(b"=", 1) for line in (tmp_path / "output.log").read_bytes().split(b"\0") if line)
    assert lines.pop(b"WHIRR_MARK") == f"{tmp_path}:1.1".encode()
    assert lines.pop(b"ODD") == b"a\nb=\xff"
    assert set(lines) == {b"PATH", *map(str.encode, large)}


def test_output_is_appended_in_order_byte_for_byte(tmp_path: Path, executor: ProcessExecutor) -> None:
    (tmp_path / "output.log").write_bytes(b"before\n")
    run(executor, python(tmp_path, "import os\nfor n in range(256):\n    os.write(1 + n % 2, bytes([n]) * 3)"))
    assert (tmp_path / "output.log").read_bytes() == b"before\n" + b"".join(bytes([n]) * 3 for n in range(256))


def test_the_supervisor_stays_small_whatever_is_written(tmp_path: Path, executor: ProcessExecutor) -> None:
    handle = executor.start(task(tmp_path, "sh", "-c", "head -c 67108864 /dev/zero; touch done; exec sleep 1000"))
    wait_until((tmp_path / "done").exists, 60)
    status = Path(f"/proc/{handle.supervisor_pid}/status").read_text()
    peak = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
    handle.stop(StopReason.CANCEL)
    assert ending(handle).reason is StopReason.CANCEL
    assert (tmp_path / "output.log").stat().st_size == 64 * 2**20
    assert peak < MEMORY_GOAL_KB


def test_a_job_begins_as_a_fresh_process(tmp_path: Path) -> None:
    """Whatever its worker has blocked, ignored and left open."""
    leaked = os.pipe()
    os.set_inheritable(leaked[0], True)
    ignored = signal.signal(signal.SIGUSR2, signal.SIG_IGN)
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1, signal.SIGCHLD])
    executor = ProcessExecutor()
    try:
        looks = ["cat /proc/self/status", "ls /proc/self/fd", "readlink /proc/self/fd/0"]
        script = "; ".join([*looks, "cat /proc/self/oom_score_adj", "ps -o sid= $$"])
        found = run(executor, task(tmp_path, "sh", "-c", script))
    finally:
        executor.close()
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        signal.signal(signal.SIGUSR2, ignored)
        for handle in leaked:
            os.close(handle)
    lines = (tmp_path / "output.log").read_text().splitlines()
    status = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
    own = 0b11 << 31  # the C library's, which no program can set
    assert {int(status[name], 16) & ~own for name in ("SigBlk", "SigIgn", "SigCgt")} == {0}
    here = Path("/proc/self/oom_score_adj").read_text().strip()
    # 3: the folder that ls itself reads
    assert lines[-7:] == ["0", "1", "2", "3", "/dev/null", here, lines[-1]]
    assert int(lines[-1]) == found.pid


def test_the_lock_is_held_from_start_to_end(tmp_path: Path, executor: ProcessExecutor) -> None:
    what = task(tmp_path, "sleep", "1000")
    assert not is_held(what.lock)
    handle = executor.start(what)
    assert is_held(what.lock)
    started(handle)
    assert is_held(what.lock)
    with pytest.raises(FolderError, match="has not ended"):
        executor.start(what)
    assert is_held(what.lock)
    handle.stop(StopReason.CANCEL)
    ending(handle)
    assert not what.lock.exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["output.log", "result.json"]
    assert run(executor, task(tmp_path, "true")).exit_code == 0  # the same files again


def test_the_lock_outlives_the_worker_until_nothing_is_left(tmp_path: Path) -> None:
    worker = Worker(task(tmp_path, "sh", "-c", "trap '' TERM; touch ready; while :; do sleep 0.1; done"))
    job = identity(worker.event("pid"))
    wait_until((tmp_path / "ready").exists)
    worker.end()
    assert is_held(worker.task.lock)
    wait_until(lambda: not is_held(worker.task.lock))
    assert not alive(job)
    assert result(tmp_path).killed >= 1


def test_a_folder_that_cannot_be_written_is_a_clear_error(tmp_path: Path, executor: ProcessExecutor) -> None:
    what = task(tmp_path, "true", output=tmp_path / "gone" / "output.log")
    with pytest.raises(FolderError, match="job 1") as caught:
        executor.start(what)
    assert caught.value.hint
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(UnicodeEncodeError):
        executor.start(task(tmp_path, "true", "\ud800"))
    assert [path.name for path in tmp_path.iterdir()] == ["output.log"]
    assert run(executor, task(tmp_path, "true")).exit_code == 0


def test_the_result_is_on_disk_though_the_worker_hears_nothing(tmp_path: Path) -> None:
    worker = Worker(task(tmp_path, "sh", "-c", "until test -e go; do sleep 0.02; done; exit 7"))
    worker.event("pid")
    worker.process.send_signal(signal.SIGSTOP)
    (tmp_path / "go").touch()
    found = result(tmp_path)
    assert (found.exit_code, found.reason) == (7, None)
    wait_until(lambda: not worker.task.lock.exists())
    worker.end()


def supervisors() -> set[int]:
    """The supervisors that are children of this process."""
    mine = [process.pid for process in supervisor.processes() if process.parent == os.getpid() and not process.ended]
    return {pid for pid in mine if b"whirr-supervisor" in Path(f"/proc/{pid}/cmdline").read_bytes()}


def test_a_spare_is_used_and_replaced(tmp_path: Path, executor: ProcessExecutor) -> None:
    (spare,) = wait_until(supervisors)
    handle = executor.start(task(tmp_path, "sleep", "1000"))
    assert handle.supervisor_pid == spare
    started(handle)
    assert len(wait_until(lambda: supervisors() - {spare})) == 1
    handle.stop(StopReason.CANCEL)
    ending(handle)
    executor.close()
    wait_until(lambda: not supervisors())


def test_a_dead_spare_is_passed_over(tmp_path: Path, executor: ProcessExecutor) -> None:
    (spare,) = wait_until(supervisors)
    os.kill(spare, signal.SIGKILL)
    wait_until(lambda: not supervisors())
    assert run(executor, task(tmp_path, "true")).exit_code == 0


def test_a_spare_goes_with_its_worker(tmp_path: Path) -> None:
    worker = Worker(task(tmp_path, "true"))
    children = [p for p in supervisor.processes() if p.parent == worker.process.pid]
    worker.ending()
    worker.end()
    assert not any(alive(child.key) for child in children)


def test_no_interpreter_is_a_clear_error(tmp_path: Path) -> None:
    executor = ProcessExecutor(python=str(tmp_path / "python"))
    with pytest.raises(FolderError, match="no supervisor"):
        executor.start(task(tmp_path, "true"))
    executor.close()
    assert not (tmp_path / "lock").exists()


def test_many_attempts_at_once(tmp_path: Path, executor: ProcessExecutor) -> None:
    handles = []
    for number in range(6):
        place = tmp_path / str(number)
        place.mkdir()
        handles.append(executor.start(task(place, "sh", "-c", f"echo {number}; exit {number}")))
    assert [ending(handle).exit_code for handle in handles] == list(range(6))
    assert [(tmp_path / f"{n}/output.log").read_text() for n in range(6)] == [f"{n}\n" for n in range(6)]


def test_the_supervisor_also_runs_as_the_file_that_it_is(tmp_path: Path) -> None:
    """It uses nothing of whirr, and ends when nobody is there to give it anything."""
    assert supervisor.__file__ is not None
    script = program(tmp_path / "alone.py", Path(supervisor.__file__).read_text())
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        command = [sys.executable, "-I", "-S", str(script), str(theirs.fileno())]
        process = subprocess.Popen(command, pass_fds=[theirs.fileno()], stderr=subprocess.PIPE)
    ours.close()
    assert process.communicate() == (None, b"")
    assert process.returncode == 0
