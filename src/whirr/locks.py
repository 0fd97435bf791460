"""Locks that die with their holder: how one process knows, without any time-out, that another is gone.

``flock`` belongs to an open file. The kernel lets it go when the last descriptor of it is closed, however its
process ended, and keeps it while the process is only stopped.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

WORKERS, ATTEMPTS = "workers", "attempts"


def worker_lock(queue: Path, worker: str) -> Path:
    """The lock that a worker holds while it lives."""
    return queue / WORKERS / f"{worker}.lock"


def attempt_lock(queue: Path, job_id: int, attempt: int) -> Path:
    """The lock that is held from before an attempt has a process until it has none."""
    return queue / ATTEMPTS / f"job-{job_id}.{attempt}.lock"


class Held:
    """A lock that this process holds until ``release``, or until it dies.

    Raises:
        BlockingIOError: another holds it.
        OSError: the file cannot be made.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BaseException:
            os.close(self._handle)
            raise

    def release(self, *, remove: bool = False) -> None:
        """Let go; ``remove`` also takes the file away, for a lock whose name is never used again."""
        if remove:
            self._path.unlink(missing_ok=True)
        os.close(self._handle)


def is_held(path: Path) -> bool:
    """Whether somebody holds the lock; a file that is not there is held by nobody."""
    try:
        handle = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)  # shared: two who ask at once do not see each other
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False
