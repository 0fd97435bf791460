"""Where the jobs of a worker write, and how what they write gets to the hub."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Protocol

from whirr.catalog import RunFile
from whirr.codestore import LocalCode
from whirr.errors import FolderError, LeaseLost, NoRoom, NotFound, StoreError, TooMany, WhirrError
from whirr.folder import (
    ATTEMPTS,
    CONFIG,
    LEASE,
    META,
    REQUIREMENTS,
    RUNS,
    SENDING,
    SENT,
    attempt_folder,
    is_own,
)
from whirr.hub import Hub, Target
from whirr.jsonio import dumps, read_document, write_atomic
from whirr.locks import Held, attempt_lock, is_held, worker_lock
from whirr.model import Claim, Job, Lease, run_id_of
from whirr.sync import Shipment

TURN_EVERY_S = 0.25
TURN_SHARE = 20.0
"""A look at a folder of very many files takes longer, and comes more rarely."""

LONGEST_PAUSE_S = 5.0
PREPARE_S = 60.0
"""How long a claimed job waits for a server that is away; then it is given back."""

KEPT = 10
"""So many attempts that were sent stay in the spool."""

ORPHANS_EVERY_S = 30.0
GONE = ".gone-"
BLOCK = 1 << 20


class Folders(Protocol):
    """See the module.

    Attributes:
        root: a ``.whirr`` folder, or one like it: further runs that a job starts go there.
        sends: what is written there must be sent, which takes its time.
    """

    root: Path
    sends: bool

    def fileno(self) -> int:
        """A descriptor that is readable when an attempt's files are complete."""

    def open(self) -> None:
        """Go on with what an earlier worker of this machine could not send."""

    def place(self, job_id: int, attempt: int) -> Path:
        """The run folder of an attempt that runs, or has just ended."""

    def previous(self, job: Job) -> Path | None:
        """The files of the attempt before this one; None before the second."""

    def must_prepare(self, claim: Claim) -> bool:
        """Whether ``prepare`` has something to do."""

    def prepare(self, claim: Claim) -> None:
        """Make the folder of a claimed attempt ready; may take long."""

    def submitted(self, tree: str) -> AbstractContextManager[Path]:
        """A git repository of this machine that holds a submitted tree, for as long as it is used; may take long."""

    def take_over(self, lease: Lease) -> bool:
        """Take charge of the files of a dead worker's attempt; False where another worker of this machine has."""

    def begun(self, lease: Lease) -> None:
        """The attempt runs now."""

    def ended(self, lease: Lease) -> None:
        """Nothing is written any more."""

    def complete(self, lease: Lease) -> bool:
        """Whether all that an ended attempt has written is with the hub."""

    def reported(self, lease: Lease) -> None:
        """The hub knows how the attempt ended, or no longer wants to."""

    def close(self) -> None:
        """End what goes on beside the loop."""


class InPlace:
    """Implements ``Folders`` for a disk that the hub shares.

    Args:
        root: the hub's folder as this machine sees it.
    """

    sends = False

    def __init__(self, root: Path) -> None:
        self.root = root
        self._code = LocalCode(root)
        self._ring = os.eventfd(0, os.EFD_CLOEXEC)

    def fileno(self) -> int:
        return self._ring

    def open(self) -> None:
        pass

    def place(self, job_id: int, attempt: int) -> Path:
        return self.root / RUNS / run_id_of(job_id)

    def previous(self, job: Job) -> Path | None:
        return attempt_folder(self.place(job.id, job.attempt), job.attempt - 1) if job.attempt > 1 else None

    def must_prepare(self, claim: Claim) -> bool:
        return False

    def prepare(self, claim: Claim) -> None:
        pass

    @contextmanager
    def submitted(self, tree: str) -> Iterator[Path]:
        if not self._code.known([tree]):
            raise NotFound("the submitted files are no longer in the store", hint="submit again")
        yield self._code.place(tree)

    def take_over(self, lease: Lease) -> bool:
        return True

    def begun(self, lease: Lease) -> None:
        pass

    def ended(self, lease: Lease) -> None:
        pass

    def complete(self, lease: Lease) -> bool:
        return True

    def reported(self, lease: Lease) -> None:
        pass

    def close(self) -> None:
        os.close(self._ring)


