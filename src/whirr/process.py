"""Which process a run belongs to, and what became of it.

A run's ``meta.json`` can say ``running`` long after its process was killed. Readers therefore *judge*:
the recorded identity of the process (pid, start time in clock ticks, boot id, pid namespace) tells a
live process from a dead one even when its pid was given out again or the machine was restarted. Where
the process cannot be looked up (another host, another container), the newest sign of life in the run's
folder decides.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping

from whirr import clock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

BEAT_EVERY = 10.0
"""Seconds between two signs of life of a run, at the most."""

LOST_AFTER = 90.0
"""Seconds without a sign of life after which a run that cannot be looked up counts as lost."""

ALIVE, GONE, REBOOTED, ELSEWHERE = "alive", "gone", "rebooted", "elsewhere"

PROC = "/proc"


def _text(path: str) -> str | None:
    try:
        # Names of processes are bytes of any kind.
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return None


def _link(path: str) -> str | None:
    try:
        return os.readlink(path)
    except OSError:
        return None


def start_ticks(pid: int, proc: str | Path = PROC) -> int | None:
    """When process ``pid`` started, in clock ticks since boot; None when it is gone or a zombie."""
    stat = _text(f"{proc}/{pid}/stat")
    if stat is None:
        return None
    # The name in brackets may hold spaces and brackets itself: fields count from the last one.
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else int(fields[19])


def started(pid: int) -> float | None:
    """When process ``pid`` started, seconds since 1970; None when that cannot be known."""
    ticks = start_ticks(pid)
    if ticks is None:
        return None
    return time.time() - (time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK"))


def identity(proc: str | Path = PROC) -> dict[str, Any]:
    """What identifies this process among all processes, hosts and boots."""
    return {
        "pid": os.getpid(),
        "start_ticks": start_ticks(os.getpid(), proc),
        **_place(proc),
        "oom_kills": oom_kills(proc),
    }


def _place(proc: str | Path) -> dict[str, Any]:
    return {
        "host": os.uname().nodename,
        "machine_id": _text("/etc/machine-id"),
        "boot_id": _text(f"{proc}/sys/kernel/random/boot_id"),
        "pid_namespace": _link(f"{proc}/self/ns/pid"),
    }


def fate(process: dict[str, Any], proc: str | Path = PROC) -> str:
    """ALIVE, GONE, REBOOTED (its machine was restarted) or ELSEWHERE (cannot be looked up from here)."""
    here = _place(proc)
    same_machine = process.get("host") == here["host"] and process.get("machine_id") == here["machine_id"]
    if here["boot_id"] is None:
        return _fate_by_pid(process) if same_machine else ELSEWHERE
    if process.get("boot_id") != here["boot_id"]:
        return REBOOTED if same_machine and process.get("boot_id") else ELSEWHERE
    if process.get("pid_namespace") != here["pid_namespace"]:
        return ELSEWHERE
    ticks = start_ticks(process["pid"], proc)
    if ticks is None and _is_hidden(process["pid"]):
        return ELSEWHERE
    return ALIVE if ticks is not None and ticks == process.get("start_ticks") else GONE


def _is_hidden(pid: int) -> bool:
    """Whether there is a process of another user that this one may not look at (``hidepid``, as clusters have it)."""
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except OSError:
        pass
    return False


def _fate_by_pid(process: dict[str, Any]) -> str:
    """Without /proc a dead process is certain, a live one may be another with the same pid."""
    try:
        os.kill(process["pid"], 0)
    except ProcessLookupError:
        return GONE
    except OSError:
        pass
    return ELSEWHERE


def last_seen(folder: Path, names: Iterable[str]) -> float | None:
    """The newest modification time among the files ``names`` of a folder, seconds since 1970."""
    times = []
    for name in names:
        try:
            times.append(os.stat(os.path.join(folder, name)).st_mtime)
        except OSError:
            continue
    return max(times, default=None)


def judge(
    meta: dict[str, Any],
    seen: Callable[[], float | None],
    *,
    now: float | None = None,
    proc: str | Path = PROC,
) -> dict[str, Any]:
    """``meta`` with an honest status: a ``running`` run whose process is gone reads ``failed`` with its cause.

    Args:
        meta: the content of ``meta.json``; not changed.
        seen: gives the newest sign of life, seconds since 1970; asked only for a run that says ``running``.
        now: seconds since 1970 (default: the clock).
    """
    if meta.get("status") != "running":
        return meta
    now = clock.now().timestamp() if now is None else now
    sign = seen()
    process = meta.get("process")
    if not isinstance(process, dict) or not _is_pid(process.get("pid")):
        process = {}
    what = fate(process, proc) if process else ELSEWHERE
    silent = sign is None or now - sign > LOST_AFTER
    if what == ALIVE or (what == ELSEWHERE and not silent):
        return {**meta, **_span(meta, now), "last_seen_at": _stamp(sign)}
    cause = meta.get("cause") or _cause(what, process, sign, proc)
    return {**meta, "status": "failed", "cause": cause, **_span(meta, sign), "last_seen_at": _stamp(sign)}


def _is_pid(value: object) -> bool:
    return isinstance(value, int) and 0 < value < 2**31


def _stamp(moment: float | None) -> str | None:
    return None if moment is None else clock.stamp(clock.at(moment))


def _span(meta: dict[str, Any], until: float | None) -> dict[str, Any]:
    try:
        started = clock.epoch(meta["started_at"])
    except (KeyError, TypeError, ValueError):
        return {}
    return {} if until is None else {"duration_seconds": round(max(until - started, 0.0), 3)}


def _cause(what: str, process: dict[str, Any], sign: float | None, proc: str | Path) -> dict[str, Any]:
    if what == REBOOTED:
        return {"kind": "reboot", "message": "its machine was restarted or lost power"}
    if what == ELSEWHERE:
        host = process.get("host") or "its host"
        since = f"since {_stamp(sign)}" if sign is not None else "at all"
        return {"kind": "lost", "message": f"no sign of life from {host} {since}"}
    evidence = memory_evidence(process["pid"], process.get("oom_kills") or {}, proc)
    if evidence == "certain":
        return {"kind": "out-of-memory", "message": "killed by the kernel: out of memory"}
    perhaps = "; the machine ran out of memory meanwhile, which may be why" if evidence else ""
    return {"kind": "killed", "message": f"its process vanished: killed (SIGKILL) or crashed{perhaps}"}


def _cgroup(proc: str | Path) -> str | None:
    """This process's own version 2 memory control group."""
    for line in (_text(f"{proc}/self/cgroup") or "").splitlines():
        if line.startswith("0::"):
            return os.path.join("/sys/fs/cgroup", line[3:].lstrip("/"))
    return None


