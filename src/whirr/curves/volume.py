"""A volume: the table of a stretch of a file, as bytes of which any part can be read alone. It never changes.

Layout: ``MAGIC``, size and sum of the header (4 bytes each), the header (JSON, padded to a multiple of 8), the data:
for each group its rows, steps, times and places, and where its blocks of ``BLOCK`` values begin and end on each axis;
for each metric its values, the smallest and largest finite one of each block with where these stand on each axis, and
the numbers of the values that are not finite. Numbers are 64-bit floats, row and value numbers unsigned 32-bit
integers, all as the machine has them (another machine's are no volume here).

A volume is read by ``pread`` and not mapped: where the disk fails or the file is gone, that is an error to catch and
not the end of the process, and memory holds no more than what was asked for.
"""

from __future__ import annotations

import os
import struct
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import orjson
from numpy.typing import NDArray

from whirr.curves.table import Column, Group, Numbers, Rows, Table
from whirr.jsonio import plain_file

FORMAT = 1
MAGIC = f"whirr{sys.byteorder[0]}{FORMAT:02}".encode()
PREFIX = struct.Struct("=II")
BLOCK = 256
MOST_TURNS = 100
"""An axis that goes back more often in one group is in no order at all."""

AXES = ("step", "time", "place")
UNKNOWN_BOOT = ""
BOOT_ID = "/proc/sys/kernel/random/boot_id"


class Stale(Exception):
    """The file of a volume is gone, or is another one now."""


class Turn(NamedTuple):
    """Where an axis goes back within a group.

    Attributes:
        at: number of the value with which it does.
        before: where the value before stands.
        x: where this one stands.
        time: of this one, seconds since 1970.
    """

    at: int
    before: float
    x: float
    time: float | None


class Axis(NamedTuple):
    """How a group stands on an axis.

    Attributes:
        first: where its first value stands.
        last: where its last does.
        turns: where it goes back; None: it is in no order, or some values have no place on it.
    """

    first: float
    last: float
    turns: tuple[Turn, ...] | None


class GroupHead(NamedTuple):
    """What the header tells of a group.

    Attributes:
        at: where it begins in the data.
        size: how many records.
        axes: in the order of ``AXES``.
        time: of its first value, seconds since 1970.
        stepless: some record has no step.
    """

    at: int
    size: int
    axes: tuple[Axis, Axis, Axis]
    time: float | None
    stepless: bool


class ColumnHead(NamedTuple):
    """What the header tells of a metric.

    Attributes:
        group: its number.
        at: where it begins in the data.
        bad: how many values are not finite.
        low: the smallest finite one; None where there is none.
        high: the largest.
        falls: how many are smaller than the one before.
    """

    group: int
    at: int
    bad: int
    low: float | None
    high: float | None
    falls: int


class Origin(NamedTuple):
    """Which stretch of which file a volume is of.

    Attributes:
        chain: the volumes of one reading of a file have the same.
        inode: of the file.
        start: byte of the file at which the stretch begins.
        end: byte at which it ends.
        first: how many records of the file come before.
        guard: a sum of the last bytes before ``end``.
    """

    chain: str
    inode: int
    start: int
    end: int
    first: int
    guard: str


class Volume(NamedTuple):
    """A volume that can be opened.

    Attributes:
        origin: what it is of.
        rows: how many records.
        groups: see ``GroupHead``.
        columns: by metric.
        data_at: where the data begin.
        size: bytes of all.
        held: it as a whole where it is in memory, else None.
        path: its file, where it is in none: empty.
        identity: of that file.
    """

    origin: Origin
    rows: int
    groups: tuple[GroupHead, ...]
    columns: dict[str, ColumnHead]
    data_at: int
    size: int
    held: bytes | None = None
    path: str = ""
    identity: tuple[int, ...] = ()

    @property
    def weight(self) -> int:
        """Bytes of memory it takes, about."""
        return (self.size if self.held is not None else 0) + 300 * (len(self.columns) + len(self.groups)) + 1000

    @contextmanager
    def open(self) -> Iterator[Reader]:
        """Read from it.

        Raises:
            Stale: it is no longer there.
        """
        if self.held is not None:
            held = self.held
            yield Reader(self, lambda size, at: held[at : at + size])
            return
        try:
            handle = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError:
            raise Stale from None
        try:
            if identity_of(handle) != self.identity:
                raise Stale
            yield Reader(self, lambda size, at: os.pread(handle, size, at))
        finally:
            os.close(handle)


