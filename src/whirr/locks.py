"""Locks that die with their holder: how one process knows, without any time-out, that another is gone.

``flock`` belongs to an open file. The kernel lets it go when the last descriptor of it is closed, however its
process ended, and keeps it while the process is only stopped.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from whirr import process
from whirr.errors import FolderError
from whirr.model import WorkerInfo

WORKERS, ATTEMPTS = "workers", "attempts"
SERVER = "server.lock"
"""In the queue's folder: a server holds it alone, or several that know of each other share it."""

PATIENCE_S = 10.0
PAUSE_S = 0.001


def worker_lock(queue: Path, worker: str) -> Path:
    """The lock that a worker holds while it lives."""
    return queue / WORKERS / f"{worker}.lock"


def attempt_lock(queue: Path, job_id: int, attempt: int) -> Path:
    """The lock that is held from before an attempt has a process until it has none."""
    return queue / ATTEMPTS / f"job-{job_id}.{attempt}.lock"


class Held:
    """A lock that this process holds until ``release``, or until it dies.

    Args:
        shared: others that share it may hold it too.
        patience_s: who only asks whether it is held is waited for so long.

    Raises:
        BlockingIOError: another holds it.
        OSError: the file cannot be made.
    """

    def __init__(self, path: Path, *, shared: bool = False, patience_s: float = PATIENCE_S) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            if shared:
                fcntl.flock(self._handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
            else:
                take(self._handle, patience_s)
        except BaseException:
            os.close(self._handle)
            raise

    def is_in_place(self) -> bool:
        """Whether others can see it held: nobody has moved or deleted its file, or a folder above."""
        try:
            return os.path.samestat(os.fstat(self._handle), os.stat(self._path))
        except (FileNotFoundError, NotADirectoryError):
            return False

    def tell(self, text: str) -> None:
        """Say something to those who find the lock, held or not.

        Raises:
            FolderError: it cannot be written.
        """
        try:
            os.ftruncate(self._handle, 0)
            os.pwrite(self._handle, os.fsencode(text), 0)
        except OSError as error:
            raise FolderError(f"cannot write {self._path}: {error.strerror}", hint="make room on its disk") from None

    def release(self, *, remove: bool = False) -> None:
        """Let go; ``remove`` also takes the file away, for a lock whose name is never used again."""
        if remove:
            self._path.unlink(missing_ok=True)
        os.close(self._handle)


def take(handle: int, patience_s: float = PATIENCE_S) -> None:
    """Take the lock of an open file. Who only asks whether it is held shares it for that moment, and is waited for.

    Raises:
        BlockingIOError: another holds it.
    """
    until = time.monotonic() + patience_s
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)  # refused where it is not only asked for
            fcntl.flock(handle, fcntl.LOCK_UN)
            if time.monotonic() > until:
                raise
        time.sleep(PAUSE_S)


def is_held(path: Path, *, shared: bool = False) -> bool:
    """Whether somebody holds the lock; a file that is not there is held by nobody.

    Args:
        shared: also who shares it counts.
    """
    try:
        handle = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        # Two who ask at once do not see each other, unless they ask for those who share it.
        fcntl.flock(handle, (fcntl.LOCK_EX if shared else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


def told(path: Path) -> str:
    """What the holder of a lock said last."""
    return os.fsdecode(path.read_bytes()) if path.exists() else ""


def is_dead(worker: WorkerInfo, queue: Path) -> bool | None:
    """Whether a worker's process is gone; None where that cannot be known: its lock is not one of this folder.

    A worker without a time limit on its leases has its lock in the folder of the database, which is this one.
    """
    lock = worker_lock(queue, worker.id)
    if worker.lease_s is not None and not (lock.exists() and is_here(worker.process)):
        return None
    return not is_held(lock)


def is_here(identity: Mapping[str, Any]) -> bool:
    """Whether a process is one of this machine; copied machines share an id, and some have none."""
    here = process.identity()
    same = [identity.get(name) == here[name] and bool(here[name]) for name in ("boot_id", "machine_id", "host")]
    return same[0] or (same[1] and same[2])
