"""Writing ``metrics.jsonl``: one record, one line, one ``write`` on a kept descriptor.

When ``log()`` returned, the line is in the kernel, so killing the process cannot take it away. When the
file cannot be written (full disk, lost file system), lines wait in bounded memory and go out in order
as soon as it can be written again; lines that found no room are counted.

Several writers: the run's own process holds a lock on ``metrics.jsonl``; every further process (a forked
child, a rank above 0) writes ``metrics.<writer>.jsonl``, and ``folder.read_metrics`` merges them.
"""

from __future__ import annotations

import errno
import os
import threading
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from time import monotonic, sleep

import orjson

from whirr.encode import INDEX, OPTIONS, STEP, TIMESTAMP, Encoder
from whirr.errors import let_through, warn
from whirr.values import scalar

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

WAITING_BYTES = 32 * 2**20
"""How many bytes of lines may wait in memory while the file cannot be written."""

RETRY_AFTER = 0.2
BATCH_BYTES = 2**20
TAIL_BYTES = 2**16
CLOSED = -1
APART = b"\n"
"""Ends a torn line that an earlier writer left, so that the next record is a line of its own."""

# Bound once: append() runs at every step of a training loop.
now, dumps, write = datetime.now, orjson.dumps, os.write


class MetricsWriter:
    """Appends records to one metrics file. Thread-safe, and safe to call from signal handlers.

    Args:
        path: the file; an existing one is continued after its last record.
        primary: take the lock that makes this process the run's own writer.
        room: how many bytes may wait in memory while the file cannot be written.

    Raises:
        OSError: the file cannot be opened.
        BlockingIOError: ``primary`` was asked for and another process has the lock.
    """

    __slots__ = (
        "_acquire",
        "_encoder",
        "_fd",
        "_lock",
        "_next",
        "_release",
        "_retry_at",
        "_started",
        "_told",
        "_waiting",
        "_waiting_bytes",
        "dropped",
        "path",
        "room",
    )

    def __init__(self, path: str, *, primary: bool = True, room: int = WAITING_BYTES) -> None:
        self.path = path
        self.room = room
        self.dropped = 0
        # Reentrant: a signal handler may log or finish while the main thread is inside append().
        self._renew_lock()
        self._encoder = Encoder()
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._started = 0  # bytes of the first waiting line that already stand in the file
        self._retry_at = 0.0
        self._told = False  # that records wait
        self._fd = _open(path)
        try:
            if primary:
                _lock(self._fd)
            self._next, whole = _last_index(self._fd)
        except OSError:
            os.close(self._fd)
            raise
        if not whole:  # an earlier writer was killed inside a line: keep ours apart from its remains
            self._wait(APART)
            self.drain()

    def _renew_lock(self) -> None:
        self._lock = threading.RLock()
        # Bound once: append() takes the lock at every step, and these calls cost less than ``with``.
        self._acquire, self._release = self._lock.acquire, self._lock.release

    @property
    def closed(self) -> bool:
        """Whether ``close`` was called, or the process was forked."""
        return self._fd == CLOSED

    @property
    def waiting(self) -> int:
        """How many lines wait in memory."""
        return len(self._waiting)

    def append(self, metrics: Mapping[str, Any], step: Any = None) -> bool:
        """Write one record; False when the writer is closed.

        Raises:
            NotAMapping: ``metrics`` is not a mapping.
        """
        try:
            # Within the try: signals are seen after a call, and what they raise would leave it locked for ever.
            self._acquire()
            index = self._next
            moment = now(UTC)
            try:
                if step is None:
                    record = {INDEX: index, TIMESTAMP: moment, **metrics}
                    plain = len(record) == len(metrics) + 2 and STEP not in metrics
                else:
                    record = {INDEX: index, TIMESTAMP: moment, STEP: step, **metrics}
                    plain = len(record) == len(metrics) + 3 and type(step) is int
                # One sum at C speed: TypeError for texts, None and nested values, not finite for NaN and infinity;
                # from 0.0, so that numpy does not add small integers in their own narrow type.
                if plain and (total := sum(metrics.values(), 0.0)) - total == 0.0:
                    line = dumps(record, scalar, OPTIONS)
                else:
                    line = self._encoder.encode(index, moment, metrics, step)
            except Exception as error:  # whatever an exotic value raises: the slow road goes value by value
                let_through(error)
                line = self._encoder.encode(index, moment, metrics, step)
            before, index = index, self._next
            self._next = index + 1
            if index != before:  # a signal handler, or a value that was read, has logged meanwhile
                line = b'{"_idx":%d%s' % (index, line[line.index(b",") :])
            if self._waiting:
                self._wait(line)
                if monotonic() >= self._retry_at:
                    self.drain()
                return True
            try:
                written = write(self._fd, line)
                if written == len(line):
                    return True
            except OSError as error:
                let_through(error)
                if self._fd == CLOSED:
                    self._next = index
                    return False
                self._in_trouble(error)
                written = 0
            # Never dropped, however long: part of it may stand in the file already.
            self._waiting.append(line)
            self._waiting_bytes += len(line)
            self._started = written
            return True
        finally:
            try:  # noqa: SIM105 - what suppress() costs would show
                self._release()
            except RuntimeError:  # interrupted while it waited for the lock
                pass

    def _wait(self, line: bytes) -> None:
        if self._waiting_bytes + len(line) > self.room:
            self.dropped += 1
            if self.dropped == 1:
                warn(f"{self.path} cannot be written and memory for waiting records is used up: records are dropped")
            return
        self._waiting.append(line)
        self._waiting_bytes += len(line)

    def _in_trouble(self, error: OSError) -> None:
        if not self._told:
            self._told = True
            warn(f"{self.path} cannot be written ({error.strerror}); records wait in memory")
        self._retry_at = monotonic() + RETRY_AFTER
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            self._reopen()

    def drain(self) -> bool:
        """Try to write what waits; True when nothing waits any more. Never raises."""
        with self._lock:
            while self._waiting and self._fd != CLOSED:
                batch = self._batch()
                try:
                    written = os.write(self._fd, batch)
                except OSError as error:
                    self._in_trouble(error)
                    return False
                self._forget(written)
            self._told = False
            return not self._waiting

    def _batch(self) -> bytes:
        chosen, size = [], 0
        for line in self._waiting:
            chosen.append(line)
            size += len(line)
            if size >= BATCH_BYTES:
                break
        return b"".join(chosen)[self._started :]

    def _forget(self, written: int) -> None:
        """Drop the lines that ``written`` more bytes have completed."""
        self._started += written
        while self._waiting and self._started >= len(self._waiting[0]):
            line = self._waiting.popleft()
            self._started -= len(line)
            self._waiting_bytes -= len(line)

    def _reopen(self) -> None:
        """After an error other than a full disk the descriptor may be of no more use (a remounted file system)."""
        if self.deleted():  # only our descriptor still leads to the content: see restore()
            return
        try:
            fresh = _open(self.path)
        except OSError:
            return
        with suppress(OSError):
            _, whole = _last_index(fresh)
            if whole or not self._started:
                self._started = 0
                if not whole and (not self._waiting or self._waiting[0] != APART):
                    self._waiting.appendleft(APART)
                    self._waiting_bytes += 1
            os.dup2(fresh, self._fd, inheritable=False)
            _lock(self._fd)  # the old descriptor's lock went with it
        if fresh != self._fd:  # the same when the program closed our descriptor, and the number was free again
            os.close(fresh)

    def restore(self) -> None:
        """Write the whole file anew after somebody deleted it; its old content is read from the kept descriptor.

        Raises:
            OSError: that is not possible (yet).
        """
        with self._lock:
            fresh = _open(self.path)
            try:
                _lock(fresh)
                os.ftruncate(fresh, 0)  # what an attempt that failed half-way left
                _copy(self._fd, fresh)
                os.dup2(fresh, self._fd, inheritable=False)
            finally:
                os.close(fresh)

    def deleted(self) -> bool:
        """Whether the file no longer stands at its path."""
        try:
            return self._fd != CLOSED and os.fstat(self._fd).st_nlink == 0
        except OSError:
            return False

    def follow(self) -> str:
        """Where the file is now: whoever renames the folder of a live run takes its files along."""
        with self._lock:
            if self._fd != CLOSED and not self.deleted() and not self._in_place():
                with suppress(OSError):
                    found = os.readlink(f"/proc/self/fd/{self._fd}")
                    if os.path.basename(found) == os.path.basename(self.path):
                        self.path = found
            return self.path

    def _in_place(self) -> bool:
        try:
            return os.path.samestat(os.stat(self.path), os.fstat(self._fd))
        except OSError:
            return False

    def close(self, patience: float = 0.0, *, durable: bool = False) -> int:
        """Write what waits, for at most ``patience`` seconds, and close; gives the number of records lost in all.

        Args:
            durable: bring the file to the disk, so that it survives a power cut.
        """
        with self._lock:
            if self._fd == CLOSED:
                return self.dropped
            deadline = monotonic() + patience
            while not self.drain() and monotonic() < deadline:
                sleep(0.05)
            self.dropped += sum(line != APART for line in self._waiting)
            self._waiting.clear()
            fd, self._fd = self._fd, CLOSED
            if durable:
                with suppress(OSError):  # the lines are in the kernel; a failing disk is told by those that waited
                    os.fdatasync(fd)
            _close(fd)
            return self.dropped

    def leave_to_parent(self) -> None:
        """In a forked child: let go of the parent's file, its lock and its waiting lines."""
        self._renew_lock()
        self._waiting.clear()
        self._waiting_bytes = self._started = self.dropped = 0
        fd, self._fd = self._fd, CLOSED
        _close(fd)


