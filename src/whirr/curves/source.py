"""One file of records as volumes, brought up to date from where the last look ended.

On disk lie volumes ``0``, ``1``... of consecutive stretches of the file. Each is written whole under another name and
then renamed, and says of which stretch it is: whatever several processes do at once, and whatever of it is deleted,
what lies there from ``0`` on as far as it fits together is right, and the rest is read from the file itself. The last
volume is replaced by a longer one while the file grows, until it is large; what is too little for that waits in memory.
A lock keeps two processes from doing the same work; nothing but that depends on it, and who only reads never asks for
it.
"""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from hashlib import blake2b
from itertools import count
from time import monotonic, sleep
from typing import NamedTuple

from whirr.curves.packing import pack, write
from whirr.curves.table import EMPTY, Table, join, parse
from whirr.curves.volume import Origin, Volume, read

GUARD_BYTES = 4096
WAIT_S, LOOK_EVERY_S = 10.0, 0.02


class Sizes(NamedTuple):
    """Bytes at which something is done.

    Attributes:
        block: of the file, read at once.
        volume: one that large is replaced no more.
        waiting: what waits in memory is written when it is a quarter of the last volume, but not below this...
        most_waiting: ... and surely above this.
        much: so much to read is worth waiting for another process that is at it.
        line: a longer one is no record.
    """

    block: int = 2**20
    volume: int = 2**23
    waiting: int = 2**16
    most_waiting: int = 2**20
    much: int = 2**22
    line: int = 2**25


SIZES = Sizes()


class Snapshot(NamedTuple):
    """A file as it was at one moment.

    Attributes:
        volumes: all of it.
        version: changes when the file does.
    """

    volumes: tuple[Volume, ...]
    version: str


NOTHING = Snapshot((), "")