class Spool:
    """Implements ``Folders`` for a disk of this machine's own: what is written there is sent.

    Each attempt has a folder of its own, so that a worker that lost its lease and one that has the next attempt never
    meet.

    Args:
        root: of the spool.
        queue: the folder of this machine's locks.
        said: is told of troubles, a line each.
    """

    sends = True

    def __init__(self, root: Path, queue: Path, hub: Hub, said: Callable[[str], None] = lambda _: None) -> None:
        self.root = root
        self._queue, self._hub, self._said = queue, hub, said
        self._closed = threading.Event()
        self._ring = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._code = LocalCode(root)
        self._sending: dict[Lease, _Sending] = {}
        try:
            (root / RUNS).mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise FolderError(f"cannot make {root}: {error.strerror}", hint="give another --data-dir") from None

    def fileno(self) -> int:
        return self._ring

    def open(self) -> None:
        threading.Thread(target=self._look_for_orphans, name="whirr-orphans", daemon=True).start()

    def place(self, job_id: int, attempt: int) -> Path:
        return self.root / RUNS / run_id_of(job_id) / str(attempt)

    def previous(self, job: Job) -> Path | None:
        return self.place(job.id, job.attempt - 1) if job.attempt > 1 else None

    def must_prepare(self, claim: Claim) -> bool:
        return True

    def prepare(self, claim: Claim) -> None:
        until = time.monotonic() + PREPARE_S
        while True:
            try:
                self._prepare(claim)
                return
            except (StoreError, TooMany):  # a server that is away or busy may be back in a moment
                if time.monotonic() > until or self._closed.wait(TURN_EVERY_S):
                    raise

    def _prepare(self, claim: Claim) -> None:
        job = claim.job
        folder = self.place(job.id, job.attempt)
        folder.mkdir(parents=True, exist_ok=True)
        write_atomic(folder / LEASE, dumps(claim.lease._asdict()))
        write_atomic(folder / CONFIG, dumps(dict(job.spec.config)))
        for name in (META, REQUIREMENTS) if job.spec.submitted.get("requirements") else (META,):
            with suppress(NotFound):
                write_atomic(folder / name, self._hub.runs.read(job.run_id, name))
        before = self.previous(job)
        if before is not None and not any((before / marker).exists() for marker in (LEASE, SENT)):
            self._fetch(job.run_id, f"{ATTEMPTS}/{job.attempt - 1}/", before)

    def _fetch(self, run_id: str, below: str, folder: Path) -> None:
        """Bring the files of an attempt that another machine made: a job may begin again from its checkpoint."""
        for file in self._hub.runs.files(run_id):
            inner = file.path.removeprefix(below)
            if file.path.startswith(below) and not is_own(inner):
                target = folder / inner
                target.parent.mkdir(parents=True, exist_ok=True)
                _copy(self._hub.runs.open(run_id, file.path), target)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / SENT).touch()  # the last step: where it is missing, all is brought again

    @contextmanager
    def submitted(self, tree: str) -> Iterator[Path]:
        with self._code.held(tree) as place:
            self._code.bring(self._hub.code, tree)
            yield place
        self._code.trim()

    def take_over(self, lease: Lease) -> bool:
        return lease in self._sending or self._start(lease, late=False)

    def begun(self, lease: Lease) -> None:
        self._start(lease, late=False)

    def _start(self, lease: Lease, *, late: bool) -> bool:
        """Begin to send an attempt's files; False where another worker of this machine is at it."""
        folder = self.place(lease.job_id, lease.attempt)
        lock = None
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lock = Held(folder / SENDING)
        except BlockingIOError:
            return False
        except OSError:  # a full disk: sent twice by two workers they would arrive all the same
            pass
        shipment = Shipment(self._hub.inbox, Target(run_id_of(lease.job_id), lease, late), folder, self._said)

        def ring(*, reported: bool) -> None:
            self._sent(lease, late=late or reported)

        self._sending[lease] = _Sending(shipment, lock, ring, self._said)
        return True

    def _sent(self, lease: Lease, *, late: bool) -> None:
        """The end of an attempt can be reported; nobody else does that of one that is late."""
        if late:
            self.reported(lease)
        os.eventfd_write(self._ring, 1)

    def ended(self, lease: Lease) -> None:
        if lease not in self._sending:
            self._start(lease, late=False)
        if lease in self._sending:
            self._sending[lease].finish()

    def complete(self, lease: Lease) -> bool:
        sending = self._sending.get(lease)
        return sending is None or sending.done.is_set()

    def reported(self, lease: Lease) -> None:
        if lease in self._sending and self._sending[lease].goes_on():
            return
        sending = self._sending.pop(lease, None)
        with suppress(OSError):
            (self.place(lease.job_id, lease.attempt) / SENT).touch()
        if sending is not None:
            sending.stop()
        self._tidy()

    def _tidy(self) -> None:
        """Remove what was sent long ago, and is not what the attempt after it may begin from."""
        sent = []
        for marker in self.root.glob(f"{RUNS}/job-*/[0-9]*/{SENT}"):
            after = marker.parent.with_name(str(int(marker.parent.name) + 1))
            if not (after / LEASE).exists() or (after / SENT).exists():
                with suppress(FileNotFoundError):
                    sent.append((marker.stat().st_mtime, marker.parent))
        for _, folder in sorted(sent, reverse=True)[KEPT:]:
            gone = folder.with_name(f"{GONE}{folder.name}.{os.urandom(4).hex()}")
            with suppress(OSError):  # another worker is at it
                folder.rename(gone)
                shutil.rmtree(gone, ignore_errors=True)
                folder.parent.rmdir()

    def _look_for_orphans(self) -> None:
        while True:
            for half_gone in self.root.glob(f"{RUNS}/job-*/{GONE}*"):
                shutil.rmtree(half_gone, ignore_errors=True)
            for path in sorted(self.root.glob(f"{RUNS}/job-*/[0-9]*/{LEASE}")):
                with suppress(WhirrError, OSError, ValueError, TypeError):  # the next look may see more
                    self._adopt(Lease(**read_document(path)), path.parent)
            if self._closed.wait(ORPHANS_EVERY_S):
                return

    def _adopt(self, lease: Lease, folder: Path) -> None:
        """Send what a worker that is gone could not; what it still holds the reaper sees to."""
        if (folder / SENT).exists() or lease in self._sending or self._closed.is_set():
            return
        locks = worker_lock(self._queue, lease.worker), attempt_lock(self._queue, lease.job_id, lease.attempt)
        if any(map(is_held, locks)) or lease in self._hub.leases(lease.worker):
            return
        if self._start(lease, late=True):
            self._sending[lease].finish()

    def close(self) -> None:
        self._closed.set()
        for sending in list(self._sending.values()):
            sending.stop()


