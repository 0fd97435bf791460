"""``LocalInbox``: takes the files of runs that were written on another disk into a ``.whirr`` folder.

An append names the place it is for, so that one that is sent twice changes nothing and one that was lost is noticed
(the scheme of the tus protocol and of the resumable-upload draft of the IETF). Who no longer holds the lease is refused
under the lock of the job's row: a new attempt, which renames the folder, can never come in between.
"""

from __future__ import annotations

import fcntl
import os
import re
import stat
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

import orjson

from whirr import jobrun
from whirr.detail import files_below
from whirr.errors import FolderError, NotFound, UsageError, WrongOffset, folder_error
from whirr.folder import ATTEMPTS, META, RUNS, attempt_folder, is_own, result_name
from whirr.hub import Target
from whirr.model import Lease, run_id_of
from whirr.needs import lease_lost, only
from whirr.paths import names_of, open_file, open_folder
from whirr.store.database import Database, Transaction
from whirr.store.rows import attempt_of, job_of
from whirr.sums import RunningSums, sum_of

T = TypeVar("T")
BLOBS, PARTIAL = "blobs", "partial"
BLOCK = 2**20
RUN_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+@=-]{0,127}")
SHA256 = re.compile(r"[0-9a-f]{64}")
UNUSED_S = 86400.0
"""A content that no run has, and an upload that nobody goes on with, is kept so long."""

SWEEP_EVERY_S = 6 * 3600.0
REMEMBERED = 10_000
"""Of so many contents it is remembered which file of a run is the same file."""


