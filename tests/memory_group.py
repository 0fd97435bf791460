"""A group of processes whose memory the kernel really limits."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from helpers import wait_until


@contextmanager
def memory_limit(megabytes: int) -> Iterator[Path]:
    """The `cgroup.procs` of a real memory control group (version 1 or 2); skips where none can be made."""
    base = Path("/sys/fs/cgroup")
    first_version = (base / "memory/cgroup.procs").exists()
    group = base / ("memory" if first_version else "") / f"whirr-test-{os.getpid()}"
    limits = ["memory.limit_in_bytes"] if first_version else ["memory.max"]
    swap = "memory.memsw.limit_in_bytes" if first_version else "memory.swap.max"
    try:
        group.mkdir()
    except OSError as error:
        pytest.skip(f"no memory control group can be made here: {error.strerror}")
    try:
        try:
            for name in limits:
                (group / name).write_text(str(megabytes * 2**20))
            if (group / swap).exists():
                (group / swap).write_text(str(megabytes * 2**20) if first_version else "0")
        except OSError as error:
            pytest.skip(f"memory cannot be limited here: {error.strerror}")
        yield group / "cgroup.procs"
    finally:
        wait_until(lambda: not (group / "cgroup.procs").read_text())
        group.rmdir()


def kernel_log_names_pids() -> bool:
    """Whether the kernel's log is readable and counts processes as we do."""
    own = os.readlink("/proc/self/ns/pid") == "pid:[4026531836]"
    return own and os.access("/dev/kmsg", os.R_OK)
