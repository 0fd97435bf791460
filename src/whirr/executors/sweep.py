"""Finding and ending what an attempt left behind when its supervisor died too.

Two traces tell a process of an attempt: the attempt's mark in its environment, and a descriptor that writes to the
attempt's output, for processes that were given another environment. One that has neither is found by nobody but
the worker, as a child that it adopted (``ProcessExecutor.adopt_orphans``).
"""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

from whirr.config import MARK
from whirr.executors.supervisor import ROUND_S, Process, lookup, processes, send_signal


def find(mark: str, output: Path | None = None) -> list[int]:
    """The processes of an attempt, never this one or one that it descends from; zombies do not count.

    Args:
        mark: ``Task.mark``.
        output: ``Task.output``; None: look for the mark only.
    """
    return [process.pid for process in _matches(mark, output)]


def find_all(prefix: str) -> dict[str, list[int]]:
    """The processes of all attempts whose mark begins with ``prefix``, by mark."""
    found: dict[str, list[int]] = {}
    for process in _candidates():
        mark = _mark(process.pid)
        if mark is not None and mark.startswith(prefix):
            found.setdefault(mark, []).append(process.pid)
    return found


def strike(mark: str, output: Path | None = None) -> list[int]:
    """One SIGKILL to every process of an attempt; which they were, none when none is left."""
    for _ in range(2):  # a process is without environment for a moment while it executes a program
        struck = []
        for process in _matches(mark, output):  # at once: one that keeps forking is soon another
            send_signal(process, signal.SIGKILL)
            struck.append(process.pid)
        if struck:
            return struck
    return []


def clear(mark: str, output: Path | None = None) -> int:
    """End every process of an attempt; returns when none is left, and how many there were.

    Its supervisor writes to the output as well: to be called when that is gone (its lock is free), or is to go.
    """
    ended: set[int] = set()
    while found := strike(mark, output):
        ended.update(found)
        time.sleep(ROUND_S)
    return len(ended)


def _matches(mark: str, output: Path | None) -> Iterator[Process]:
    file = _identity(output) if output is not None else None
    for process in _candidates():
        if _mark(process.pid) == mark or (file is not None and _writes_to(process.pid, file)):
            yield process


def _candidates() -> Iterator[Process]:
    spared = {os.getpid()}
    above = lookup(os.getpid())
    while above is not None and above.parent:
        spared.add(above.parent)
        above = lookup(above.parent)
    return (process for process in processes() if not process.ended and process.pid not in spared)


def _mark(pid: int) -> str | None:
    try:
        environ = Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:  # gone, or another user's
        return None
    found = re.search(rb"(?:^|\0)%b=([^\0]*)" % MARK.encode(), environ)
    return os.fsdecode(found[1]) if found else None


def _identity(path: Path | str) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _writes_to(pid: int, file: tuple[int, int]) -> bool:
    """Whether it has the file open for writing: whoever only reads it, such as ``tail -f``, is not of the attempt."""
    try:
        names = os.listdir(f"/proc/{pid}/fd")
    except OSError:
        return False
    return any(_identity(f"/proc/{pid}/fd/{name}") == file and _is_for_writing(pid, name) for name in names)


def _is_for_writing(pid: int, name: str) -> bool:
    try:
        text = Path(f"/proc/{pid}/fdinfo/{name}").read_text()
    except OSError:
        return False
    flags = re.search(r"^flags:\s*([0-7]+)", text, re.MULTILINE)
    return flags is not None and int(flags[1], 8) & os.O_ACCMODE != os.O_RDONLY