def _open(path: str) -> int:
    return os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)


def _close(fd: int) -> None:
    if fd == CLOSED:
        return
    try:
        os.close(fd)
    except OSError as error:
        warn(f"closing a metrics file failed: {error.strerror}")


def _lock(fd: int) -> None:
    """Lock the file for this process; raises BlockingIOError when another has it."""
    import fcntl

    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError:
        pass  # a file system without locks: then nobody can hold one


def _copy(source: int, target: int) -> None:
    offset = 0
    while chunk := os.pread(source, BATCH_BYTES, offset):
        offset += len(chunk)
        while chunk:
            chunk = chunk[os.write(target, chunk) :]


def _last_index(fd: int) -> tuple[int, bool]:
    """The index after the last record of a file, and whether the file ends with a whole line."""
    size = os.fstat(fd).st_size
    if size == 0:
        return 0, True
    reach = TAIL_BYTES
    while True:
        start = max(size - reach, 0)
        tail = os.pread(fd, size - start, start)
        for row in reversed(tail.split(b"\n")):  # the last one may lack nothing but its newline
            try:
                return int(orjson.loads(row)[INDEX]) + 1, tail.endswith(b"\n")
            except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
                continue
        if start == 0:
            return 0, tail.endswith(b"\n")
        reach *= 16
