"""Judging runs by the identity of their process, on process trees made of files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from whirr import process
from whirr.clock import epoch
from whirr.process import ALIVE, ELSEWHERE, GONE, LOST_AFTER, REBOOTED, fate, identity, judge, last_seen, start_ticks

PID = 2**22 + 4242  # no real process has such a number
NOW = 1_800_000_000.0
STARTED = "2027-01-15T07:00:00.000000Z"


class Proc:
    """A /proc of files."""

    def __init__(self, path: Path) -> None:
        self.path = path
        (path / "sys/kernel/random").mkdir(parents=True)
        (path / "self/ns").mkdir(parents=True)
        self.boot("boot-1")
        self.namespace("pid:[1]")
        self.add(os.getpid(), 100)

    def boot(self, name: str) -> None:
        (self.path / "sys/kernel/random/boot_id").write_text(f"{name}\n")

    def namespace(self, name: str) -> None:
        (self.path / "self/ns/pid").unlink(missing_ok=True)
        (self.path / "self/ns/pid").symlink_to(name)

    def oom_kills(self, count: int) -> None:
        (self.path / "vmstat").write_text(f"pgfault 1\noom_kill {count}\noom_kill_other 9\n")

    def add(self, pid: int, ticks: int, state: str = "S", name: bytes = b"python") -> None:
        folder = self.path / str(pid)
        folder.mkdir(exist_ok=True)
        between = b" ".join([b"1"] * 18)
        (folder / "stat").write_bytes(b"%d (%s) %s %s %d 0 0\n" % (pid, name, state.encode(), between, ticks))


@pytest.fixture
def proc(tmp_path: Path) -> Proc:
    return Proc(tmp_path / "proc")


@pytest.fixture
def recorded(proc: Proc) -> dict[str, Any]:
    """The identity that process PID wrote down."""
    proc.add(PID, 777)
    return {**identity(proc.path), "pid": PID, "start_ticks": 777}


@pytest.mark.parametrize("name", [b"python", b"a b", b"a) S (b", b"))) Z 1", b"", b"\xff\xfe", "naïve".encode()[:4]])
def test_start_ticks_under_any_name(proc: Proc, name: bytes) -> None:
    proc.add(PID, 777, name=name)
    assert start_ticks(PID, proc.path) == 777


@pytest.mark.parametrize("state", ["Z", "X"])
def test_a_zombie_is_gone(proc: Proc, recorded: dict[str, Any], state: str) -> None:
    proc.add(PID, 777, state=state)
    assert start_ticks(PID, proc.path) is None
    assert fate(recorded, proc.path) == GONE


def test_identity(proc: Proc) -> None:
    proc.oom_kills(3)
    found = identity(proc.path)
    assert (found["pid"], found["start_ticks"], found["boot_id"]) == (os.getpid(), 100, "boot-1")
    assert (found["pid_namespace"], found["host"]) == ("pid:[1]", os.uname().nodename)
    assert found["oom_kills"]["on_host"] == 3


def test_identity_without_a_process_tree(tmp_path: Path) -> None:
    found = identity(tmp_path)
    assert (found["pid"], found["start_ticks"], found["boot_id"]) == (os.getpid(), None, None)


class TestFate:
    """What became of the process."""

    def test_alive(self, proc: Proc, recorded: dict[str, Any]) -> None:
        assert fate(recorded, proc.path) == ALIVE

    def test_its_number_was_given_out_again(self, proc: Proc, recorded: dict[str, Any]) -> None:
        proc.add(PID, 778)
        assert fate(recorded, proc.path) == GONE

    def test_no_such_process(self, proc: Proc, recorded: dict[str, Any]) -> None:
        assert fate({**recorded, "pid": PID + 1}, proc.path) == GONE

    def test_the_machine_was_restarted(self, proc: Proc, recorded: dict[str, Any]) -> None:
        proc.boot("boot-2")
        assert fate(recorded, proc.path) == REBOOTED

    @pytest.mark.parametrize("other", [{"host": "other"}, {"machine_id": "other"}])
    def test_another_machine(self, proc: Proc, recorded: dict[str, Any], other: dict[str, str]) -> None:
        proc.boot("boot-2")
        assert fate({**recorded, **other}, proc.path) == ELSEWHERE

    def test_another_container_on_this_machine(self, proc: Proc, recorded: dict[str, Any]) -> None:
        proc.namespace("pid:[2]")
        assert fate(recorded, proc.path) == ELSEWHERE

    def test_a_host_that_changed_its_name_is_still_this_boot(self, proc: Proc, recorded: dict[str, Any]) -> None:
        assert fate({**recorded, "host": "dhcp-17"}, proc.path) == ALIVE

    def test_without_a_process_tree_a_dead_process_is_certain(self, tmp_path: Path) -> None:
        ours = identity(tmp_path / "none")
        assert fate(ours, tmp_path / "none") == ELSEWHERE
        assert fate({**ours, "pid": 2**22 + 1}, tmp_path / "none") == GONE
        assert fate({**ours, "pid": 2**22 + 1, "host": "other"}, tmp_path / "none") == ELSEWHERE


class TestJudge:
    """The status that a reader is told."""

    @staticmethod
    def judged(
        proc: Proc, recorded: dict[str, Any] | None, sign: float | None = NOW - 5, **more: Any
    ) -> dict[str, Any]:
        meta = {"run_id": "r", "status": "running", "started_at": STARTED, "process": recorded, **more}
        return judge(meta, lambda: sign, now=NOW, proc=proc.path)

    @pytest.mark.parametrize("status", ["completed", "failed", "queued", "unknown", None])
    def test_only_running_is_doubted(self, proc: Proc, status: str | None) -> None:
        meta = {"status": status, "process": {"pid": PID}}
        assert judge(meta, lambda: pytest.fail("asked for nothing"), proc=proc.path) is meta

    def test_alive(self, proc: Proc, recorded: dict[str, Any]) -> None:
        found = self.judged(proc, recorded)
        assert (found["status"], found["duration_seconds"]) == ("running", NOW - epoch(STARTED))
        assert epoch(found["last_seen_at"]) == NOW - 5

    def test_alive_however_silent(self, proc: Proc, recorded: dict[str, Any]) -> None:
        """A process stopped in a debugger overnight is not lost."""
        assert self.judged(proc, recorded, NOW - 100_000)["status"] == "running"

    def test_gone(self, proc: Proc, recorded: dict[str, Any]) -> None:
        proc.add(PID, 778)
        found = self.judged(proc, recorded)
        assert (found["status"], found["cause"]["kind"]) == ("failed", "killed")
        assert found["duration_seconds"] == NOW - 5 - epoch(STARTED)

    def test_a_cause_that_was_noted_counts(self, proc: Proc, recorded: dict[str, Any]) -> None:
        proc.add(PID, 778)
        noted = {"kind": "exception", "type": "ValueError"}
        assert self.judged(proc, recorded, cause=noted)["cause"] == noted

    def test_restarted(self, proc: Proc, recorded: dict[str, Any]) -> None:
        proc.boot("boot-2")
        assert self.judged(proc, recorded)["cause"]["kind"] == "reboot"

    @pytest.mark.parametrize(
        ("silent", "status"), [(0, "running"), (LOST_AFTER, "running"), (LOST_AFTER + 1, "failed")]
    )
    def test_elsewhere_signs_of_life_decide(
        self, proc: Proc, recorded: dict[str, Any], silent: float, status: str
    ) -> None:
        proc.namespace("pid:[2]")
        found = self.judged(proc, recorded, NOW - silent)
        assert found["status"] == status
        if status == "failed":
            assert found["cause"]["kind"] == "lost"
            assert os.uname().nodename in found["cause"]["message"]

    def test_elsewhere_without_any_sign(self, proc: Proc) -> None:
        found = self.judged(proc, None, None)
        assert (found["status"], found["cause"]["kind"], found["last_seen_at"]) == ("failed", "lost", None)

    def test_a_sign_from_the_future_is_a_sign(self, proc: Proc) -> None:
        assert self.judged(proc, None, NOW + 3600)["status"] == "running"

    @pytest.mark.parametrize("started", [None, 17, "yesterday"])
    def test_a_start_that_means_nothing_costs_the_duration(self, proc: Proc, started: Any) -> None:
        assert "duration_seconds" not in self.judged(proc, None, started_at=started)

    def test_what_it_was_given_is_unchanged(self, proc: Proc, recorded: dict[str, Any]) -> None:
        meta = {"status": "running", "process": {**recorded, "start_ticks": 1}}
        judge(meta, lambda: NOW, now=NOW, proc=proc.path)
        assert set(meta) == {"status", "process"}

    def test_a_kill_for_memory_elsewhere_on_the_machine_is_no_proof(self, proc: Proc, recorded: dict[str, Any]) -> None:
        proc.oom_kills(3)
        recorded["oom_kills"] = {"cgroup": None, "in_cgroup": None, "on_host": 3}
        proc.add(PID, 778)
        assert self.judged(proc, recorded)["cause"]["kind"] == "killed"

    def test_a_kill_for_memory_in_its_control_group_is_proof(
        self, proc: Proc, recorded: dict[str, Any], tmp_path: Path
    ) -> None:
        proc.add(PID, 778)
        (tmp_path / "memory.events").write_text("low 0\noom 1\noom_kill 2\n")
        recorded["oom_kills"] = {"cgroup": str(tmp_path), "in_cgroup": 1, "on_host": None}
        assert self.judged(proc, recorded)["cause"]["kind"] == "out-of-memory"
        recorded["oom_kills"]["in_cgroup"] = 2
        assert self.judged(proc, recorded)["cause"]["kind"] == "killed"


class TestKernelLog:
    """What the kernel says about a pid."""

    def test_a_pid_that_it_names(self, tmp_path: Path) -> None:
        log = tmp_path / "kmsg"
        os.mkfifo(log)
        keep = os.open(log, os.O_RDWR | os.O_NONBLOCK)
        try:
            os.write(keep, b"3,1,1,-;Out of memory: Killed process 4242 (python) total-vm:1kB\n")
            assert process._kernel_log_names(4242, str(log)) is True
            os.write(keep, b"3,1,1,-;Out of memory: Killed process 42421 (python) total-vm:1kB\n")
            assert process._kernel_log_names(4242, str(log)) is False
        finally:
            os.close(keep)

    def test_a_log_that_may_not_be_read(self, tmp_path: Path) -> None:
        assert process._kernel_log_names(1, str(tmp_path / "gone")) is None
        assert process._kernel_log_names(1, str(tmp_path)) is None


def test_last_seen_is_the_newest_of_some_files(tmp_path: Path) -> None:
    for name, moment in (("old", 10), ("new", 20), ("other", 30)):
        (tmp_path / name).write_text("")
        os.utime(tmp_path / name, (moment, moment))
    assert last_seen(tmp_path, ("old", "new", "missing")) == 20
    assert last_seen(tmp_path, ("missing",)) is None