class LocalInbox:
    """Implements ``hub.Inbox``; its docstrings say what each method does.

    Args:
        root: the ``.whirr`` folder.
        database: the queue's, which knows the leases.
    """

    def __init__(self, root: Path, database: Database) -> None:
        self._root = root
        self._database = database
        self._blob_of: OrderedDict[int, Path] = OrderedDict()
        self._sums = RunningSums()
        self._swept = time.monotonic()

    def shares(self, folder: Path) -> bool:
        try:
            return os.path.samefile(folder, self._root)
        except OSError:
            return False

    def begin(self, target: Target) -> dict[str, int]:
        self._sweep_at_times()
        base = self._within(target, lambda base: base)
        # Outside the lock, like all that takes long: if another attempt has come meanwhile, the next call is refused.
        return {file.path: file.size for file in files_below(base)}

    def append(self, target: Target, path: str, offset: int, data: bytes) -> int:
        _refuse_own(path)

        def work(base: Path) -> int:
            name = _name_in(base, path, target)
            self._make_own(base, name)
            handle = open_file(base, name, os.O_WRONLY | os.O_CREAT, make_folders=True)
            with _locked(handle):
                return _extend(handle, path, offset, data, self._sums)

        return self._within(target, work)

    def replace(self, target: Target, path: str, data: bytes) -> None:
        _refuse_own(path)

        def work(base: Path) -> None:
            self._put(base, _name_in(base, path, target), lambda folder, draft: _write_new(folder, draft, data))

        if not _stays(target, path):
            self._within(target, work)
        elif target.lease is not None:
            self._add_to_ending(target, target.lease, data)

    def _add_to_ending(self, target: Target, lease: Lease, data: bytes) -> None:
        """Take what a program said in ``meta.json``, where no attempt has come since; the ending stays the queue's."""
        try:
            said = orjson.loads(data)
        except ValueError:
            return
        with self._database.transaction() as tx:
            base = self._of_attempt(tx, target, lease)
            job = job_of(only(tx.one("job", id=lease.job_id)))
            if isinstance(said, dict) and job.attempt == lease.attempt and not job.status.active:
                attempts = tx.all("attempts_of", job_id=job.id)
                jobrun.catch_up(base, job, attempt_of(attempts[-1]), said)

    def offer(self, target: Target, path: str, sha256: str, size: int) -> int:
        _refuse_own(path)
        blob, partial = self._blob(sha256), self._partial(sha256)
        try:
            if _is_damaged(blob, sha256, size):
                blob.unlink(missing_ok=True)
            if not blob.exists() and (there := self._settled(partial, blob, sha256, size)) < size:
                return there
        except OSError as error:
            raise _cannot_write(partial.name, error) from error

        def work(base: Path) -> None:
            self._put(base, _name_in(base, path, target), lambda folder, draft: _link(blob, folder, draft))
            self._remember(blob)

        if not _stays(target, path):
            try:
                self._within(target, work)
            except FolderError:
                if blob.exists():
                    raise
                return 0  # swept at this moment: it is to be sent anew
        return size

    def send(self, sha256: str, offset: int, data: bytes) -> int:
        blob, partial = self._blob(sha256), self._partial(sha256)
        if blob.exists():
            return blob.stat().st_size
        try:
            partial.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle = open_file(partial.parent, partial.name, os.O_WRONLY | os.O_CREAT)
            with _locked(handle):
                if blob.exists():  # another has sent the last of it since
                    if not os.fstat(handle).st_size:
                        partial.unlink(missing_ok=True)
                    return blob.stat().st_size
                return _extend(handle, partial.name, offset, data, self._sums)
        except OSError as error:
            raise _cannot_write(partial.name, error) from error

    def seal(self, target: Target, sums: Mapping[str, tuple[int, str]]) -> list[str]:
        bases: list[Path] = []
        self._within(target, bases.append)
        # Outside the lock: this takes as long as the disk takes, and what is compared is no longer written.
        return [
            path
            for path, (size, sha256) in sums.items()
            if not (_stays(target, path) or self._is(bases[0], _name_in(bases[0], path, target), size, sha256))
        ]

    def _is(self, base: Path, path: str, size: int, sha256: str) -> bool:
        try:
            handle = open_file(base, path)
        except NotFound:
            return False
        try:
            status = os.fstat(handle)
            if status.st_size != size:
                return False
            os.fsync(handle)
            blob = self._blob(sha256)
            if blob.exists() and os.path.samestat(blob.stat(), status):  # compared when it was taken in
                return True
            return self._sums.of(handle) == sha256
        except OSError as error:
            raise _cannot_write(path, error) from None
        finally:
            os.close(handle)

    def sweep(self, now: float | None = None) -> int:
        """Remove contents that no run has any more and uploads that were given up; how many.

        Args:
            now: the present, seconds since 1970 (default: what the clock says).
        """
        count = 0
        limit = (time.time() if now is None else now) - UNUSED_S
        for folder, _, names in os.walk(self._root / BLOBS):
            for name in names:
                file = Path(folder, name)
                try:
                    status = file.stat()
                    if status.st_nlink == 1 and max(status.st_mtime, status.st_ctime) < limit:
                        file.unlink()
                        count += 1
                except FileNotFoundError:
                    continue
        return count

    def _sweep_at_times(self) -> None:
        if time.monotonic() - self._swept > SWEEP_EVERY_S:
            self._swept = time.monotonic()
            threading.Thread(target=self.sweep, name="whirr-sweep", daemon=True).start()

    def _put(self, base: Path, path: str, make: Callable[[int, str], None]) -> None:
        """Put a file in place as a whole; a content that no other file is goes with the one that was there."""
        try:
            before = open_file(base, path)
        except NotFound:
            _put(base, path, make)
            return
        try:
            _put(base, path, make)
            status = os.fstat(before)
            blob = self._blob_of.pop(status.st_ino, None) if status.st_nlink == 1 else None
            if blob is not None and blob.exists() and os.path.samestat(blob.stat(), status):
                blob.unlink(missing_ok=True)
        finally:
            os.close(before)

    def _remember(self, blob: Path) -> None:
        with suppress(FileNotFoundError):
            self._blob_of[blob.stat().st_ino] = blob
            while len(self._blob_of) > REMEMBERED:
                self._blob_of.popitem(last=False)

    def _make_own(self, base: Path, path: str) -> None:
        """Let a file that is to grow no longer be one with a content, which never changes."""
        try:
            handle = open_file(base, path)
        except NotFound:
            return
        try:
            status = os.fstat(handle)
            if status.st_nlink > 1 or not status.st_mode & stat.S_IWUSR:
                self._put(base, path, lambda folder, draft: _copy(handle, folder, draft))
        finally:
            os.close(handle)

    def _settled(self, partial: Path, blob: Path, sha256: str, size: int) -> int:
        """Make a complete upload a content; how many bytes there are. One that is not what it was said to be goes."""
        try:
            handle = open_file(partial.parent, partial.name)
        except NotFound:
            if size:
                return 0
            partial.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle = open_file(partial.parent, partial.name, os.O_RDWR | os.O_CREAT)
        with _locked(handle):
            status = os.fstat(handle)
            if status.st_size < size:
                return status.st_size
            if not partial.exists() or not os.path.samestat(partial.stat(), status):
                return size if blob.exists() else 0  # another has done it while this one waited
            if status.st_size > size or self._sums.of(handle) != sha256:
                partial.unlink()
                return 0
            blob.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.fchmod(handle, 0o444)  # it may be a file of several runs
            os.rename(partial, blob)
        return size

    def _blob(self, sha256: str) -> Path:
        if not SHA256.fullmatch(sha256):
            raise UsageError(f"{sha256[:80]!r} is no SHA-256 sum", hint="give 64 hexadecimal digits in lower case")
        return self._root / BLOBS / sha256[:2] / sha256

    def _partial(self, sha256: str) -> Path:
        return self._root / BLOBS / PARTIAL / sha256

    def _within(self, target: Target, work: Callable[[Path], T]) -> T:
        """Do something in the folder of a target, which stays that folder meanwhile."""
        if target.lease is None:
            return _told(work, self._of_no_job(target.run_id))
        lease = target.lease

        def locked(tx: Transaction) -> T:
            return _told(work, self._of_attempt(tx, target, lease))

        with self._database.transaction() as tx:
            return locked(tx)

    def _of_no_job(self, run_id: str) -> Path:
        if not RUN_ID.fullmatch(run_id) or run_id.startswith("job-"):
            raise UsageError(f"{run_id[:80]!r} is not the id of a run without a job", hint="such as local-20260101-abc")
        return self._root / RUNS / run_id

    def _of_attempt(self, tx: Transaction, target: Target, lease: Lease) -> Path:
        if target.run_id != run_id_of(lease.job_id):
            raise NotFound(f"{target.run_id[:80]} is not the run of job {lease.job_id}")
        row = tx.one("lock_job", id=lease.job_id)
        if row is None:
            raise NotFound(f"there is no job {lease.job_id}")
        folder = self._root / RUNS / target.run_id
        if row["worker"] == lease.worker and row["attempt"] == lease.attempt:
            return folder
        mine = tx.one("attempt_of_worker", job_id=lease.job_id, number=lease.attempt, worker=lease.worker)
        if not target.late or mine is None:
            raise lease_lost(lease)
        return folder if row["attempt"] == lease.attempt else attempt_folder(folder, lease.attempt)


