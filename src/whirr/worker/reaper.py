"""What dead workers left: their processes are ended, their jobs reported or queued again.

A worker of this machine is dead when its lock is free. Its supervisors then end their jobs; an attempt whose own lock
is free too has none any more, so its processes are looked for by their mark. Only when there is none left is
the job given out again.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from whirr import clock, process
from whirr.errors import FolderError, LeaseLost
from whirr.executors.base import read_result
from whirr.executors.sweep import clear
from whirr.fleet import is_dead
from whirr.folder import OUTPUT, attempt_folder, result_name
from whirr.hub import Hub
from whirr.locks import Held, attempt_lock, is_held, worker_lock
from whirr.model import Cause, CauseKind, Job, Lease, Outcome, Verdict, WorkerInfo
from whirr.worker.task import mark
from whirr.worker.verdict import outcome_of

REAPER_LOCK = "reaper.lock"


def reap(hub: Hub, queue: Path, said: Callable[[str], None] = lambda _: None) -> int:
    """Clear up after the dead workers of this machine; how many of their jobs were settled.

    Args:
        queue: the folder of the locks.
        said: is told what was done, a line each.

    Raises:
        StoreError: the queue cannot be reached.
        FolderError: the folder of a job cannot be written; all others were seen to.
    """
    dead = [worker for worker in hub.workers() if is_dead(worker, queue)]
    if not dead:
        return 0
    try:
        alone = Held(queue / REAPER_LOCK)
    except BlockingIOError:  # another worker is at it
        return 0
    try:
        troubles: list[FolderError] = []
        settled = sum(_bury(hub, queue, worker, said, troubles) for worker in dead)
    finally:
        alone.release()
    if troubles:
        raise troubles[0]
    return settled


def unsettled(hub: Hub, queue: Path) -> bool:
    """Whether a dead worker of this machine still has a job, which may have to be run again.

    Raises:
        StoreError: the queue cannot be reached.
    """
    return any(is_dead(worker, queue) and hub.leases(worker.id) for worker in hub.workers())


def _bury(hub: Hub, queue: Path, worker: WorkerInfo, said: Callable[[str], None], troubles: list[FolderError]) -> int:
    settled, left = 0, 0
    for lease in hub.leases(worker.id):
        if is_held(attempt_lock(queue, lease.job_id, lease.attempt)):
            left += 1  # its supervisor is still at work
            continue
        try:
            settled += _settle(hub, queue, lease, said)
        except FolderError as error:  # of this one job
            left += 1
            troubles.append(error)
    if not left:
        hub.leave(worker.id)
        worker_lock(queue, worker.id).unlink(missing_ok=True)
        said(f"worker {worker.name} ({worker.id}) is gone")
    return settled


def _settle(hub: Hub, queue: Path, lease: Lease, said: Callable[[str], None]) -> bool:
    run_dir = hub.run_dir(lease.job_id)
    with _pinned(run_dir / OUTPUT) as output:
        if lease not in hub.leases(lease.worker):  # it ran out meanwhile, and the output may be the next attempt's
            return False
        killed = clear(mark(queue, lease.job_id, lease.attempt), output)
    job = hub.job(lease.job_id)
    try:
        after = hub.finish(lease, _outcome(run_dir, lease, job.started_at, job.spec.timeout_s))
    except LeaseLost:
        return False
    attempt_lock(queue, lease.job_id, lease.attempt).unlink(missing_ok=True)
    swept = f", {killed} left-over processes ended" if killed else ""
    said(f"job {lease.job_id} lost its worker: {after.status}{swept}")
    return True


@contextmanager
def _pinned(path: Path) -> Iterator[Path | None]:
    """A name for the file that is there now, good whatever is renamed meanwhile; None where there is none."""
    try:
        handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        yield None
        return
    try:
        yield Path(f"/proc/self/fd/{handle}")
    finally:
        os.close(handle)


def end_earlier(queue: Path, job: Job, run_dir: Path) -> int:
    """End what the attempt before this one left on this machine; how many processes that were.

    An attempt stops itself before its lease runs out, unless its supervisor was killed while its worker was frozen.
    """
    before = job.attempt - 1
    return clear(mark(queue, job.id, before), attempt_folder(run_dir, before) / OUTPUT) if before else 0


def _outcome(run_dir: Path, lease: Lease, started_at: str | None, timeout_s: float | None) -> Outcome:
    """What the supervisor left on disk, if it came so far."""
    try:
        ending = read_result(run_dir / result_name(lease.attempt))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        now = clock.now()
        seen = process.last_seen(run_dir, (OUTPUT,)) or now.timestamp()
        ran = max(seen - clock.epoch(started_at), 0.0) if started_at else 0.0
        cause = Cause(CauseKind.WORKER_LOST, "its worker and its supervisor were killed")
        return Outcome(Verdict.CRASHED, cause, ran, clock.stamp(now))
    return outcome_of(ending, run_dir / OUTPUT, timeout_s)


def leftovers(queue: Path) -> list[Path]:
    """The locks of attempts that nobody holds: their supervisors were killed."""
    folder = attempt_lock(queue, 0, 0).parent
    names = sorted(os.listdir(folder)) if folder.is_dir() else []
    return [folder / name for name in names if not is_held(folder / name)]
