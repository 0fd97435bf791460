"""The SHA-256 sums of files that are being written, kept up with what is added, so that none is read once more."""

from __future__ import annotations

import hashlib
import os
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from hashlib import _Hash

BLOCK = 2**20
KEPT = 256


class Sum(NamedTuple):
    """The sum of a file up to a place.

    Attributes:
        changed_ns: when the file was last changed, as the file system says.
    """

    sum: _Hash
    end: int
    changed_ns: int


class RunningSums:
    """Sums by file, of those that were written last; several threads may use it, one at a time for each file."""

    def __init__(self) -> None:
        self._sums: OrderedDict[tuple[int, int], Sum] = OrderedDict()
        self._guard = threading.Lock()

    def written(self, handle: int, start: int, data: memoryview, before_ns: int) -> None:
        """Take in what was just written at the end of a file.

        Args:
            start: the place where it begins.
            before_ns: when the file had last been changed before that.
        """
        status = os.fstat(handle)
        key = (status.st_dev, status.st_ino)
        with self._guard:
            known = self._sums.pop(key, None)
        if start == 0:
            known = Sum(hashlib.sha256(), 0, before_ns)
        if known is None or (known.end, known.changed_ns) != (start, before_ns):
            return
        known.sum.update(data)
        with self._guard:
            self._sums[key] = Sum(known.sum, start + len(data), status.st_mtime_ns)
            if len(self._sums) > KEPT:
                self._sums.popitem(last=False)

    def of(self, handle: int) -> str:
        """The sum of a whole file, in hexadecimal digits; it is read unless its sum is known."""
        status = os.fstat(handle)
        with self._guard:
            known = self._sums.get((status.st_dev, status.st_ino))
        if known is not None and (known.end, known.changed_ns) == (status.st_size, status.st_mtime_ns):
            return known.sum.hexdigest()
        return sum_of(handle)


def sum_of(handle: int) -> str:
    """The sum of a whole file, read from its beginning."""
    os.lseek(handle, 0, os.SEEK_SET)
    found = hashlib.sha256()
    while block := os.read(handle, BLOCK):
        found.update(block)
    return found.hexdigest()