def _told(work: Callable[[Path], T], base: Path) -> T:
    try:
        base.mkdir(parents=True, exist_ok=True)
        return work(base)
    except FolderError:
        raise
    except OSError as error:
        raise _cannot_write(base.name, error) from error


def _cannot_write(what: str, error: OSError) -> FolderError:
    what = f"cannot write {what}: {error.strerror or error}"
    return folder_error(what, error, hint="make room where the runs are kept, or mend the permissions there")


def _refuse_own(path: str) -> None:
    names_of(path)
    if is_own(path):
        hint = "attempts/, code/ and hidden names that end in .tmp are whirr's own"
        raise NotFound(f"{path[:200]!r} cannot be written", hint=hint)


def _stays(target: Target, path: str) -> bool:
    """Whether a file is not taken: what the queue has said meanwhile of the end of a lost attempt stands in it."""
    return target.late and path == META


def _name_in(base: Path, path: str, target: Target) -> str:
    """Where a file of a run goes: among those of an earlier attempt the attempt's result has no number."""
    lease = target.lease
    aside = lease is not None and base.parent.name == ATTEMPTS and path == result_name(lease.attempt)
    return "result.json" if aside else path


@contextmanager
def _locked(handle: int) -> Iterator[None]:
    """Holds a file for one writer, then closes it."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _extend(handle: int, what: str, offset: int, data: bytes, sums: RunningSums | None = None) -> int:
    status = os.fstat(handle)
    size = status.st_size
    if offset > size or offset < 0:
        raise WrongOffset(f"{what} ends at byte {size}, not at {offset}", hint="send what follows that", actual=size)
    view = memoryview(data)[size - offset :]
    while view:
        written = os.pwrite(handle, view, size)
        if sums is not None:
            sums.written(handle, size, view[:written], status.st_mtime_ns)
            status = os.fstat(handle)
        size += written
        view = view[written:]
    return size


def _put(base: Path, path: str, make: Callable[[int, str], None]) -> None:
    """Put a file in place as a whole: made beside it, then renamed."""
    above, _, name = path.rpartition("/")
    folder = open_folder(base, above, make=True)
    draft = f".{name[:200]}.{os.urandom(6).hex()}.tmp"
    try:
        make(folder, draft)
        os.rename(draft, name, src_dir_fd=folder, dst_dir_fd=folder)
    finally:
        with suppress(OSError):  # it is there still after an error, and where both are one file: a link to itself
            os.unlink(draft, dir_fd=folder)
        os.close(folder)


def _write_new(folder: int, name: str, data: bytes) -> None:
    handle = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644, dir_fd=folder)
    try:
        _extend(handle, name, 0, data)
    finally:
        os.close(handle)


def _link(blob: Path, folder: int, name: str) -> None:
    try:
        os.link(blob, name, dst_dir_fd=folder)
    except FileNotFoundError:
        raise
    except OSError:  # no links here, or too many
        with blob.open("rb") as source:
            _copy(source.fileno(), folder, name)


def _copy(source: int, folder: int, name: str) -> None:
    handle = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644, dir_fd=folder)
    try:
        place = 0
        while sent := os.sendfile(handle, source, place, BLOCK):
            place += sent
    finally:
        os.close(handle)


def _is_damaged(blob: Path, sha256: str, size: int) -> bool:
    """Whether a content is no longer what its name says; its length tells.

    Raises:
        UsageError: it is, and of another length than it is said to have.
    """
    try:
        with blob.open("rb") as file:
            there = os.fstat(file.fileno()).st_size
            if there == size:
                return False
            if sum_of(file.fileno()) != sha256:
                return True
    except FileNotFoundError:
        return False
    raise UsageError(f"the content of this sum has {there} bytes, not {size}", hint="give the size of the file")
