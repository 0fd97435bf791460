"""What the container may use: control-group limits on memory and processors, versions 1 and 2.

A limit set on any group above a process binds it as well, so every level up to the root is looked at and
the tightest one counts, together with what is used *at that level*.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path


class Limit:
    """One limit in force.

    Attributes:
        amount: bytes of memory, or processor cores.
        used: bytes in use that cannot simply be reclaimed, or processor seconds used so far; None when
            the group does not say.
    """

    __slots__ = ("amount", "used")

    def __init__(self, amount: float, used: float | None) -> None:
        self.amount = amount
        self.used = used


def memory_limit(cgroup_root: Path, proc_root: Path, pid: int) -> Limit | None:
    """The tightest memory limit on process ``pid``; None when no group sets one."""
    v2 = _is_v2(cgroup_root)
    limit_file, usage_file, cache_key = (
        ("memory.max", "memory.current", "inactive_file")
        if v2
        else ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
    )
    tightest: tuple[int, str] | None = None
    for group in _groups(cgroup_root, proc_root, pid, None if v2 else "memory"):
        amount = _number(os.path.join(group, limit_file))
        if amount is not None and (tightest is None or amount < tightest[0]):
            tightest = (amount, group)
    if tightest is None:
        return None
    amount, group = tightest
    usage = _number(os.path.join(group, usage_file))
    # Cached file pages are given back before anything is killed: they are no use of the limit.
    cache = _key(os.path.join(group, "memory.stat"), cache_key) or 0
    return Limit(amount, None if usage is None else max(usage - cache, 0))


def cpu_limit(cgroup_root: Path, proc_root: Path, pid: int) -> Limit | None:
    """The tightest processor quota on process ``pid``; None when no group sets one."""
    v2 = _is_v2(cgroup_root)
    tightest: tuple[float, str] | None = None
    for group in _groups(cgroup_root, proc_root, pid, None if v2 else "cpu"):
        cores = _quota_v2(group) if v2 else _quota_v1(group)
        if cores is not None and (tightest is None or cores < tightest[0]):
            tightest = (cores, group)
    if tightest is None:
        return None
    cores, group = tightest
    return Limit(cores, _cpu_seconds_v2(group) if v2 else _cpu_seconds_v1(cgroup_root, proc_root, pid))


def _is_v2(cgroup_root: Path) -> bool:
    return os.path.exists(os.path.join(cgroup_root, "cgroup.controllers"))


def _groups(cgroup_root: Path, proc_root: Path, pid: int, controller: str | None) -> Iterator[str]:
    """The folders of the process's group and of every group above it, the innermost first.

    Inside a container the path the kernel names may not exist below the mounted root, which then is the
    container's own group: levels that do not exist are passed over.
    """
    found = _membership(proc_root, pid, controller)
    if found is None:
        return
    controllers, path = found
    top = str(cgroup_root)
    if controllers:
        # "cpu" and "cpuacct" are often mounted together, under a folder named after both.
        joint = os.path.join(top, controllers)
        top = joint if os.path.isdir(joint) else os.path.join(top, controller or "")
    parts = [part for part in path.split("/") if part not in ("", "..")]
    for depth in range(len(parts), -1, -1):
        group = os.path.join(top, *parts[:depth])
        if os.path.isdir(group):
            yield group


def _membership(proc_root: Path, pid: int, controller: str | None) -> tuple[str, str] | None:
    """``(controllers, path)`` from the line of /proc/<pid>/cgroup on ``controller`` (None: version 2)."""
    text = _text(os.path.join(proc_root, str(pid), "cgroup")) or ""
    for line in text.splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controllers == "" if controller is None else controller in controllers.split(","):
            return controllers, path
    return None


def _quota_v2(group: str) -> float | None:
    quota, _, period = (_text(os.path.join(group, "cpu.max")) or "").partition(" ")
    return int(quota) / int(period) if quota.isdigit() and int(period) > 0 else None


def _quota_v1(group: str) -> float | None:
    quota = _number(os.path.join(group, "cpu.cfs_quota_us"))
    period = _number(os.path.join(group, "cpu.cfs_period_us"))
    return quota / period if quota and period and quota > 0 else None


def _cpu_seconds_v2(group: str) -> float | None:
    used = _key(os.path.join(group, "cpu.stat"), "usage_usec")
    return None if used is None else used / 1e6


def _cpu_seconds_v1(cgroup_root: Path, proc_root: Path, pid: int) -> float | None:
    for group in _groups(cgroup_root, proc_root, pid, "cpuacct"):
        used = _number(os.path.join(group, "cpuacct.usage"))
        if used is not None:
            return used / 1e9
    return None


def _text(path: str) -> str | None:
    try:
        with open(path, "rb", buffering=0) as file:
            return file.read().decode(errors="replace").strip()
    except OSError:
        return None


def _number(path: str) -> int | None:
    """The whole number a file holds; None for "max", another text or no file."""
    try:
        return int(_text(path) or "")
    except ValueError:
        return None


def _key(path: str, key: str) -> int | None:
    for line in (_text(path) or "").splitlines():
        name, _, value = line.partition(" ")
        if name == key:
            return int(value)
    return None
