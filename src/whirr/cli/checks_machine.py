"""What ``whirr doctor`` looks at of the machine: disk, processes, GPUs, programs."""

from __future__ import annotations

import ctypes
import os
import re
import resource
import shutil
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from whirr.cli.finding import Finding, ok, problem, remark
from whirr.cli.screen import size
from whirr.config import Settings
from whirr.errors import WhirrError, how_to_install
from whirr.executors import supervisor
from whirr.store.filesystem import NETWORK, kind_of

SCARCE, LITTLE = 2**30, 10 * 2**30
"""Free bytes below which the disk is a problem, and worth a remark."""

FEW_FILES = 1024
OLD_GIT = (2, 20)
NEW_NAMESPACES = 0x10000000 | 0x20000000  # CLONE_NEWUSER | CLONE_NEWPID
EXTRAS = (
    ("psutil", "metrics", "no system metrics are recorded"),
    ("pynvml", "metrics", "GPUs are neither measured nor given out"),
    ("duckdb", "columns", "whirr.read_columns cannot be used"),
)


def folder(root: Path, settings: Settings) -> Iterator[Finding]:
    """Whether the ``.whirr`` folder can be used."""
    if not root.is_dir():
        yield remark("folder", f"there is no {root} yet", "whirr init makes it, as does the first run or submission")
        return
    kind = kind_of(os.path.realpath(root))
    if kind in NETWORK and not settings.database_url:
        yield problem(
            "folder",
            f"{root} lies on a network file system ({kind}), where a queue in SQLite is not safe",
            "set WHIRR_DATABASE_URL to a PostgreSQL database, or WHIRR_DIR to a folder on a local disk",
        )
    elif not _is_writable(root):
        yield problem("folder", f"{root} cannot be written", "mend its permissions, or make room")
    else:
        yield ok("folder", f"{root} can be written" + (f" ({kind})" if kind else ""))
    yield _disk(root)


def _is_writable(folder: Path) -> bool:
    """Tried, not asked: permissions do not tell of a full or read-only disk."""
    path = folder / f".doctor.{os.urandom(6).hex()}"
    try:
        path.write_bytes(b"x" * 4096)
        path.unlink()
    except OSError:
        return False
    return True


def _disk(root: Path) -> Finding:
    usage = shutil.disk_usage(root)
    text = f"{size(usage.free)} of {size(usage.total)} free"
    places = os.statvfs(root)
    if places.f_files and places.f_favail * 100 < places.f_files:
        return problem("disk", f"{text}, but only {places.f_favail} more files can be made", "delete files")
    if usage.free < SCARCE:
        return problem("disk", text, "make room: a full disk costs records and checkpoints")
    return remark("disk", text, "mind it") if usage.free < LITTLE else ok("disk", text)


def processes() -> Iterator[Finding]:
    """Whether nothing of a job can be left behind."""
    try:
        supervisor.prctl(supervisor.PR_SET_CHILD_SUBREAPER, 1)
        supervisor.prctl(supervisor.PR_SET_CHILD_SUBREAPER, 0)
    except OSError as error:
        yield problem(
            "containment",
            f"the kernel lets no process adopt orphans (PR_SET_CHILD_SUBREAPER): {error}",
            "children of jobs that start a session of their own may be left behind",
        )
        return
    how = "a supervisor adopts all processes of its job and ends them with it"
    if _has_pidfd() and _can_read_environments():
        yield ok("containment", f"{how}; if it is killed too, they are found by a mark in their environment")
    else:
        advice = "mount /proc and use Linux 5.3 or newer: what outlives a killed supervisor is not found here"
        yield problem("containment", how, advice)
    namespaces = "available" if _has_namespaces() else "not available to this user"
    yield ok("containment", f"PID namespaces are {namespaces}; none is needed")


def _has_pidfd() -> bool:
    try:
        os.close(os.pidfd_open(os.getpid()))
    except OSError:
        return False
    return True


def _can_read_environments() -> bool:
    try:
        Path("/proc/self/environ").read_bytes()
    except OSError:
        return False
    return True


def _has_namespaces() -> bool:
    """Tried in a child: there is no way back out of one."""
    child = os.fork()
    if not child:
        try:
            os._exit(min(abs(ctypes.CDLL(None).unshare(NEW_NAMESPACES)), 1))
        finally:
            os._exit(1)
    return os.waitpid(child, 0)[1] == 0


def gpus(given_out: set[str]) -> Iterator[Finding]:
    """Which GPUs there are, and which others use.

    Args:
        given_out: the UUIDs of those that jobs of the queue have.
    """
    from whirr.gpuset import busy, inventory

    try:
        there = inventory()
        used = busy() - given_out
    except WhirrError as error:
        yield problem("GPUs", str(error), error.hint or "")
        return
    if not there:
        yield ok("GPUs", "none: no NVIDIA driver is loaded")
        return
    version = _driver()
    yield ok("GPUs", f"{len(there)} GPU{'s' * (len(there) > 1)}" + (f", driver {version}" if version else ""))
    for gpu in there:
        text = f"{gpu.index}  {gpu.name}, {size(gpu.memory_mb * 2**20)}, {gpu.uuid}"
        if gpu.uuid in used:
            yield remark("GPUs", f"{text}: another program uses it", "whirr worker --skip-busy-gpus leaves it out")
        else:
            yield ok("GPUs", text + (": given to a job" if gpu.uuid in given_out else ""))


def _driver() -> str:
    try:
        found = re.search(r"(\d+\.\d+(?:\.\d+)?)", Path("/proc/driver/nvidia/version").read_text())
    except OSError:
        return ""
    return found[1] if found else ""


def programs(settings: Settings) -> Iterator[Finding]:
    """git, optional packages, the limit of open files."""
    yield _git()
    extras = [*EXTRAS, *([("psycopg", "postgres", "PostgreSQL cannot be used")] if settings.database_url else [])]
    missing = [entry for entry in extras if find_spec(entry[0]) is None]
    for package, extra, loss in missing:
        yield remark("packages", f"{package} is not installed: {loss}", how_to_install(extra))
    if not missing:
        yield ok("packages", "all optional packages are installed")
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < FEW_FILES:
        yield remark("open files", f"at most {soft} a process", f"ulimit -n {FEW_FILES * 4} before you start a worker")
    else:
        yield ok("open files", f"at most {soft} a process" if soft != resource.RLIM_INFINITY else "no limit")


def _git() -> Finding:
    import subprocess

    advice = "install git: without it no code is recorded"
    try:
        text = subprocess.run(["git", "--version"], capture_output=True, text=True, timeout=10, check=True).stdout
    except FileNotFoundError:
        return remark("git", "it is not installed", advice)
    except (OSError, subprocess.SubprocessError) as error:
        return problem("git", f"it does not work: {error}", advice)
    found = re.search(r"(\d+)\.(\d+)", text)
    if found and (int(found[1]), int(found[2])) < OLD_GIT:
        return remark("git", text.strip(), "whirr is tested with git 2.39: update it")
    return ok("git", text.strip())
