"""The loop of a worker: one thread that waits for bells, supervisors and signals, and does what is due."""

from __future__ import annotations

import os
import selectors
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from whirr import clock, process
from whirr.errors import FolderError, Unreachable, WhirrError, not_written
from whirr.executors.base import Executor, Handle, StopReason
from whirr.gpuset import Gpu, busy
from whirr.hub import Bell, Hub
from whirr.locks import Held, attempt_lock, worker_lock
from whirr.model import JobStatus, Lease, Outcome, WorkerInfo
from whirr.worker.folders import Folders, InPlace
from whirr.worker.jobs import Jobs
from whirr.worker.places import Places, described
from whirr.worker.reaper import abandoned, reap, unsettled
from whirr.worker.signals import Signals

FOLDERS_EVERY_S = 30.0
"""How often a worker looks for the work folders it lacks."""

REAP_EVERY_S = 0.5
"""How soon a dead worker of this machine is noticed, at the latest."""

RENEW_EVERY_S = 10.0
WAKING = ("look", "reap", "renew")
"""What a worker wakes up for that has nothing else to do. All else that is done at times is done at one of these."""

TROUBLE_PAUSE_S = 1.0
CHECKOUT_PAUSE_S = 0.01
LAST_REPORTS_S = 10.0
"""How long a worker that was told to stop tries to report; what it cannot report its successor finds on disk."""


@dataclass(frozen=True, slots=True)
class Options:
    """How a worker works.

    Attributes:
        name: for people, fit for the name of a file; several workers may have the same.
        slots: how many jobs it runs at once.
        gpus: the GPUs it gives out.
        drain: end when nothing is left to do.
        idle_timeout_s: end after so many seconds without a job.
        lease_s: seconds a lease holds without a renewal; None: as long as the worker's lock is held.
        skip_busy_gpus: leave out GPUs on which another program computes.
        sample_s: seconds between two samples of system metrics of a job.
    """

    name: str
    slots: int = 1
    gpus: tuple[Gpu, ...] = ()
    drain: bool = False
    idle_timeout_s: float | None = None
    lease_s: float | None = None
    skip_busy_gpus: bool = False
    sample_s: float = 10.0


class Mode(IntEnum):
    """What a worker is about."""

    WORKING = 0
    FINISHING = 1
    STOPPING = 2


