"""Endings as records and as JSON, and the small parts of the supervisor."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest
from helpers import strict_json

from whirr import clock
from whirr.executors import supervisor
from whirr.executors.base import Ending, Fault, StopReason, read_result
from whirr.jsonio import dumps

FULL = Ending(
    exit_code=3,
    reason=StopReason.TIMEOUT,
    error=Fault.SUPERVISOR_LOST,
    message="a text",
    pid=7,
    started_at="2026-11-23T12:48:00.123456Z",
    finished_at="2026-11-23T12:48:01.123456Z",
    duration_s=1.0,
    cpu_s=0.5,
    max_rss_bytes=4096,
    leftovers=1,
    killed=2,
    oom_kills_before={"on_host": 0},
)


@pytest.mark.parametrize("ending", [FULL, Ending(finished_at="2026-11-23T12:48:01.123456Z", signal="SIGKILL")])
def test_an_ending_comes_back_from_its_file(tmp_path: Path, ending: Ending) -> None:
    (tmp_path / "result.json").write_bytes(dumps(ending.as_dict()))
    assert read_result(tmp_path / "result.json") == ending


def test_what_a_newer_version_added_is_passed_over() -> None:
    assert Ending.from_dict({**FULL.as_dict(), "new": 1}) == FULL


@pytest.mark.parametrize("document", [b"{}", b"[]", b'"text"', b"", b'{"finished_at": "", "reason": "no reason"}'])
def test_other_documents_are_no_endings(tmp_path: Path, document: bytes) -> None:
    (tmp_path / "result.json").write_bytes(document)
    with pytest.raises(ValueError, match=r"."):
        read_result(tmp_path / "result.json")


def test_a_missing_result_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_result(tmp_path / "result.json")


def killed(tmp_path: Path, reason: StopReason | None = None, name: str = "SIGKILL") -> Ending:
    """The ending of a job in a control group in which the kernel killed one process more than before."""
    (tmp_path / "memory.events").write_text("oom 3\noom_kill 2\n")
    before = {"cgroup": str(tmp_path), "in_cgroup": 1, "on_host": 0}
    return Ending(finished_at="", signal=name, reason=reason, pid=os.getpid(), oom_kills_before=before)


def test_out_of_memory_explains_a_sigkill_that_nobody_here_sent(tmp_path: Path) -> None:
    assert killed(tmp_path).out_of_memory() == "certain"
    assert killed(tmp_path, StopReason.CANCEL).out_of_memory() is None
    assert killed(tmp_path, name="SIGTERM").out_of_memory() is None


def test_the_supervisor_writes_strict_json() -> None:
    value = {"text": 'a "b"\n\udcff \u2028 é', "none": None, "numbers": {"int": 1, "float": 0.25}}
    text = 'a "b"\n\\udcff \u2028 é'
    assert strict_json(supervisor.as_json(value)) == {**value, "text": text}


def test_the_supervisor_writes_stamps_as_everybody() -> None:
    before = clock.stamp()
    assert before <= supervisor.stamp() <= clock.stamp()
    assert len(supervisor.stamp()) == len(before)


@pytest.mark.parametrize("name", ["SIGKILL", "SIGTERM", "SIGABRT", "SIGCHLD", "SIGIO", "SIGSEGV"])
def test_signals_have_their_usual_names(name: str) -> None:
    assert supervisor.signal_name(getattr(signal, name)) == name


def test_a_signal_without_a_name_has_its_number() -> None:
    assert supervisor.signal_name(40) == "SIG40"


def test_the_clock_of_deadlines_counts_sleep_and_is_never_set() -> None:
    before = time.clock_gettime(time.CLOCK_BOOTTIME)
    assert before <= supervisor.boot_clock() <= time.clock_gettime(time.CLOCK_BOOTTIME)


def test_the_name_of_a_process_may_hold_anything() -> None:
    fields = b" ".join(b"%d" % number for number in range(4, 53))
    found = supervisor.Process(9, b"9 (a) Z (b)) S 1 2 3 " + fields)
    assert (found.pid, found.ended, found.parent, found.group, found.session) == (9, False, 1, 2, 3)
    assert found.key == (9, 19)


def test_a_signal_goes_to_this_process_only_not_to_a_later_one_of_its_pid() -> None:
    pid = os.fork()
    if pid == 0:
        signal.pause()
        os._exit(0)
    try:
        process = supervisor.lookup(pid)
        assert process is not None
        process.key = (pid, process.start - 1)  # one that had the pid before
        supervisor.send_signal(process, signal.SIGKILL)
        assert os.waitpid(pid, os.WNOHANG) == (0, 0)
        process.key = (pid, process.start)
        supervisor.send_signal(process, signal.SIGKILL)
    finally:
        if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            os.kill(pid, signal.SIGKILL)
        status = os.waitpid(pid, 0)[1]
    assert os.WTERMSIG(status) == signal.SIGKILL
