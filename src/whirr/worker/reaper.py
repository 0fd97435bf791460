"""What dead workers left: their processes are ended, their jobs reported or queued again.

A worker of this machine is dead when its lock is free. Its supervisors then end their jobs; an attempt whose own lock
is free too has none any more, so its processes are looked for by their mark. Only when there is none left is
the job given out again.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from whirr import clock, process
from whirr.errors import FolderError, LeaseLost
from whirr.executors.base import read_result
from whirr.executors.sweep import clear
from whirr.folder import OUTPUT, result_name
from whirr.hub import Hub
from whirr.locks import WORKERS, Held, attempt_lock, is_dead, is_held, worker_lock
from whirr.model import Cause, CauseKind, Job, Lease, Outcome, Verdict, WorkerInfo
from whirr.worker.folders import Folders, InPlace
from whirr.worker.task import mark
from whirr.worker.verdict import outcome_of

REAPER_LOCK = "reaper.lock"
FORGET_AFTER_S = 60.0


Settle = Callable[[Folders, Lease, Outcome], "str | None"]
"""Reports the end of an attempt that wrote there; what became of its job, or None where that is under way already."""


def reap(
    hub: Hub,
    queue: Path,
    said: Callable[[str], None] = lambda _: None,
    *,
    folders_of: Callable[[WorkerInfo], Folders] | None = None,
    settle: Settle | None = None,
) -> int:
    """Clear up after the dead workers of this machine; how many of their jobs were settled.

    Args:
        queue: the folder of the locks.
        said: is told what was done, a line each.
        folders_of: where the jobs of each wrote (default: in the hub's own folder).
        settle: reports the end of an attempt (default: to the hub, at once).

    Raises:
        StoreError: the queue cannot be reached.
        FolderError: the folder of a job cannot be read, or finds no room; all others were seen to.
    """
    dead = [worker for worker in hub.workers() if is_dead(worker, queue)]
    if not dead and not abandoned(queue):
        return 0
    try:
        alone = Held(queue / REAPER_LOCK)
    except BlockingIOError:  # another worker is at it
        return 0
    try:
        reaper = _Reaper(hub, queue, said, folders_of or (lambda _: InPlace(hub.root)), settle)
        settled = sum(map(reaper.bury, dead))
        _forget_unknown(queue, dead)
    finally:
        alone.release()
    if reaper.troubles:
        raise reaper.troubles[0]
    return settled


def _forget_unknown(queue: Path, dead: list[WorkerInfo]) -> None:
    """Remove the locks of workers that died before, or after, the hub knew them."""
    known = {worker_lock(queue, worker.id) for worker in dead}
    limit = clock.now().timestamp() - FORGET_AFTER_S
    for path in (queue / WORKERS).glob("*.lock"):
        with suppress(FileNotFoundError):  # its worker ended just now, and took it away
            if path not in known and not is_held(path) and path.stat().st_mtime < limit:
                path.unlink()


def abandoned(queue: Path) -> bool:
    """Whether a worker of this machine has died and left its lock."""
    folder = queue / WORKERS
    names = os.listdir(folder) if folder.is_dir() else []
    return any(not is_held(folder / name) for name in names if name.endswith(".lock"))


def unsettled(hub: Hub, queue: Path) -> bool:
    """Whether a dead worker of this machine still has a job, which may have to be run again.

    Raises:
        StoreError: the queue cannot be reached.
    """
    return any(is_dead(worker, queue) and hub.leases(worker.id) for worker in hub.workers())


class _Reaper:
    """What ``reap`` does with each dead worker; its arguments are those of ``reap``."""

    def __init__(
        self,
        hub: Hub,
        queue: Path,
        said: Callable[[str], None],
        folders_of: Callable[[WorkerInfo], Folders],
        settle: Settle | None,
    ) -> None:
        self._hub, self._queue, self._said, self._folders_of = hub, queue, said, folders_of
        self._settle_with = settle or self._finish
        self.troubles: list[FolderError] = []

    def bury(self, worker: WorkerInfo) -> int:
        """Settle what can be settled of a worker's jobs, and forget it when none is left; how many were settled."""
        settled, left = 0, 0
        leases = self._hub.leases(worker.id)
        if leases and worker.lease_s is not None:
            self._hub.renew(worker)  # until its jobs are settled they are nobody else's
        for lease in leases:
            if is_held(attempt_lock(self._queue, lease.job_id, lease.attempt)):
                left += 1  # its supervisor is still at work
                continue
            try:
                done = self._settle(self._folders_of(worker), lease)
            except FolderError as error:  # of this one job
                left += 1
                self.troubles.append(error)
            except OSError as error:  # how it ended stands in there
                left += 1
                self.troubles.append(_cannot_read(self._folders_of(worker).place(lease.job_id, lease.attempt), error))
            else:
                settled += done
                left += not done
        if not left and not self._hub.leases(worker.id):
            self._hub.leave(worker.id)
            worker_lock(self._queue, worker.id).unlink(missing_ok=True)
            self._said(f"worker {worker.name} ({worker.id}) is gone")
        return settled

    def _settle(self, folders: Folders, lease: Lease) -> bool:
        run_dir = folders.place(lease.job_id, lease.attempt)
        with _pinned(run_dir / OUTPUT) as output:
            if lease not in self._hub.leases(lease.worker):  # it ran out, and the output may be the next attempt's
                return False
            killed = clear(mark(self._queue, lease.job_id, lease.attempt), output)
        job = self._hub.job(lease.job_id)
        try:
            after = self._settle_with(folders, lease, _outcome(run_dir, lease, job.started_at, job.spec.timeout_s))
        except LeaseLost:
            return False
        if after is None:
            return False
        attempt_lock(self._queue, lease.job_id, lease.attempt).unlink(missing_ok=True)
        swept = f", {killed} left-over processes ended" if killed else ""
        self._said(f"job {lease.job_id} lost its worker: {after}{swept}")
        return True

    def _finish(self, _: Folders, lease: Lease, outcome: Outcome) -> str:
        return str(self._hub.finish(lease, outcome).status)


def _cannot_read(run_dir: Path, error: OSError) -> FolderError:
    return FolderError(f"cannot read {run_dir}: {error.strerror or error}", hint="mend its permissions")


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


def end_earlier(queue: Path, job: Job, before: Path | None) -> int:
    """End what the attempt before this one left on this machine; how many processes that were.

    An attempt stops itself before its lease runs out, unless its supervisor was killed while its worker was frozen.

    Args:
        before: the folder of that attempt; None where there was none.
    """
    return clear(mark(queue, job.id, job.attempt - 1), before / OUTPUT) if before is not None else 0


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