class Worker:
    """Takes jobs from a hub until it is told to end or has nothing left to do.

    Args:
        hub: where jobs come from.
        executor: what runs them.
        queue: the folder of this machine's locks.
        folders: where its jobs write (default: in the hub's own folder).
        environ: what jobs inherit.
        say: is told what happens, a line each.
    """

    def __init__(
        self,
        hub: Hub,
        executor: Executor,
        options: Options,
        queue: Path,
        environ: Mapping[str, str],
        say: Callable[[str], None],
        folders: Folders | None = None,
    ) -> None:
        self._hub = hub
        self._executor = executor
        self._options = options
        self._queue = queue
        self._say = say
        now = clock.stamp()
        self.info = WorkerInfo(
            id=f"{options.name}-{os.urandom(4).hex()}",
            name=options.name,
            process=process.identity(),
            slots=options.slots,
            gpus=tuple(gpu.uuid for gpu in options.gpus),
            lease_s=options.lease_s,
            started_at=now,
            seen_at=now,
        )
        self._selector = selectors.DefaultSelector()
        self._folders = folders or InPlace(hub.root)
        self._places = Places(self._folders, queue, hub, say)
        self._jobs = Jobs(
            hub,
            executor,
            options.gpus,
            queue,
            self._folders,
            environ,
            say,
            options.lease_s,
            options.sample_s,
            self._listen_to,
        )
        self._registered, self._unsure = False, False
        self._lacks = False
        self._mode = Mode.WORKING
        self._away = False
        self._look = True
        self._troubles: set[str] = set()
        self._hold_until = 0.0
        self._idle_since = time.monotonic()
        self._stopping_since = 0.0
        self._due = {
            "look": 0.0,
            "reap": 0.0,
            "ask": 0.0,
            "folders": 0.0,
            "renew": time.monotonic() + self._renew_every,
        }

    @property
    def _renew_every(self) -> float:
        lease = self._options.lease_s
        return RENEW_EVERY_S if lease is None else min(RENEW_EVERY_S, lease / 3)

    def run(self) -> None:
        """Work until the end.

        Raises:
            StoreError: the queue cannot be reached at the start.
            FolderError: the folder of the queue cannot be written, or was moved or deleted; then what ran has ended.
        """
        try:
            lock = Held(worker_lock(self._queue, self.info.id))
            attempt_lock(self._queue, 0, 0).parent.mkdir(exist_ok=True)
        except OSError as error:
            raise not_written(self._queue, error) from None
        try:
            if self._hub.locks is None:
                lock.tell(described(self._folders))
            self._hub.register(self.info)
            self._registered = True
            bell = self._hub.listen(self.info.id)
            try:
                with Signals() as signals:
                    self._selector.register(bell, selectors.EVENT_READ)
                    self._selector.register(signals, selectors.EVENT_READ)
                    self._selector.register(self._folders, selectors.EVENT_READ)
                    self._folders.open()
                    while not self._over():
                        self._see_whether_away(lock)
                        self._turn(bell, signals)
            finally:
                bell.close()
                self._jobs.close()
                self._places.close()
                with suppress(WhirrError) if self._away else self._tolerant("leaving the queue"):
                    if not self._jobs.count:
                        self._hub.leave(self.info.id)
        finally:
            lock.release(remove=not self._jobs.count)
            self._selector.close()
        if self._away:
            raise FolderError(
                f"{self._queue} was moved or deleted under this worker",
                hint="start a worker where the folder is now: it also takes in how the last jobs have ended",
            )

    def _see_whether_away(self, lock: Held) -> None:
        """Where its lock is no longer in its place nobody sees that this worker lives, nor it that others do."""
        away, before = not lock.is_in_place(), self._away
        self._away = away
        if away and not before and self._jobs.count:
            self._say(f"{self._queue} was moved or deleted: taking no more jobs; what runs may end by itself")
        elif before and not away:
            self._say(f"{self._queue} is back: going on")
            self._look = True

    def _turn(self, bell: Bell, signals: Signals) -> None:
        for key, _ in self._selector.select(self._pause()):
            if key.fileobj is self._folders:
                os.eventfd_read(self._folders.fileno())
            elif key.fileobj is bell:
                with self._tolerant("listening"):
                    bell.drain()
                self._look = True
        signals.drain(finish=self._finish_soon, stop=self._stop)
        with self._tolerant("telling that it takes no more jobs"):
            if self._mode is Mode.FINISHING and self._jobs.count and not self.info.finishing:
                finishing = self.info._replace(finishing=True)
                self._hub.register(finishing)
                self.info = finishing
        self._look |= self._is_due("look", self._hub.look_every_s)
        self._look_after_jobs()
        if self._away:
            self._look = False
            return
        with self._tolerant("clearing up after dead workers"):
            if self._is_due("reap", REAP_EVERY_S) and (
                abandoned(self._queue) or self._is_due("ask", self._hub.look_every_s)
            ):
                self._look |= (
                    reap(self._hub, self._queue, self._say, folders_of=self._places.of, settle=self._settle) > 0
                )
        if self._look and time.monotonic() >= self._hold_until:
            self._look = False
            self._take_jobs()

    def _look_after_jobs(self) -> None:
        for handle in self._jobs.take_in():
            self._selector.unregister(handle)
            handle.close()
        with self._tolerant("stopping what was cancelled"):
            if self._look and self._jobs.count:
                self._jobs.stop_cancelled(self.info.id)
        with self._tolerant("reporting"):
            if self._jobs.report():
                self._look = True
                self._troubles.clear()
        if self._jobs.count:
            self._idle_since = time.monotonic()
        with self._tolerant("renewing leases"):
            if self._is_due("renew", self._renew_every) and self._must_renew:
                self._renew()

    @property
    def _must_renew(self) -> bool:
        """Of an idle worker of a server the open bell is the sign of life; it may have claimed more than it knows."""
        return self._jobs.count > 0 or self._hub.locks is not None or self._unsure

    def _renew(self) -> None:
        try:
            self._jobs.renew(self.info)
            self._unsure = False
        except Unreachable as error:
            if error.refused:
                self._jobs.hold_on()
            raise

    def _settle(self, folders: Folders, lease: Lease, outcome: Outcome) -> str | None:
        if not folders.sends:
            return str(self._hub.finish(lease, outcome).status)
        return "its files are being sent" if self._jobs.adopt(folders, lease, outcome) else None

    def _take_jobs(self) -> None:
        while self._mode is Mode.WORKING and self._jobs.count < self._options.slots:
            with self._tolerant("taking a job"):
                if not self._registered:  # it may have been forgotten while it could not be heard
                    self._hub.register(self.info)
                    self._registered = True
                self._tell_folders()
                since = time.clock_gettime(time.CLOCK_BOOTTIME)
                self._unsure = self._hub.locks is None  # what repeats a request on its way may claim twice
                claim = self._hub.claim(self.info, usable_gpus=self._usable_gpus())
                if claim is None:
                    return
                if self._jobs.start(claim, since):
                    continue
            self._registered, self._unsure = False, True
            self._due["renew"] = 0.0  # what was claimed without its being known is given back
            self._hold_until = time.monotonic() + TROUBLE_PAUSE_S
            self._look = True
            return

    def _tell_folders(self) -> None:
        """Say of the work folders of queued jobs whether they are here: only jobs whose folder is are given out."""
        if self._options.lease_s is None:
            return
        if self._is_due("folders", FOLDERS_EVERY_S) and self._lacks:  # one may have appeared, or be mounted
            lacked = self._hub.lacked_folders(self.info.id)
            found = {path: True for path in lacked if os.path.isdir(path)}
            if found:
                self._hub.tell_folders(self.info.id, found)
            self._lacks = len(found) < len(lacked)
        while asked := self._hub.unknown_folders(self.info.id):
            told = {path: os.path.isdir(path) for path in asked}
            self._hub.tell_folders(self.info.id, told)
            self._lacks |= not all(told.values())

    def _listen_to(self, handle: Handle) -> None:
        self._selector.register(handle, selectors.EVENT_READ)

    def _usable_gpus(self) -> list[str] | None:
        if not (self._options.skip_busy_gpus and self._options.gpus):
            return None
        used = busy()
        return [gpu.uuid for gpu in self._options.gpus if gpu.uuid not in used]

    def _is_due(self, what: str, every_s: float) -> bool:
        now = time.monotonic()
        if now < self._due[what]:
            return False
        self._due[what] = now + every_s
        return True

    def _pause(self) -> float:
        if self._jobs.reportable:
            return TROUBLE_PAUSE_S / 4
        until = self._hold_until if self._look else min(self._due[what] for what in WAKING)
        pause = max(until - time.monotonic(), 0.0)
        return min(pause, CHECKOUT_PAUSE_S) if self._jobs.preparing else pause

    def _over(self) -> bool:
        if self._away:
            return not (self._jobs.running or self._jobs.preparing)
        if self._mode is Mode.STOPPING and time.monotonic() > self._stopping_since + LAST_REPORTS_S:
            return not self._jobs.running
        if self._jobs.count:
            return False
        if self._mode is not Mode.WORKING:
            return True
        if self._look:
            return False
        idle = time.monotonic() - self._idle_since
        if self._options.idle_timeout_s is not None and idle >= self._options.idle_timeout_s:
            self._say(f"no job for {clock.format_duration(idle)}: ending")
            return True
        if not self._options.drain:
            return False
        left = True
        with self._tolerant("counting what is left"):
            left = self._hub.left_for(self.info) > 0 or unsettled(self._hub, self._queue)
            if not left and (queued := self._hub.counts().get(JobStatus.QUEUED, 0)):
                many = f"{queued} jobs stay" if queued > 1 else "1 job stays"
                self._say(f"{many} queued, which this worker cannot run: whirr status says why")
        return not left

    def _finish_soon(self) -> None:
        """Ctrl-C: the first lets the jobs finish, the second stops them."""
        if self._mode is not Mode.WORKING:
            self._stop()
            return
        self._mode = Mode.FINISHING
        if self._jobs.count:
            many = "1 job" if self._jobs.count == 1 else f"{self._jobs.count} jobs"
            self._say(f"taking no more jobs; {many} to finish (Ctrl-C again: stop and queue again)")

    def _stop(self) -> None:
        if self._mode is Mode.STOPPING:
            return
        self._mode = Mode.STOPPING
        self._stopping_since = time.monotonic()
        self._say("stopping; what runs is queued again")
        self._jobs.stop_all(StopReason.SHUTDOWN)

    @contextmanager
    def _tolerant(self, what: str) -> Iterator[None]:
        """A database, disk or driver that fails for a while stops nothing; it is told once, and tried again."""
        try:
            yield
        except WhirrError as error:
            if str(error) not in self._troubles:
                self._troubles.add(str(error))
                self._say(f"{what}: {error}; trying again")