class Source:
    """The store of one file. Good for several threads.

    Args:
        opened: opens the file; raises a ``WhirrError`` or ``OSError`` where that cannot be.
        home: the folder of its volumes; it need not exist.
        busy: held while much is read, so that memory is needed once.
        sizes: see there.
    """

    def __init__(self, opened: Callable[[], int], home: str, busy: threading.Semaphore, sizes: Sizes = SIZES) -> None:
        self._opened = opened
        self._sizes = sizes
        self._home = home
        self._busy = busy
        self._lock = threading.Lock()
        self._kept = True  # volumes are looked for and written on disk
        self._holding = False  # the lock against other processes
        self._snapshot = NOTHING
        self._state: tuple[int, int] = (-1, -1)
        self._restart(-1)
        self._loaded = False

    def _restart(self, inode: int, volumes: tuple[Volume, ...] = ()) -> None:
        """Go on after some volumes."""
        last = volumes[-1].origin if volumes else Origin(os.urandom(8).hex(), inode, 0, 0, 0, _sum(b""))
        self._volumes = list(volumes)
        self._tables: list[Table] = []
        self._chain, self._inode, self._end, self._guard = last.chain, last.inode, last.end, last.guard
        self._first = self._rows = last.first + (volumes[-1].rows if volumes else 0)
        self._start = last.end

    @property
    def weight(self) -> int:
        """Bytes of memory it takes, about."""
        shown = self._snapshot.volumes[len(self._volumes) :]
        return sum(volume.weight for volume in (*self._volumes, *shown)) + self._waiting + 1000

    @property
    def _waiting(self) -> int:
        return sum(table.size for table in self._tables)

    def forget(self, *, on_disk: bool = True) -> None:
        """Read all volumes anew at the next look; without ``on_disk`` never look at the disk again."""
        with self._lock:
            self._loaded, self._state, self._kept = False, (-1, -1), self._kept and on_disk

    def look(self) -> Snapshot:
        """The file as it is now; nothing where there is none.

        Raises:
            WhirrError, OSError: it cannot be read.
            Stale: a volume vanished at this moment.
        """
        with self._lock:
            handle = self._opened()
            try:
                status = os.fstat(handle)
                state = status.st_ino, status.st_size
                if state != self._state or not self._loaded:
                    self._catch_up(handle, *state)
                    self._state = state
            finally:
                os.close(handle)
            return self._snapshot

    def _catch_up(self, handle: int, inode: int, size: int) -> None:
        if not self._loaded:
            self._restart(inode, self._stored(handle, inode, size))
            self._loaded = True
        elif self._inode != inode or not self._continues(handle, size, self._end, self._guard):
            self._restart(inode)
        if size - self._end < self._sizes.much:
            rest = self._read(handle, size)
        else:
            with self._busy, self._locked(wait_s=WAIT_S):
                stored = self._stored(handle, inode, size)  # by another process, meanwhile
                if stored and stored[-1].origin.end > self._end:
                    self._restart(inode, stored)
                rest = self._read(handle, size)
        self._show(rest, f"{inode:x}-{size:x}")

    def _stored(self, handle: int, inode: int, size: int) -> tuple[Volume, ...]:
        """The volumes on disk that are of the file as it is."""
        found: list[Volume] = []
        while self._kept:
            volume = read(self._path(len(found)))
            if volume is None or not _follows(volume, found, inode):
                break
            found.append(volume)
        while found and not self._continues(handle, size, found[-1].origin.end, found[-1].origin.guard):
            found.pop()
        return tuple(found)

    def _path(self, number: int) -> str:
        return f"{self._home}/{number}"

    def _continues(self, handle: int, size: int, end: int, guard: str) -> bool:
        """Whether the file is still the one that was read up to ``end``."""
        return end <= size and _guard(handle, end) == guard

    def _read(self, handle: int, size: int) -> bytes:
        """Take in whole lines; gives the bytes after the last one."""
        rest = b""
        at = self._end
        while at < size and (block := os.pread(handle, min(self._sizes.block, size - at), at)):
            at += len(block)
            whole, newline, rest = (rest + block).rpartition(b"\n")
            if newline:
                self._take(whole, at - len(rest))
                if self._waiting >= self._sizes.volume:
                    self._flush(handle)
            elif len(rest) > self._sizes.line:  # no record: it is let go piece by piece
                rest, self._end = b"", at
        self._guard = _guard(handle, self._end)
        last = self._volumes[-1].size if self._volumes else 0
        enough = min(max(self._sizes.waiting, last // 4), self._sizes.most_waiting)
        if self._waiting >= enough or self._end - self._start >= self._sizes.much:
            self._flush(handle)
        return rest

    def _take(self, lines: bytes, end: int) -> None:
        table = parse(lines, self._rows)
        self._tables.append(table)
        self._rows += table.rows
        self._end = end

    def _show(self, rest: bytes, version: str) -> None:
        """Make the snapshot; a whole record that lacks its newline counts, but is not remembered as read."""
        last = parse(rest, self._rows) if rest else EMPTY
        table = join([*self._tables, last])
        shown = [pack(table, self._origin())] if table.columns else []
        if len(self._tables) > 1:
            self._tables = [join(self._tables)]
        self._snapshot = Snapshot((*self._volumes, *shown), version)

    def _origin(self) -> Origin:
        return Origin(self._chain, self._inode, self._start, self._end, self._first, self._guard)

    def _flush(self, handle: int) -> None:
        """Make a volume of what waits, together with the last one while that is small."""
        self._guard = _guard(handle, self._end)
        table, origin, number = join(self._tables), self._origin(), len(self._volumes)
        if number and self._volumes[-1].size + table.size < self._sizes.volume:
            number -= 1
            with self._volumes[-1].open() as reader:
                table = join([reader.table(), table])
            before = self._volumes[-1].origin
            origin = origin._replace(start=before.start, first=before.first)
        volume = self._written(pack(table, origin), number)
        if volume is not None:
            self._volumes[number:] = [volume]
            self._tables, self._start, self._first = [], self._end, self._rows

    def _written(self, volume: Volume, number: int) -> Volume | None:
        """The volume on disk; where that cannot be written, in memory; None while another process writes there."""
        if not self._kept:
            return volume
        try:
            with self._locked():
                found = write(volume, self._path(number))
                self._remove_after(number)
                return found
        except BlockingIOError:
            return volume if self._waiting >= self._sizes.most_waiting else None
        except OSError:
            return volume

    def _remove_after(self, number: int) -> None:
        """Remove volumes of an earlier reading."""
        with suppress(OSError):
            for stale in count(number + 1):
                os.unlink(self._path(stale))

    @contextmanager
    def _locked(self, wait_s: float = 0.0) -> Iterator[None]:
        """Hold the lock of the store, where there can be one; after ``wait_s`` go on without it.

        Raises:
            BlockingIOError: another holds it, and nothing was to be waited for.
        """
        if self._holding:
            yield
            return
        handle = self._lock_file()
        try:
            if handle is not None:
                _lock(handle, wait_s)
            self._holding = True
            yield
        finally:
            self._holding = False
            if handle is not None:
                os.close(handle)

    def _lock_file(self) -> int | None:
        if not self._kept:
            return None
        try:
            os.makedirs(self._home, exist_ok=True)
            return os.open(f"{self._home}/lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError:
            return None


def _lock(handle: int, wait_s: float) -> None:
    until = monotonic() + wait_s
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if not wait_s:
                raise
        except OSError:  # a file system without locks
            return
        if monotonic() > until:
            return
        sleep(LOOK_EVERY_S)


def _follows(volume: Volume, before: list[Volume], inode: int) -> bool:
    origin = volume.origin
    if not before:
        return (origin.start, origin.first, origin.inode) == (0, 0, inode)
    last = before[-1].origin
    return (origin.chain, origin.start, origin.first) == (last.chain, last.end, last.first + before[-1].rows)


def _guard(handle: int, end: int) -> str:
    """A sum of the bytes before ``end``, with the stamp of a record among them: tells one content from another."""
    start = max(end - GUARD_BYTES, 0)
    return _sum(os.pread(handle, end - start, start))


def _sum(data: bytes) -> str:
    return blake2b(data, digest_size=8).hexdigest()
