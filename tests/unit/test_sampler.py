"""Samples from folders that look like the kernel's, and from this machine itself."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from whirr import clock
from whirr.gpu import parse_smi
from whirr.limits import cpu_limit, memory_limit
from whirr.sampler import Sampler, linux_tree

PID = 4242


class Kernel:
    """A proc and a cgroup folder."""

    def __init__(self, root: Path) -> None:
        self.proc = root / "proc"
        self.cgroup = root / "cgroup"

    def write(self, path: str, text: str) -> None:
        file = self.proc.parent / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def process(self, pid: int, *, cpu: str = "0 0 0 0", pages: int = 1, threads: dict[int, str]) -> None:
        head = f"{pid} (a (strange) name) S 1 {pid} {pid} 0 -1 4194560 1 2 3 4"
        self.write(f"proc/{pid}/stat", f"{head} {cpu} 20 0 1 0 100 1000000 {pages} 18446744073709551615\n")
        for thread, children in threads.items():
            self.write(f"proc/{pid}/task/{thread}/children", children)


@pytest.fixture
def kernel(tmp_path: Path) -> Kernel:
    return Kernel(tmp_path)


def test_version_2_limits_of_a_container(kernel: Kernel) -> None:
    kernel.write("proc/4242/cgroup", "0::/\n")
    kernel.write("cgroup/cgroup.controllers", "cpu memory\n")
    kernel.write("cgroup/memory.max", "1073741824\n")
    kernel.write("cgroup/memory.current", "600000000\n")
    kernel.write("cgroup/memory.stat", "anon 5\ninactive_file 100000000\nactive_file 7\n")
    kernel.write("cgroup/cpu.max", "150000 100000\n")
    kernel.write("cgroup/cpu.stat", "usage_usec 2500000\nuser_usec 1\n")
    memory = memory_limit(kernel.cgroup, kernel.proc, PID)
    cpu = cpu_limit(kernel.cgroup, kernel.proc, PID)
    assert memory is not None
    assert (memory.amount, memory.used) == (1073741824, 500000000)
    assert cpu is not None
    assert (cpu.amount, cpu.used) == (1.5, 2.5)


def test_the_tightest_level_counts(kernel: Kernel) -> None:
    kernel.write("proc/4242/cgroup", "0::/slurm/job_7/step_0\n")
    kernel.write("cgroup/cgroup.controllers", "")
    for level, limit, usage in (("slurm", "900", "800"), ("slurm/job_7", "500", "400")):
        kernel.write(f"cgroup/{level}/memory.max", limit)
        kernel.write(f"cgroup/{level}/memory.current", usage)
    kernel.write("cgroup/slurm/job_7/step_0/memory.max", "max\n")
    kernel.write("cgroup/slurm/job_7/step_0/memory.current", "100")
    kernel.write("cgroup/slurm/cpu.max", "400000 100000")
    kernel.write("cgroup/slurm/job_7/cpu.max", "max 100000")
    memory = memory_limit(kernel.cgroup, kernel.proc, PID)
    cpu = cpu_limit(kernel.cgroup, kernel.proc, PID)
    assert memory is not None
    assert (memory.amount, memory.used) == (500, 400)
    assert cpu is not None
    assert (cpu.amount, cpu.used) == (4, None)


def test_version_1_limits_with_controllers_mounted_together(kernel: Kernel) -> None:
    kernel.write("proc/4242/cgroup", "5:memory:/docker/abc\n4:cpu,cpuacct:/docker/abc\n1:name=systemd:/\n0::/\n")
    # Inside the container the path above does not exist: the mounted root is its own group.
    kernel.write("cgroup/memory/memory.limit_in_bytes", "2000")
    kernel.write("cgroup/memory/memory.usage_in_bytes", "1500")
    kernel.write("cgroup/memory/memory.stat", "inactive_file 1\ntotal_inactive_file 300\n")
    kernel.write("cgroup/cpu,cpuacct/cpu.cfs_quota_us", "50000")
    kernel.write("cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000")
    kernel.write("cgroup/cpu,cpuacct/cpuacct.usage", "3000000000")
    memory = memory_limit(kernel.cgroup, kernel.proc, PID)
    cpu = cpu_limit(kernel.cgroup, kernel.proc, PID)
    assert memory is not None
    assert (memory.amount, memory.used) == (2000, 1200)
    assert cpu is not None
    assert (cpu.amount, cpu.used) == (0.5, 3)


def test_version_1_without_limits(kernel: Kernel) -> None:
    kernel.write("proc/4242/cgroup", "5:memory:/\n4:cpu:/\n")
    kernel.write("cgroup/cpu/cpu.cfs_quota_us", "-1")
    kernel.write("cgroup/cpu/cpu.cfs_period_us", "100000")
    assert cpu_limit(kernel.cgroup, kernel.proc, PID) is None
    assert memory_limit(kernel.cgroup, kernel.proc, PID) is None


@pytest.mark.parametrize("content", ["", "0::", "nonsense", "0::/../../etc\n"])
def test_odd_memberships_are_no_limit(kernel: Kernel, content: str) -> None:
    kernel.write("proc/4242/cgroup", content)
    kernel.write("cgroup/cgroup.controllers", "")
    assert memory_limit(kernel.cgroup, kernel.proc, PID) is None
    assert cpu_limit(kernel.cgroup, kernel.proc, PID) is None


def test_a_tree_of_processes(kernel: Kernel) -> None:
    kernel.process(PID, cpu="100 20 30 0", pages=10, threads={PID: "50 51 ", PID + 1: "52 "})
    kernel.process(50, pages=20, threads={50: "60 "})
    kernel.process(51, pages=40, threads={51: "999 "})  # 999 has ended meanwhile
    kernel.process(52, pages=80, threads={52: ""})
    kernel.process(60, cpu="0 0 0 50", pages=160, threads={60: ""})
    kernel.process(70, pages=320, threads={70: ""})  # somebody else's
    found = list(linux_tree(kernel.proc, PID))
    tick, page = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")
    assert len(found) == 5
    assert sum(seconds for seconds, _ in found) == pytest.approx(200 / tick)
    assert sum(memory for _, memory in found) == 310 * page


def test_samples_of_this_machine(tmp_path: Path) -> None:
    pytest.importorskip("psutil")
    sampler = Sampler(tmp_path)
    first, second = sampler.sample(), sampler.sample()
    assert clock.epoch(second["_timestamp"]) >= clock.epoch(first["_timestamp"])
    assert 0 < first["memory_percent"] < 100
    assert first["process_count"] >= 1
    assert first["process_memory_mb"] > 5
    assert first["disk_free_mb"] > 0
    assert "process_cpu_percent" not in first
    assert second["process_cpu_percent"] >= 0
    assert second["network_receive_mb_s"] >= 0
    assert all(isinstance(value, int | float) for key, value in second.items() if key != "_timestamp")


def test_rates_are_what_grew_since_the_sample_before(kernel: Kernel, tmp_path: Path) -> None:
    pytest.importorskip("psutil")
    ticks = os.sysconf("SC_CLK_TCK")
    now = [0.0]
    sampler = Sampler(tmp_path, pid=PID, proc_root=kernel.proc, cgroup_root=kernel.cgroup, elapsed=lambda: now[0])
    kernel.write("proc/4242/cgroup", "0::/\n")
    kernel.write("cgroup/cgroup.controllers", "")
    kernel.write("cgroup/cpu.max", "50000 100000")
    percents = []
    for used, busy in ((0, 0), (2_500_000, 5), (2_500_000, 3), (7_500_000, 28)):
        now[0] += 10
        kernel.write("cgroup/cpu.stat", f"usage_usec {used}")
        kernel.process(PID, cpu=f"{busy * ticks} 0 0 0", threads={PID: ""})
        found = sampler.sample()
        percents.append((found.get("cpu_limit_percent"), found.get("process_cpu_percent")))
    # A total that went back, since a descendant has left the tree, tells nothing.
    assert percents == [(None, None), (50, 50), (0, None), (100, 250)]
    assert found["cpu_limit_cores"] == 0.5


def test_a_limit_wider_than_the_machine_is_not_told(kernel: Kernel, tmp_path: Path) -> None:
    pytest.importorskip("psutil")
    kernel.write("proc/4242/cgroup", "0::/\n")
    kernel.write("cgroup/cgroup.controllers", "")
    kernel.write("cgroup/memory.current", str(2**29))
    sampler = Sampler(tmp_path, pid=PID, proc_root=kernel.proc, cgroup_root=kernel.cgroup)
    kernel.write("cgroup/memory.max", str(2**60))
    kernel.write("cgroup/cpu.max", "100000000 1000")
    wide = sampler.sample()
    kernel.write("cgroup/memory.max", str(2**30))
    tight = sampler.sample()
    assert not any("limit" in key for key in wide)
    assert (tight["memory_limit_mb"], tight["memory_limit_percent"]) == (1024, 50)


def test_a_source_that_fails_is_left_out_and_comes_back(tmp_path: Path) -> None:
    pytest.importorskip("psutil")
    folder = tmp_path / "run"
    sampler = Sampler(folder)
    without = sampler.sample()
    folder.mkdir()
    assert "disk_free_mb" not in without
    assert "memory_percent" in without
    assert "disk_free_mb" in sampler.sample()


def test_closing_twice_and_sampling_after_it(tmp_path: Path) -> None:
    sampler = Sampler(tmp_path)
    sampler.close()
    sampler.close()
    assert isinstance(sampler.sample(), dict)


@pytest.mark.parametrize(
    "text",
    ["", "\n", "No devices were found\n", "0, 1, 2\n", "x, 1, 2, 3, 4, 5\n", "0, nan, inf, [N/A], , -inf\n"],
)
def test_answers_of_nvidia_smi_that_tell_nothing(text: str) -> None:
    assert parse_smi(text) == {}


def test_whole_numbers_of_nvidia_smi_stay_whole() -> None:
    found = parse_smi("11, 95, 8192, 81920, 66, 70.00\n")
    assert repr(found["gpu_11_power"]) == "70"
    assert repr(found["gpu_11_memory_used"]) == "8192"