def _counter(path: str, name: str) -> int | None:
    for line in (_text(path) or "").splitlines():
        key, _, count = line.partition(" ")
        if key == name:
            return int(count)
    return None


def oom_kills(proc: str | Path = PROC) -> dict[str, Any]:
    """How often the kernel has killed for memory so far: in this control group, and on the machine."""
    group = _cgroup(proc)
    events = None if group is None else _counter(f"{group}/memory.events", "oom_kill")
    return {
        "cgroup": group if events is not None else None,
        "in_cgroup": events,
        "on_host": _counter(f"{proc}/vmstat", "oom_kill"),
    }


def memory_evidence(pid: int, before: Mapping[str, Any], proc: str | Path = PROC) -> str | None:
    """Whether the kernel killed process ``pid`` for memory.

    Args:
        before: ``oom_kills`` as it was when the process began.

    Returns:
        "certain" when the kernel says so, "perhaps" when it killed some process meanwhile, else None.
    """
    if before.get("cgroup"):
        count = _counter(f"{before['cgroup']}/memory.events", "oom_kill")
        if count is not None and count > before["in_cgroup"]:
            return "certain"
    count = _counter(f"{proc}/vmstat", "oom_kill")
    if count is None or before.get("on_host") is None or count <= before["on_host"]:
        return None
    named = _kernel_log_names(pid)
    return "perhaps" if named is None else "certain" if named else None


def _kernel_log_names(pid: int, log: str = "/dev/kmsg") -> bool | None:
    """Whether the kernel's log says it killed ``pid``; None when this user may not read it."""
    try:
        handle = os.open(log, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return None
    needle = f"Killed process {pid} ".encode()
    try:
        while True:
            if needle in os.read(handle, 8192):
                return True
    except BlockingIOError:
        return False
    except OSError:
        return None
    finally:
        os.close(handle)


def person() -> str:
    """Who asks: ``user@host``."""
    import pwd

    try:
        user = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        user = str(os.getuid())
    return f"{user}@{os.uname().nodename}"