class Reader:
    """Reads parts of an open volume."""

    def __init__(self, volume: Volume, pread: Callable[[int, int], bytes]) -> None:
        self.volume = volume
        self._pread = pread

    def _read(self, at: int, count: int, kind: Any = np.float64) -> NDArray[Any]:
        size = count * np.dtype(kind).itemsize
        try:
            data = self._pread(size, self.volume.data_at + at)
        except OSError:
            raise Stale from None
        if len(data) != size:
            raise Stale
        return np.frombuffer(data, kind)

    def rows(self, group: int) -> Rows:
        """The records of a group."""
        head = self.volume.groups[group]
        return self._read(head.at, head.size, np.uint32)

    def x(self, group: int, axis: int, start: int, end: int) -> Numbers:
        """Where values of a group stand on an axis, from one to before another."""
        head = self.volume.groups[group]
        return self._read(head.at + padded(4 * head.size) + 8 * (axis * head.size + start), end - start)

    def edges(self, group: int, axis: int, start: int, end: int) -> tuple[Numbers, Numbers]:
        """Where blocks of a group begin and end on an axis."""
        head = self.volume.groups[group]
        blocks = blocks_in(head.size)
        at = head.at + padded(4 * head.size) + 8 * (3 * head.size + 2 * axis * blocks)
        return self._read(at + 8 * start, end - start), self._read(at + 8 * (blocks + start), end - start)

    def values(self, name: str, start: int, end: int) -> Numbers:
        """Values of a metric, from one to before another."""
        return self._read(self.volume.columns[name].at + 8 * start, end - start)

    def extremes(self, name: str, axis: int, start: int, end: int) -> list[Numbers]:
        """The smallest and the largest values of blocks, and where each stands; infinite where there is none."""
        head = self.volume.columns[name]
        count = self.volume.groups[head.group].size
        blocks = blocks_in(count)
        at = head.at + 8 * (count + start)
        return [self._read(at + 8 * blocks * part, end - start) for part in (0, 1, 2 + 2 * axis, 3 + 2 * axis)]

    def bad(self, name: str) -> Rows:
        """The numbers of the values of a metric that are not finite."""
        head = self.volume.columns[name]
        count = self.volume.groups[head.group].size
        return self._read(head.at + 8 * (count + 8 * blocks_in(count)), head.bad, np.uint32)

    def table(self) -> Table:
        """All of it."""
        groups = [
            Group(self.rows(number), *(self.x(number, axis, 0, head.size) for axis in range(len(AXES))))
            for number, head in enumerate(self.volume.groups)
        ]
        columns = {
            name: Column(head.group, self.values(name, 0, self.volume.groups[head.group].size))
            for name, head in self.volume.columns.items()
        }
        return Table(self.volume.rows, groups, columns)

    def is_whole(self, wanted: int) -> bool:
        """Whether all data have this sum."""
        size = self.volume.size - self.volume.data_at
        return zlib.crc32(self._read(0, size, np.uint8).data) == wanted


def blocks_in(count: int) -> int:
    """How many blocks so many values are."""
    return -(-count // BLOCK)


def padded(size: int) -> int:
    """So many bytes, up to the next multiple of 8."""
    return -(-size // 8) * 8


def read(path: str) -> Volume | None:
    """The volume in a file; None where there is none, or it is damaged.

    What was written before this machine started is read as a whole once: a power cut may have left parts unwritten.
    """
    try:
        with open(path, "rb", buffering=0, opener=plain_file) as file:
            found, head = _decoded(file.read(len(MAGIC) + PREFIX.size), file, path)
            written_now = head["boot"] == boot() != UNKNOWN_BOOT
        with found.open() as reader:
            return found if written_now or reader.is_whole(head["sum"]) else None
    except (OSError, ValueError, KeyError, TypeError, Stale):
        return None


def _decoded(start: bytes, file: Any, path: str) -> tuple[Volume, dict[str, Any]]:
    size, wanted = PREFIX.unpack(start[len(MAGIC) :]) if start.startswith(MAGIC) else (0, 0)
    text = file.read(size)
    if zlib.crc32(text) != wanted:
        raise ValueError
    head = orjson.loads(text)
    data_at = len(start) + size
    groups = tuple(
        GroupHead(at, size, _axes(axes), time, stepless) for at, size, axes, time, stepless in head["groups"]
    )
    columns = {name: ColumnHead(*column) for name, column in head["columns"].items()}
    whole = data_at + head["size"]
    identity = identity_of(file.fileno())
    if os.fstat(file.fileno()).st_size != whole:
        raise ValueError
    volume = Volume(Origin(*head["origin"]), head["rows"], groups, columns, data_at, whole, None, path, identity)
    return volume, head


def _axes(told: list[Any]) -> tuple[Axis, Axis, Axis]:
    step, time, place = (
        Axis(first, last, None if turns is None else tuple(Turn(*turn) for turn in turns))
        for first, last, turns in told
    )
    return step, time, place


def identity_of(handle: int) -> tuple[int, ...]:
    """What tells an open file from another that took its place."""
    status = os.fstat(handle)
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def boot() -> str:
    """What tells this start of the machine from others; empty where that cannot be known."""
    try:
        with open(BOOT_ID) as file:
            return file.read().strip()
    except OSError:
        return UNKNOWN_BOOT