def _copy(source: RunFile, target: Path) -> None:
    draft = target.with_name(f".{target.name}.{os.urandom(4).hex()}.tmp")
    try:
        with draft.open("wb") as file:
            while block := source.read(BLOCK):
                file.write(block)
        os.replace(draft, target)
    finally:
        source.close()
        draft.unlink(missing_ok=True)


class _Ring(Protocol):
    def __call__(self, *, reported: bool) -> None: ...


class _Sending:
    """One attempt's files on their way, in a thread of its own.

    Attributes:
        done: all is there, nobody will ever take it, or the hub cannot write the run's folder: what is missing then
            follows when it can.

    Args:
        lock: keeps other workers of this machine from sending the same.
        ring: is called then, and told whether the end of the attempt was reported before.
    """

    def __init__(self, shipment: Shipment, lock: Held | None, ring: _Ring, said: Callable[[str], None]) -> None:
        self._shipment, self._lock, self._ring, self._said = shipment, lock, ring, said
        self._told = ""
        self._over = threading.Event()
        self._stopped = threading.Event()
        self._wake = threading.Event()
        self.done = threading.Event()
        self._guard = threading.Lock()
        self._ended, self._reported = False, False
        self._thread = threading.Thread(target=self._work, name="whirr-sending", daemon=True)
        self._thread.start()

    def finish(self) -> None:
        """Nothing is written any more."""
        self._over.set()
        self._wake.set()

    def goes_on(self) -> bool:
        """Whether it still sends, now that the end of the attempt was reported; it then says when it no longer does."""
        with self._guard:
            self._reported = not self._ended
            return self._reported

    def stop(self) -> None:
        """End before all is sent."""
        self._stopped.set()
        self._wake.set()

    def _work(self) -> None:
        try:
            self._send()
        finally:
            if self._lock is not None:
                self._lock.release()
        with self._guard:
            self._ended = True
        if not self._stopped.is_set():
            self.done.set()
            self._ring(reported=self._reported)

    def _send(self) -> None:
        pause = TURN_EVERY_S
        while not self._stopped.is_set():
            try:
                if self._over.is_set():
                    self._shipment.complete()
                    break
                more = self._shipment.turn()
                look_s = self._shipment.look_s * TURN_SHARE
                pause = 0.0 if more else min(max(TURN_EVERY_S, look_s), LONGEST_PAUSE_S)
            except LeaseLost:
                if not self._lost():
                    break
            except NotFound as error:  # the job is not there any more
                self._said(f"{self._shipment.target.run_id}: its files cannot be sent: {error}")
                break
            except (WhirrError, OSError) as error:
                self._tell(str(error))
                pause = min(max(pause, TURN_EVERY_S) * 2, LONGEST_PAUSE_S)
                if pause == LONGEST_PAUSE_S and isinstance(error, FolderError) and not isinstance(error, NoRoom):
                    self._let_report()
            self._wake.wait(pause)
            self._wake.clear()

    def _let_report(self) -> None:
        """A full disk is waited for, but a folder that cannot be written keeps no slot and no GPU: the rest follows."""
        if self._over.is_set() and not self.done.is_set() and not self._shipment.target.late:
            self.done.set()
            self._ring(reported=False)

    def _lost(self) -> bool:
        """Go on as an earlier attempt, whose files are kept apart; whether that is worth trying."""
        before = self._shipment
        if before.target.late:
            return False
        self._shipment = before.as_late()
        return True

    def _tell(self, text: str) -> None:
        if text != self._told:
            self._told = text
            self._said(f"{self._shipment.target.run_id}: sending its files: {text}; trying again")
